import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { Params } from '../../src/lib/json-rpc.ts'
import { STATELESS_REVISION } from '../../src/lib/revisions.ts'
import type { Target } from './session-client.ts'
import {
  answer,
  CLIENT_INFO,
  clientCapabilities,
  type CallOptions,
  type ClientOptions,
  type ListKind,
  type TestClient,
  type Told,
} from './test-client.ts'
import type { Command } from './upstreams.ts'

export const statelessHttp = ({ url, headers = {} }: Target): Transport =>
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })

export const statelessStdio = ({ command, args, env = {} }: Command): Transport =>
  new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: 'ignore' })

/** Connects the official client, version 2, as one that knows only the revision without sessions. */
export async function statelessClient(
  transport: Transport,
  options: ClientOptions = {},
): Promise<TestClient> {
  const capabilities = options.bare === true ? {} : clientCapabilities(STATELESS_REVISION)
  const client = new Client(CLIENT_INFO, {
    capabilities,
    versionNegotiation: { mode: { pin: STATELESS_REVISION } },
  })
  const told: Told = { asked: [], notifications: [] }
  const asked = (method: string, params: Params = {}): Params => {
    told.asked.push({ method, params })
    return params
  }
  if (options.bare !== true) {
    client.setRequestHandler('sampling/createMessage', ({ method, params }) =>
      answer.sampling(asked(method, { ...params })),
    )
    client.setRequestHandler('elicitation/create', ({ method, params }) =>
      answer.elicitation(asked(method, { ...params })),
    )
    client.setRequestHandler('roots/list', ({ method, params }) => {
      asked(method, { ...params })
      return answer.roots(options.root)
    })
  }
  client.fallbackNotificationHandler = async ({ method, params = {} }) => {
    told.notifications.push({ method, params })
  }
  await client.connect(transport)

  let level: string | undefined
  let subscription: Awaited<ReturnType<typeof client.listen>> | undefined
  let watched: readonly string[] = []

  const withLevel = <T extends object>(params: T): T & { _meta?: Record<string, unknown> } =>
    level === undefined ? params : { ...params, _meta: { 'io.modelcontextprotocol/logLevel': level } }

  const listen = async (uris: readonly string[]): Promise<void> => {
    await subscription?.close()
    watched = uris
    subscription = await client.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [...uris],
    })
  }

  /** One page: the library's own lists walk all of them, and keep what they got. */
  const page = async (kind: ListKind, cursor?: string): Promise<Params> => {
    const params = cursor === undefined ? {} : { cursor }
    if (kind === 'tools') return client.request({ method: 'tools/list', params })
    if (kind === 'prompts') return client.request({ method: 'prompts/list', params })
    if (kind === 'resources') return client.request({ method: 'resources/list', params })
    return client.request({ method: 'resources/templates/list', params })
  }

  return {
    revision: STATELESS_REVISION,
    serverInfo: { ...client.getServerVersion() },
    capabilities: { ...client.getServerCapabilities() },
    instructions: client.getInstructions(),
    told,
    async list(kind) {
      const entries: Params[] = []
      let cursor: string | undefined
      let pages = 0
      do {
        const got = await page(kind, cursor)
        entries.push(...(got[kind] as Params[]))
        cursor = got.nextCursor as string | undefined
        pages += 1
      } while (cursor !== undefined)
      return { entries, pages }
    },
    call: (name, args = {}, options = {}) =>
      client.callTool(withLevel({ name, arguments: { ...args } }), requestOptions(options)),
    prompt: (name, args = {}) =>
      client.getPrompt(withLevel({ name, arguments: args as Record<string, string> })),
    read: (uri) => client.readResource(withLevel({ uri }), { cacheMode: 'bypass' }),
    complete: (params) => client.complete(params as Parameters<typeof client.complete>[0]),
    async ping() {
      await client.discover()
    },
    async setLevel(wanted) {
      level = wanted
    },
    watch: (uris) => listen([...watched, ...uris]),
    unwatch: (uris) => listen(watched.filter((uri) => !uris.includes(uri))),
    rootsChanged: () => Promise.resolve(),
    close: () => client.close(),
  }
}

const requestOptions = ({ signal, onProgress, timeoutMs }: CallOptions) => ({
  ...(signal ? { signal } : {}),
  ...(onProgress
    ? {
        onprogress: (progress: object) => {
          onProgress({ ...progress })
        },
      }
    : {}),
  ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
})
