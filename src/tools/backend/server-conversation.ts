import type { Refusal } from '../../access/refusal.ts'
import { stoppedBy, stopRefusal } from '../../access/stop-refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { isObject, type Params } from '../../lib/json-rpc.ts'
import type { Conversation, Listening, ServerFacts } from '../../upstreams/conversation.ts'
import { faultCode } from '../fault-code.ts'
import type {
  AdmittedRequest,
  Admission,
  GuardedAnswer,
  GuardedConversation,
  GuardedRequest,
} from './backend.ts'
import type { Result } from '../../lib/result.ts'
import { withoutOwnMeta } from './without-own-meta.ts'

/** The rules of the server, as its conversations need them. */
export interface Guard {
  admitThrough(
    conversation: Conversation,
    request: AdmittedRequest,
  ): Promise<Result<Admission, Refusal>> | Result<Admission, Refusal>
  visibleTools(caller: Caller, tools: readonly Params[]): readonly Params[]
  /** Undefined where the caller may not use the server at all. */
  listenable(caller: Caller, wanted: Listening): Listening | undefined
}

/** What a client tells a server without being asked. Others belong to a request, or could be anything. */
const NOTIFICATIONS: ReadonlySet<string> = new Set([
  'notifications/roots/list_changed',
  'notifications/progress',
  'notifications/tasks/status',
])

/** A conversation with one server: every request is decided by the grant as it is then. */
export class ServerConversation implements GuardedConversation {
  readonly #guard: Guard
  readonly #conversation: Conversation
  /** Resources that were asked for by listening: asking for the same again is no news for the record. */
  #listenedTo: ReadonlySet<string> = new Set()

  constructor(guard: Guard, conversation: Conversation) {
    this.#guard = guard
    this.#conversation = conversation
  }

  get about(): ServerFacts {
    return this.#conversation.about
  }

  async request(call: GuardedRequest): Promise<GuardedAnswer> {
    const pending = this.#guard.admitThrough(this.#conversation, call)
    const admitted = pending instanceof Promise ? await pending : pending
    if (!admitted.ok) return { kind: 'refused', refusal: admitted.error }
    const admission = admitted.value
    if (call.signal.aborted) {
      const refusal = stopRefusal(stoppedBy(call.signal))
      admission.settle('failed', { rule: refusal.rule })
      return { kind: 'refused', refusal }
    }
    try {
      const answer = await this.#conversation.request(call)
      if (answer.kind === 'error') {
        admission.settle('failed', { rule: `rpc.${answer.error.code}` })
        return answer
      }
      admission.settle('done')
      const result = withoutOwnMeta(answer.result)
      if (call.method === 'tools/list') return this.#visible(call.caller, result)
      return result === answer.result ? answer : { kind: 'result', result }
    } catch (fault) {
      const rule = call.signal.aborted ? stopRefusal(stoppedBy(call.signal)).rule : faultCode(fault)
      admission.settle('failed', { rule })
      throw fault
    }
  }

  notify(method: string, params: Params): void {
    if (NOTIFICATIONS.has(method)) this.#conversation.notify(method, params)
  }

  async listen(caller: Caller, wanted: Listening, requestId: string): Promise<Listening> {
    const pending = this.#admitListening(caller, wanted, requestId)
    const admission = pending instanceof Promise ? await pending : pending
    const allowed = this.#guard.listenable(caller, wanted)
    try {
      const heard = allowed === undefined ? {} : await this.#conversation.listen(allowed)
      admission?.settle('done')
      return heard
    } catch (fault) {
      admission?.settle('failed', { rule: faultCode(fault) })
      throw fault
    }
  }

  close(): void {
    this.#conversation.close()
  }

  /** A refusal is recorded, and only takes the resources off what is listened to. */
  #admitListening(
    caller: Caller,
    wanted: Listening,
    requestId: string,
  ): Promise<Admission | undefined> | Admission | undefined {
    const before = this.#listenedTo
    this.#listenedTo = new Set(wanted.resourceSubscriptions)
    if (before.isSupersetOf(this.#listenedTo)) return undefined
    const params = { notifications: wanted }
    const request = { caller, requestId, wire: 'mcp', method: 'subscriptions/listen', params } as const
    const settled = this.#guard.admitThrough(this.#conversation, request)
    const valueOf = (one: Result<Admission, Refusal>): Admission | undefined =>
      one.ok ? one.value : undefined
    return settled instanceof Promise ? settled.then(valueOf) : valueOf(settled)
  }

  #visible(caller: Caller, result: Params): GuardedAnswer {
    const tools: readonly unknown[] = Array.isArray(result['tools']) ? result['tools'] : []
    const visible = this.#guard.visibleTools(caller, tools.filter(isObject))
    return { kind: 'result', result: { ...result, tools: visible } }
  }
}
