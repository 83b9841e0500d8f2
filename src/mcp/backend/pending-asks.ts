import { randomBytes } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import type { AskAnswer } from '../../upstreams/conversation.ts'
import type { Params } from '../message.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { notificationText, requestText } from './frame.ts'

/** Requests of its server that one client may have open. */
export const ASKS_PER_CLIENT = 32

/** Time for a person to answer. */
export const ASK_LIMIT_MS = 600_000

/** 128 random bits: whoever learns of a session cannot guess what it was asked. */
const ID_BYTES = 16

/** Requests that were sent to a client, waiting for their answers. */
export class PendingAsks {
  readonly #clock: Clock
  readonly #pending = new Map<string, (answer: AskAnswer) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param send puts a message on the stream that belongs to the request */
  ask(
    method: string,
    params: Params,
    signal: AbortSignal,
    send: (message: string) => void,
  ): Promise<AskAnswer> {
    if (this.#pending.size >= ASKS_PER_CLIENT)
      return Promise.resolve(failed('the client has too much to answer'))
    if (signal.aborted) return Promise.resolve(failed('the request was cancelled'))
    return new Promise((resolve) => {
      const id = randomBytes(ID_BYTES).toString('base64url')
      const giveUp = (why: string): void => {
        send(notificationText('notifications/cancelled', { requestId: id, reason: why }))
        settle(failed(why))
      }
      const aborted = (): void => giveUp('the request was cancelled')
      const stopTimer = this.#clock.after(ASK_LIMIT_MS, () => giveUp('the client took too long to answer'))
      const settle = (answer: AskAnswer): void => {
        if (!this.#pending.delete(id)) return
        stopTimer()
        signal.removeEventListener('abort', aborted)
        resolve(answer)
      }
      this.#pending.set(id, settle)
      signal.addEventListener('abort', aborted, { once: true })
      send(requestText(id, method, params))
    })
  }

  /** Takes an answer. One to nothing that was asked, or that was answered before, means nothing. */
  answer(id: unknown, answer: AskAnswer | undefined): void {
    if (typeof id !== 'string') return
    this.#pending.get(id)?.(answer ?? failed('the client sent no valid answer'))
  }

  /** The client is gone: whoever waits for it is told so. */
  close(): void {
    for (const settle of this.#pending.values()) settle(failed('the client is gone'))
  }
}

const failed = (message: string): AskAnswer => ({
  kind: 'error',
  error: { code: RPC_CODE.internal, message },
})
