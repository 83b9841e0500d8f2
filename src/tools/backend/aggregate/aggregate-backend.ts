import { type Refusal, refusal } from '../../../access/refusal.ts'
import type { Caller } from '../../../identity/caller.ts'
import type { Lifelines } from '../../../identity/lifelines.ts'
import type { Clock } from '../../../lib/clock.ts'
import { isObject, type Params } from '../../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Observe } from '../../../observe/observation.ts'
import type { ClientFacts, Inbox } from '../../../upstreams/conversation.ts'
import type { Pipeline } from '../../call.ts'
import type { Admission, Backend, GuardedConversation } from '../backend.ts'
import type { ServerBackend } from '../server-backend.ts'
import { AggregateConversation } from './aggregate-conversation.ts'
import type { LeftOut } from './lists.ts'
import type { Names } from './names.ts'
import { isOwnTool, ownToolList } from './own-tools.ts'

export interface AggregateParts {
  /** Every configured server, in the order of the configuration. */
  readonly servers: () => readonly ServerBackend[]
  readonly own: Pipeline
  readonly requestTimeoutMs: number
  readonly names: Names
  readonly listTimeoutMs: number
  readonly lifelines: Pick<Lifelines, 'hold'>
  readonly serverInfo: Params
  readonly clock: Clock
  readonly observe: Observe
}

/** The longest that a conversation with all servers is kept without requests, in milliseconds. */
const IDLE_MS = 300_000

/** Every server that a caller may use, and Postern's own tools, as one. */
export class AggregateBackend implements Backend {
  readonly server = null
  readonly #parts: AggregateParts
  /** Servers that the last list had to leave out, so that the log tells when that begins and not of each list. */
  readonly #leftOut = new Map<string, string>()

  constructor(parts: AggregateParts) {
    this.#parts = parts
  }

  /** A resource names no server: which one has it is known only once it was looked for. */
  serverOf(caller: Caller, method: unknown, params: unknown): string | undefined {
    const name = isObject(params) ? params['name'] : undefined
    if ((method !== 'tools/call' && method !== 'prompts/get') || typeof name !== 'string') return undefined
    const { names, own, servers } = this.#parts
    if (method === 'tools/call' && isOwnTool(own, caller, name)) return undefined
    const meant = names.split(name)?.server
    const backend = servers().find(({ server }) => server === meant)
    return backend?.decideServer(caller).outcome === 'allow' ? meant : undefined
  }

  /** As short as its most impatient server asks. */
  get idleMs(): number {
    return Math.min(IDLE_MS, ...this.#parts.servers().map(({ idleMs }) => idleMs))
  }

  async open(
    caller: Caller,
    client: ClientFacts,
    inbox: Inbox,
    signal: AbortSignal,
  ): Promise<Result<GuardedConversation, Refusal>> {
    const conversation = this.begin(client, inbox)
    try {
      await conversation.meet(caller, signal)
    } catch (fault) {
      conversation.close()
      throw fault
    }
    return ok(conversation)
  }

  /** A conversation that has met no server yet: `about` names no capabilities but tools. */
  begin(client: ClientFacts, inbox: Inbox): AggregateConversation {
    return new AggregateConversation(this.#parts, client, inbox, (server, leftOut) => {
      this.#note(server, leftOut)
    })
  }

  /** Nothing is sent on to many servers as it is: every request goes through a conversation. */
  admit(): Result<Admission, Refusal> {
    return err(refusal('invalid_request', 'aggregate', 'requests to all servers at once are not forwarded'))
  }

  direct(): undefined {
    return undefined
  }

  visibleTools(caller: Caller, tools: readonly Params[]): readonly Params[] {
    const own = new Set(ownToolList(this.#parts.own, caller).map(({ name }) => name))
    return tools.filter((tool) => {
      const { name } = tool
      if (typeof name !== 'string') return false
      if (own.has(name)) return true
      const meant = this.#parts.names.split(name)
      const backend = this.#parts.servers().find(({ server }) => server === meant?.server)
      return meant !== undefined && backend?.mayCall(caller, meant.name) === true
    })
  }

  #note(server: string, leftOut: LeftOut | undefined): void {
    const before = this.#leftOut.get(server)
    if (leftOut === undefined) {
      if (before !== undefined) this.#leftOut.delete(server)
      return
    }
    if (before === leftOut.code) return
    this.#leftOut.set(server, leftOut.code)
    this.#parts.observe({
      kind: 'aggregate.left_out',
      server,
      code: leftOut.code,
      message: leftOut.message,
    })
  }
}
