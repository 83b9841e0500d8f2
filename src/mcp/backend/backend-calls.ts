import type { GuardedAnswer } from '../../tools/backend/backend.ts'
import { CALLS_PER_CREDENTIAL } from '../calls.ts'
import type { StopReason } from '../error-to-rpc.ts'
import type { Holdings } from '../holdings.ts'
import type { RequestId } from '../message.ts'
import { RunningCall } from '../running-call.ts'
import type { Session } from '../session.ts'
import type { ReplyStream } from './reply-stream.ts'

export type BackendOutcome =
  | { readonly kind: 'answered'; readonly answer: GuardedAnswer }
  | { readonly kind: 'failed'; readonly fault: unknown }
  | { readonly kind: 'stopped'; readonly reason: StopReason }

export interface BackendCallToRun {
  readonly credentialId: string
  readonly id: RequestId
  readonly session: Session | undefined
  readonly reply: Pick<ReplyStream, 'response' | 'resumable'>
  start(signal: AbortSignal): Promise<GuardedAnswer>
  /** Told at once, for whoever must be able to stop the call. */
  running?(call: RunningCall): void
  /** Told when the client's connection was lost but the client may come back. */
  left?(call: RunningCall): void
}

/**
 * Requests that run at a server, stopped when their client, credential or session ends. Their time limit is the
 * server's own, kept in `upstreams/`: what waits for a person is not slow.
 */
export class BackendCalls {
  readonly #holdings: Holdings

  constructor(holdings: Holdings) {
    this.#holdings = holdings
  }

  full(credentialId: string): boolean {
    return (this.#holdings.peek(credentialId)?.calls.size ?? 0) >= CALLS_PER_CREDENTIAL
  }

  /** Never rejects. A call that was stopped is answered at once, even when its server does not listen. */
  run(asked: BackendCallToRun): Promise<BackendOutcome> {
    return new Promise((resolve) => {
      const { credentialId, session, id } = asked
      const { response } = asked.reply
      const holding = this.#holdings.of(credentialId)
      const settle = (outcome: BackendOutcome): void => {
        holding.calls.remove(held)
        this.#holdings.settle(credentialId, holding)
        if (session?.calls?.get(id) === call) session.calls.delete(id)
        response?.off('close', gone)
        resolve(outcome)
      }
      const call = new RunningCall((reason) => {
        settle({ kind: 'stopped', reason })
      })
      const gone = (): void => {
        if (asked.reply.resumable()) asked.left?.(call)
        else call.stop('gone')
      }
      const held = holding.calls.add(call)
      if (session) (session.calls ??= new Map()).set(id, call)
      response?.once('close', gone)
      asked.running?.(call)
      asked.start(call.signal).then(
        (answer) => {
          settle({ kind: 'answered', answer })
        },
        (fault: unknown) => {
          settle({ kind: 'failed', fault })
        },
      )
    })
  }
}
