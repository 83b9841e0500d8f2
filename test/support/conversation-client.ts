import type { Caller } from '../../src/identity/caller.ts'
import type { Params } from '../../src/lib/json-rpc.ts'
import type { Revision } from '../../src/lib/revisions.ts'
import type { AskAnswer } from '../../src/upstreams/conversation.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import {
  answer,
  CLIENT_INFO,
  clientCapabilities,
  type ClientOptions,
  type TestClient,
  type Told,
} from './test-client.ts'

const LISTS = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
} as const

const TIMEOUT_MS = 20_000

/** A conversation with an upstream, as a client: what the wires see, without a wire. */
export async function conversationClient(
  upstream: Upstream,
  caller: Caller,
  revision: Revision,
  { bare = false }: ClientOptions = {},
): Promise<TestClient> {
  const told: Told = { asked: [], notifications: [] }
  let level: string | undefined
  let watched: readonly string[] = []

  const ask = async (method: string, params: Params): Promise<AskAnswer> => {
    told.asked.push({ method, params })
    if (method === 'sampling/createMessage') return { kind: 'result', result: answer.sampling(params) }
    if (method === 'elicitation/create') return { kind: 'result', result: answer.elicitation(params) }
    if (method === 'roots/list') return { kind: 'result', result: answer.roots() }
    return { kind: 'error', error: { code: -32601, message: 'not here' } }
  }
  const begun = await upstream.converse(
    caller,
    { clientInfo: CLIENT_INFO, capabilities: bare ? {} : clientCapabilities(revision), revision },
    {
      notification: (method, params) => void told.notifications.push({ method, params }),
      ask,
      ended: () => undefined,
    },
    AbortSignal.timeout(TIMEOUT_MS),
  )
  if (!begun.ok) throw new Error(`refused: ${begun.error.code}`)
  const conversation = begun.value

  const request = async (
    method: string,
    params: Params,
    options: Parameters<TestClient['call']>[2] = {},
  ): Promise<Params> => {
    const answered = await conversation.request({
      method,
      params,
      signal: options.signal ?? AbortSignal.timeout(TIMEOUT_MS),
      ask,
      ...(level === undefined ? {} : { logLevel: level }),
      onNotification(name, notified) {
        if (name === 'notifications/progress') options.onProgress?.(notified)
        else told.notifications.push({ method: name, params: notified })
      },
    })
    if (answered.kind === 'result') return answered.result
    throw Object.assign(new Error(answered.error.message), answered.error)
  }
  const listen = async (uris: readonly string[]): Promise<void> => {
    watched = uris
    await conversation.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: uris,
    })
  }

  return {
    revision,
    serverInfo: conversation.about.serverInfo,
    capabilities: conversation.about.capabilities,
    instructions: conversation.about.instructions,
    told,
    async list(kind) {
      const entries: Params[] = []
      let cursor: unknown
      let pages = 0
      do {
        const page = await request(LISTS[kind], cursor === undefined ? {} : { cursor })
        entries.push(...(page[kind] as Params[]))
        cursor = page.nextCursor
        pages += 1
      } while (cursor !== undefined)
      return { entries, pages }
    },
    call: (name, args = {}, options = {}) => request('tools/call', { name, arguments: args }, options),
    prompt: (name, args = {}) => request('prompts/get', { name, arguments: args }),
    read: (uri) => request('resources/read', { uri }),
    complete: (params) => request('completion/complete', params),
    async ping() {
      await request('ping', {})
    },
    async setLevel(wanted) {
      if (revision === '2026-07-28') level = wanted
      else await request('logging/setLevel', { level: wanted })
    },
    watch: (uris) => listen([...watched, ...uris]),
    unwatch: (uris) => listen(watched.filter((uri) => !uris.includes(uri))),
    async rootsChanged() {
      conversation.notify('notifications/roots/list_changed', {})
    },
    async close() {
      conversation.close()
    },
  }
}
