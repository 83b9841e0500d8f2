import type { Clock } from '../../lib/clock.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import { refusal } from '../../access/refusal.ts'
import type { McpExchange } from '../exchange.ts'
import type { Reply } from '../reply.ts'
import { RPC_CODE, rpcError, success } from '../rpc-error.ts'
import { pagesToVisit } from '../translate/error.ts'
import { isObject, type Params, type RequestId } from '../message.ts'
import { type Answered, answerReply, refusedReply, toError } from './answer.ts'
import { AskingCall, type Turn } from './asking-call.ts'
import type { BackendCalls } from './backend-calls.ts'
import { forward, noteFault } from './forward.ts'
import type { KeptConversation } from './kept-conversation.ts'
import type { KeptConversations } from './kept-conversations.ts'
import { bindingOf, type ParkedCalls } from './parked-calls.ts'
import { onlyAnswer, type ReplyStream } from './reply-stream.ts'
import { tooManyCalls } from './session-requests.ts'
import type { StatelessReply } from './stateless-reply.ts'

export interface StatelessCallsParts {
  readonly calls: BackendCalls
  readonly parked: ParkedCalls
  readonly kept: KeptConversations
  readonly clock: Clock
  readonly observe: Observe
}

/** One request that is to go to a server. */
export interface StatelessCall {
  readonly exchange: McpExchange
  readonly backend: Backend
  readonly kept: KeptConversation
  readonly method: string
  readonly params: Params
  readonly reply: StatelessReply
  readonly answered: Answered
  /** `null`: log messages are not wanted. */
  readonly logLevel: string | null
}

/** Runs the requests of clients that have no session. */
export class StatelessCalls {
  readonly #parts: StatelessCallsParts

  constructor(parts: StatelessCallsParts) {
    this.#parts = parts
  }

  /** A request during which its server asks nothing. */
  async plain(call: StatelessCall): Promise<Reply> {
    const { exchange, reply, answered } = call
    const { caller, requestId } = exchange
    const { calls, observe } = this.#parts
    if (calls.full(caller.credential.id)) return refusedReply(tooManyCalls(), answered)
    const outcome = await calls.run({
      credentialId: caller.credential.id,
      id: answered.id,
      session: undefined,
      reply,
      start: startOf(call, reply),
    })
    noteFault(outcome, requestId, observe)
    return answerReply(outcome, answered)
  }

  /** A request during which its server may ask something, or one that brings what was asked for. */
  async asking(call: StatelessCall): Promise<Reply> {
    const { exchange, backend, method, params, answered } = call
    const credentialId = exchange.caller.credential.id
    const binding = bindingOf(credentialId, backend.server, method, params)
    if (params.requestState === undefined) {
      if (this.#parts.calls.full(credentialId)) return refusedReply(tooManyCalls(), answered)
      return await this.#turn(this.#start(call), binding, call)
    }
    const { requestState } = params
    const waiting =
      typeof requestState === 'string' ? this.#parts.parked.take(requestState, binding) : undefined
    if (!waiting) return toError(unknownState(), answered)
    waiting.reply = call.reply
    waiting.progressToken = progressTokenOf(params)
    // First, or what is still open would be asked again: only what was left unanswered should be.
    waiting.answer(params.inputResponses)
    return await this.#turn(waiting, binding, call)
  }

  #start(call: StatelessCall): AskingCall {
    const { exchange, kept, params, answered } = call
    const { caller, requestId } = exchange
    const { calls, clock, observe } = this.#parts
    const asking = new AskingCall(clock, kept.live.facts, call.reply, params.inputResponses)
    asking.progressToken = progressTokenOf(params)
    // What is said goes to the reply of the request that waits at that moment.
    const reply = {
      ...onlyAnswer(undefined),
      tells: call.reply.tells,
      notify(told: string, facts: Params, dispensable: boolean) {
        // Each request has a token of its own, and its client knows no other.
        if (told !== 'notifications/progress') asking.reply.notify(told, facts, dispensable)
        else if (asking.progressToken !== undefined)
          asking.reply.notify(told, { ...facts, progressToken: asking.progressToken }, dispensable)
      },
      ask: asking.ask,
    }
    kept.uses += 1
    kept.askable.add(asking.ask)
    void calls
      .run({
        credentialId: caller.credential.id,
        id: answered.id,
        session: undefined,
        reply,
        running(running) {
          asking.running = running
        },
        start: startOf(call, reply),
      })
      .then((outcome) => {
        noteFault(outcome, requestId, observe)
        kept.askable.delete(asking.ask)
        this.#parts.kept.release(kept)
        asking.settle(outcome)
      })
    return asking
  }

  /** Waits for the call on behalf of one request. When its client goes away, the call is stopped. */
  async #turn(asking: AskingCall, binding: string, call: StatelessCall): Promise<Reply> {
    const { exchange, answered } = call
    const { response } = exchange
    const gone = (): void => asking.running?.stop('gone')
    response.once('close', gone)
    let turn: Turn
    try {
      turn = await asking.turn()
    } finally {
      response.off('close', gone)
    }
    if (turn.kind !== 'asks') return pagesAsked(turn, call) ?? answerReply(turn, answered)
    const state = this.#parts.parked.park(asking, binding, exchange.caller.credential.id)
    if (state === undefined) {
      asking.running?.stop('cancelled')
      return refusedReply(tooManyParked(), answered)
    }
    return inputRequired(answered, turn.requests, state)
  }
}

/** What sends the request to its server; what that says before the answer goes to `reply`. */
const startOf =
  ({ exchange, kept, method, params, logLevel }: StatelessCall, reply: ReplyStream) =>
  (signal: AbortSignal) => {
    const { caller, requestId, trace } = exchange
    const revision = STATELESS_REVISION
    return forward(
      { caller, requestId, method, params, revision, live: kept.live, reply, trace, logLevel },
      signal,
    )
  }

function progressTokenOf({ _meta }: Params): RequestId | undefined {
  const token = isObject(_meta) ? _meta['progressToken'] : undefined
  return typeof token === 'string' || typeof token === 'number' ? token : undefined
}

function inputRequired({ id }: Answered, inputRequests: Params, requestState?: string): Reply {
  const result = {
    resultType: 'input_required',
    inputRequests,
    ...(requestState === undefined ? {} : { requestState }),
  }
  return { message: success(id, JSON.stringify(result)) }
}

/**
 * A server of 2025-11-25 may answer with the pages that a person must open first. Here that is a question like any
 * other; there is no state to go with it, since the next call is a new one for the server.
 */
function pagesAsked(turn: Turn, { kept, answered }: StatelessCall): Reply | undefined {
  if (turn.kind !== 'answered' || turn.answer.kind !== 'error') return undefined
  const { elicitation } = kept.live.facts.capabilities
  const pages = isObject(elicitation) && isObject(elicitation.url) ? pagesToVisit(turn.answer.error) : []
  if (pages.length === 0) return undefined
  const requests = pages.map(({ message, url }, at) => [
    `page-${at + 1}`,
    { method: 'elicitation/create', params: { mode: 'url', message: message ?? '', url } },
  ])
  return inputRequired(answered, Object.fromEntries(requests) as Params)
}

const unknownState = () =>
  rpcError(
    200,
    RPC_CODE.invalidParams,
    'this requestState is unknown, was used, expired or belongs to another request: call again without it',
    { data: { code: 'invalid_request', rule: 'mcp.requestState' } },
  )

const tooManyParked = () =>
  refusal('too_many_requests', 'parked', 'too many calls wait for answers of this client', {
    allowed: 'the same call when others have been answered',
  })
