import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  type LoggingLevel,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Params } from '../../src/lib/json-rpc.ts'
import type { SessionRevision } from '../../src/lib/revisions.ts'
import {
  answer,
  CLIENT_INFO,
  clientCapabilities,
  type ClientOptions,
  type TestClient,
  type Told,
} from './test-client.ts'
import type { Command } from './upstreams.ts'

/** The library's transports declare optional members in a way that `exactOptionalPropertyTypes` does not accept. */
const exact = (transport: unknown): Transport => transport as Transport

const LISTS = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
} as const

/** How to reach a server over HTTP. */
export interface Target {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

/** HTTP+SSE where the URL says `/sse`, Streamable HTTP otherwise. */
export function httpTransport({ url, headers = {} }: Target): Transport {
  const options = { requestInit: { headers } }
  return exact(
    url.endsWith('/sse')
      ? new SSEClientTransport(new URL(url), options)
      : new StreamableHTTPClientTransport(new URL(url), options),
  )
}

export const stdioTransport = ({ command, args, env = {} }: Command): Transport =>
  exact(new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: 'ignore' }))

/** Connects the official client, version 1, as one that knows no newer revision than this. */
export async function sessionClient(
  revision: SessionRevision,
  transport: Transport,
  options: ClientOptions = {},
): Promise<TestClient> {
  const capabilities = options.bare === true ? {} : clientCapabilities(revision)
  const client = new Client(CLIENT_INFO, { capabilities })
  const told: Told = { asked: [], notifications: [] }
  const asked = (method: string, params: Params = {}): Params => {
    told.asked.push({ method, params })
    return params
  }
  if ('sampling' in capabilities)
    client.setRequestHandler(CreateMessageRequestSchema, ({ method, params }) =>
      answer.sampling(asked(method, params)),
    )
  if ('elicitation' in capabilities) {
    client.setRequestHandler(ElicitRequestSchema, ({ method, params }) =>
      answer.elicitation(asked(method, params)),
    )
  }
  if ('roots' in capabilities)
    client.setRequestHandler(ListRootsRequestSchema, ({ method, params }) => {
      asked(method, params)
      return answer.roots(options.root)
    })
  client.fallbackNotificationHandler = async ({ method, params = {} }) => {
    told.notifications.push({ method, params })
  }
  pin(transport, revision)
  await client.connect(transport)
  const hearProgress = tapProgress(transport)

  const send: SendRequest = async (method, params, { signal, onProgress, timeoutMs } = {}) => {
    const heard = onProgress && hearProgress(onProgress)
    try {
      return await client.request(
        { method, params: heard ? { ...params, _meta: { progressToken: heard.token } } : params },
        ResultSchema,
        { ...(signal ? { signal } : {}), ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) },
      )
    } finally {
      heard?.forget()
    }
  }

  return {
    revision,
    serverInfo: client.getServerVersion() ?? {},
    capabilities: client.getServerCapabilities() ?? {},
    instructions: client.getInstructions(),
    told,
    async list(kind) {
      const entries: Params[] = []
      let cursor: unknown
      let pages = 0
      do {
        const page: Params = await send(LISTS[kind], cursor === undefined ? {} : { cursor })
        entries.push(...(page[kind] as Params[]))
        cursor = page.nextCursor
        pages += 1
      } while (cursor !== undefined)
      return { entries, pages }
    },
    call: (name, args = {}, options = {}) => send('tools/call', { name, arguments: args }, options),
    prompt: (name, args = {}) => send('prompts/get', { name, arguments: args }),
    read: (uri) => send('resources/read', { uri }),
    complete: (params) => send('completion/complete', params),
    async ping() {
      await client.ping()
    },
    async setLevel(level) {
      await client.setLoggingLevel(level as LoggingLevel)
    },
    async watch(uris) {
      for (const uri of uris) await client.subscribeResource({ uri })
    },
    async unwatch(uris) {
      for (const uri of uris) await client.unsubscribeResource({ uri })
    },
    rootsChanged: () => client.sendRootsListChanged(),
    async close() {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession()
      await client.close()
    },
  }
}

/**
 * Hears progress as it arrives. The library hands notifications on one turn later than responses: progress that
 * came in one piece with the answer is lost to its `onprogress`.
 */
function tapProgress(transport: Transport) {
  const listeners = new Map<string, (progress: Params) => void>()
  const deliver = transport.onmessage
  const tap: Transport['onmessage'] = (message, extra) => {
    if ('method' in message && message.method === 'notifications/progress') {
      const { progressToken, ...progress } = message.params ?? {}
      listeners.get(String(progressToken))?.(progress)
    } else {
      deliver?.(message, extra)
    }
  }
  Object.assign(transport, { onmessage: tap })
  let last = 0
  return (heard: (progress: Params) => void) => {
    last += 1
    const token = `heard-${last}`
    listeners.set(token, heard)
    return { token, forget: () => listeners.delete(token) }
  }
}

type SendRequest = (
  method: string,
  params: Params,
  options?: Parameters<TestClient['call']>[2],
) => Promise<Params>

/** The library asks for the newest revision that it knows: here it shall know none newer. */
function pin(transport: Transport, revision: SessionRevision): void {
  const send = transport.send.bind(transport)
  transport.send = (message, options) => {
    if (!('method' in message) || message.method !== 'initialize') return send(message, options)
    const params = { ...message.params, protocolVersion: revision }
    return send({ ...message, params }, options)
  }
}
