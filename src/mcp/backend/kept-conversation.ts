import type { Backend } from '../../tools/backend/backend.ts'
import type { Ask, ClientFacts, Inbox } from '../../upstreams/conversation.ts'
import { type Params, isObject } from '../message.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { LiveConversation } from './live-conversation.ts'
import type { JsonSchema } from '../../tools/tool.ts'

/** Hears what a server tells of itself, for a client that asked to be told. */
export interface Subscriber {
  notification(method: string, params: Params): void
  ended(): void
}

/** A conversation that Postern keeps for clients that keep none. */
export class KeptConversation implements Inbox {
  readonly key: string
  /** `null`: all servers as one. */
  readonly server: string | null
  readonly live: LiveConversation
  /** Of the server's options; absent where it does not say. */
  readonly idleMs: number | undefined
  /** Requests and streams that go through it now. */
  uses = 0
  lastUsedAt = 0
  readonly subscribers = new Set<Subscriber>()
  /** Calls that may be asked something, while they run. */
  readonly askable = new Set<Ask>()
  /** Input schemas by tool name, once they were listed. */
  schemas: ReadonlyMap<string, JsonSchema> | undefined

  constructor(key: string, backend: Backend, facts: ClientFacts) {
    this.key = key
    this.server = backend.server
    this.idleMs = backend.idleMs
    this.live = new LiveConversation(backend, facts, this)
  }

  notification(method: string, params: Params): void {
    if (method === 'notifications/tools/list_changed') this.schemas = undefined
    for (const subscriber of this.subscribers) subscriber.notification(method, params)
  }

  /**
   * A server that does not say which call it asks for. With one call it is clear; among several the question would
   * reach whoever happens to share the credential, so nobody is asked.
   */
  readonly ask: Ask = async (method, params, signal) => {
    const [only, another] = this.askable
    return only && !another
      ? await only(method, params, signal)
      : { kind: 'error', error: { code: RPC_CODE.internal, message: 'no client can be asked at the moment' } }
  }

  /** Whether the server itself would tell of other tools. */
  get hearsOfTools(): boolean {
    const tools = this.live.open?.about.capabilities.tools
    return this.subscribers.size > 0 && isObject(tools) && tools.listChanged === true
  }

  ended(): void {
    this.schemas = undefined
  }

  close(): void {
    for (const subscriber of this.subscribers) subscriber.ended()
    this.live.close()
  }

  /** Keeps the schemas of a `tools/list` result that holds all tools. */
  noteTools(tools: readonly unknown[]): void {
    const known = tools.filter(isObject).filter(({ name }) => typeof name === 'string')
    this.schemas = new Map(
      known.map((tool) => [tool.name as string, isObject(tool.inputSchema) ? tool.inputSchema : {}]),
    )
  }
}
