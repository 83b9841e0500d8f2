import type { Caller } from '../../identity/caller.ts'
import type { SessionRevision } from '../../lib/revisions.ts'
import { unreachable } from '../../lib/unreachable.ts'
import type { Observe } from '../../observe/observation.ts'
import type { TraceContext } from '../../observe/trace-context.ts'
import { refusal } from '../../access/refusal.ts'
import type { Message, Params, RequestId } from '../message.ts'
import { ACCEPTED, errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, rpcError, success } from '../rpc-error.ts'
import type { Session } from '../session.ts'
import { answerReply, refusedReply } from './answer.ts'
import type { BackendCalls } from './backend-calls.ts'
import { forward, noteFault } from './forward.ts'
import type { LiveConversation } from './live-conversation.ts'
import { isLogLevel } from '../../lib/log-level.ts'
import type { ReplyStream } from './reply-stream.ts'
import type { SessionClient } from './session-client.ts'

/** One message of a 2024 or 2025 client, with what its transport knows of it. */
export interface BackendContext {
  readonly caller: Caller
  readonly requestId: string
  readonly revision: SessionRevision
  readonly live: LiveConversation
  /** Absent for a client that sends requests without a session. */
  readonly client: SessionClient | undefined
  readonly session: Session | undefined
  readonly reply: ReplyStream
  readonly alone: boolean
  readonly trace: TraceContext | undefined
  /** The client's connection was lost, and it may come back. */
  left?(stop: () => void): void
}

/** Everything a client of a server may send after `initialize`, in the revisions that begin with it. */
export class SessionRequests {
  readonly #calls: BackendCalls
  readonly #observe: Observe

  constructor(calls: BackendCalls, observe: Observe) {
    this.#calls = calls
    this.#observe = observe
  }

  /** Never rejects. The reply is what remains to be said: nothing of it has been sent. */
  answer(message: Message, context: BackendContext): Reply | Promise<Reply> {
    switch (message.kind) {
      case 'request':
        return this.#request(message.id, message.method, message.params, context)
      case 'notification':
        this.#notified(message.method, message.params, context)
        return ACCEPTED
      case 'response':
        context.client?.answered(message.id, message.answer)
        return ACCEPTED
      case 'invalid':
        return errorReply(message.id, rpcError(400, message.code, message.message))
      default:
        return unreachable(message)
    }
  }

  #notified(method: string, params: Params, { session, live }: BackendContext): void {
    if (method === 'notifications/roots/list_changed') live.notify(method, params)
    if (method !== 'notifications/cancelled') return
    const { requestId } = params
    if (typeof requestId === 'string' || typeof requestId === 'number') {
      session?.calls?.get(requestId)?.stop('cancelled')
    }
  }

  async #request(id: RequestId, method: string, params: Params, context: BackendContext): Promise<Reply> {
    // Whether its peer is there is the peer's to answer, and the client's peer is Postern.
    if (method === 'ping') return { message: success(id, '{}') }
    const { caller, requestId, revision, live, session, reply, alone, trace } = context
    const asked = { id, method, revision, alone, about: live.open?.about }
    if (method === 'logging/setLevel' && !isLogLevel(params.level)) {
      return errorReply(id, rpcError(200, RPC_CODE.invalidParams, 'level is none of the levels of RFC 5424'))
    }
    if (this.#calls.full(caller.credential.id)) return refusedReply(tooManyCalls(), asked)
    const outcome = await this.#calls.run({
      credentialId: caller.credential.id,
      id,
      session,
      reply,
      start: (signal) => forward({ caller, requestId, method, params, revision, live, reply, trace }, signal),
      left: (call) => context.left?.(() => call.stop('gone')),
    })
    noteFault(outcome, requestId, this.#observe)
    return answerReply(outcome, { ...asked, about: live.open?.about })
  }
}

export const tooManyCalls = () =>
  refusal('too_many_requests', 'calls', 'this credential has too many calls running', {
    allowed: 'the same call when others have been answered',
  })
