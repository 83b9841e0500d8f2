import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { McpError, ResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { Fault } from '../../src/lib/fault.ts'
import { ok } from '../../src/lib/result.ts'
import type { Answer, Conversation } from '../../src/upstreams/conversation.ts'
import type { UpstreamOptions, UpstreamRules } from '../../src/upstreams/options.ts'
import type { Upstream, Upstreams } from '../../src/upstreams/upstream.ts'

export interface SdkServer {
  readonly name: string
  readonly rules?: Partial<UpstreamRules>
  /** A new server for each conversation. */
  readonly make: () => Server
}

/** Servers of the SDK in this process, behind the same interface as configured ones. */
export interface SdkUpstreams extends Upstreams {
  /** Conversations begun with a server, also those that are over. */
  begun(name: string): number
  /** What becomes of attempts to begin a conversation from now on. */
  set(name: string, state: 'up' | 'dead' | 'hanging'): void
  /** Ends every open conversation with a server, as a crash would. */
  crash(name: string): void
  rules(name: string, rules: Partial<UpstreamRules>): void
  changed(name: string): void
}

export const OPEN_RULES: UpstreamRules = {
  authTokens: null,
  scopes: [],
  level: 'read-write',
  trustHints: false,
  toolFilter: null,
  tools: {},
}

interface Entry {
  upstream: Upstream
  options: UpstreamOptions
  state: 'up' | 'dead' | 'hanging'
  begun: number
  readonly open: Set<(fault: Fault) => void>
  /** Attempts that hang. */
  readonly woken: Set<() => void>
}

export function sdkUpstreams(servers: readonly SdkServer[]): SdkUpstreams {
  const listeners = new Set<(name: string) => void>()
  const entries = new Map<string, Entry>()
  for (const server of servers) entries.set(server.name, entryOf(server))
  const entry = (name: string): Entry => {
    const found = entries.get(name)
    if (!found) throw new Error(`no server ${name}`)
    return found
  }
  const tell = (name: string): void => {
    for (const heard of listeners) heard(name)
  }
  return {
    list: () => [...entries.values()].map(({ upstream }) => upstream),
    find: (name) => entries.get(name)?.upstream,
    onChange(heard) {
      listeners.add(heard)
      return () => listeners.delete(heard)
    },
    reload(options) {
      const kept = new Set(options.map(({ name }) => name))
      for (const name of entries.keys()) {
        if (kept.has(name)) continue
        entries.delete(name)
        tell(name)
      }
    },
    restart(name) {
      const found = entries.get(name)
      if (!found) return undefined
      for (const end of found.open) end(away())
      tell(name)
      return found.upstream
    },
    async close() {
      for (const { open } of entries.values()) for (const end of open) end(away())
    },
    begun: (name) => entry(name).begun,
    set(name, state) {
      entry(name).state = state
      if (state !== 'hanging') for (const wake of entry(name).woken) wake()
    },
    crash(name) {
      for (const end of entry(name).open) end(away())
    },
    rules(name, rules) {
      const found = entry(name)
      found.options = { ...found.options, rules: { ...OPEN_RULES, ...rules } }
      tell(name)
    },
    changed: tell,
  }
}

const away = (): Fault => new Fault('upstream_unavailable', 'The MCP server is away.', { retryAfterS: 1 })

function entryOf({ name, rules, make }: SdkServer): Entry {
  const entry: Entry = {
    options: {
      name,
      reach: {
        kind: 'http',
        url: 'http://127.0.0.1:1/mcp',
        transport: 'streamable',
        headers: {},
        clientCredentials: null,
      },
      rules: { ...OPEN_RULES, ...rules },
      userCredential: null,
      limits: {
        timeoutMs: 5_000,
        connectTimeoutMs: 5_000,
        messageBytes: 1_000_000,
        concurrency: 100,
        conversations: 100,
        idleMs: 60_000,
      },
    },
    state: 'up',
    begun: 0,
    open: new Set(),
    woken: new Set(),
    upstream: {
      name,
      get options() {
        return entry.options
      },
      status: () => ({
        name,
        transport: 'streamable',
        state: entry.state === 'up' ? 'up' : 'failing',
        revision: '2025-11-25',
        probedAt: 0,
        since: 0,
        conversations: entry.open.size,
        running: 0,
        processes: 0,
        restarts: 0,
        retryAt: null,
        problem: entry.state === 'up' ? null : 'the server is away',
      }),
      direct: () => undefined,
      async converse(_caller, clientFacts, inbox, signal) {
        entry.begun += 1
        if (entry.state === 'dead') throw away()
        if (entry.state === 'hanging') {
          await new Promise<void>((resolve, reject) => {
            entry.woken.add(resolve)
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
          })
        }
        const client = new Client({ name: 'test', version: '1' }, { capabilities: clientFacts.capabilities })
        client.fallbackNotificationHandler = async ({ method, params }) => {
          inbox.notification(method, params ?? {})
        }
        client.fallbackRequestHandler = async ({ method, params }, extra) => {
          const answer = await inbox.ask(method, params ?? {}, extra.signal)
          if (answer.kind === 'result') return { ...answer.result }
          throw new McpError(answer.error.code, answer.error.message)
        }
        const [ours, theirs] = InMemoryTransport.createLinkedPair()
        await make().connect(theirs)
        await client.connect(ours)
        const end = (fault: Fault): void => {
          if (!entry.open.delete(end)) return
          void client.close()
          inbox.ended(fault)
        }
        entry.open.add(end)
        return ok(conversationOf(client, () => entry.open.delete(end)))
      },
    },
  }
  return entry
}

function conversationOf(client: Client, closed: () => void): Conversation {
  const instructions = client.getInstructions()
  return {
    about: {
      revision: '2025-11-25',
      serverInfo: { ...client.getServerVersion() },
      capabilities: { ...client.getServerCapabilities() },
      ...(instructions === undefined ? {} : { instructions }),
    },
    async request({ method, params, signal, onNotification }): Promise<Answer> {
      try {
        const result = await client.request({ method, params: { ...params } }, ResultSchema, {
          signal,
          ...(onNotification === undefined
            ? {}
            : {
                onprogress: (progress) => {
                  onNotification('notifications/progress', { ...progress })
                },
              }),
        })
        return { kind: 'result', result }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        if (!(error instanceof McpError) || error.message.includes('Connection closed')) throw away()
        return { kind: 'error', error: { code: error.code, message: error.message } }
      }
    },
    notify(method, params) {
      void client.notification({ method, params: { ...params } })
    },
    listen: async (wanted) => wanted,
    close() {
      closed()
      void client.close()
    },
  }
}
