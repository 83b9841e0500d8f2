import { stoppedBy } from '../access/stop-refusal.ts'
import type { Clock } from '../lib/clock.ts'
import type { EndedBy } from './exchange.ts'

/** Waiting ended without what was waited for: the caller went away, or its credential or the server ended. */
export interface Interrupted {
  readonly interrupted: EndedBy
}

export const isInterrupted = (value: object): value is Interrupted => 'interrupted' in value

/** One caller that waits for something. It settles once; afterwards nothing of it is left on clock or signal. */
export class Waiter<T extends object> {
  readonly promise: Promise<T | Interrupted>
  readonly #resolve: (value: T | Interrupted) => void
  readonly #reject: (fault: Error) => void
  readonly #signal: AbortSignal
  readonly #onAbort: () => void
  readonly #stopTimer: () => void
  #settled = false

  /**
   * @param expired called when the deadline has passed: makes the error
   * @param left called when the waiter settles by itself, so that its queue can let go of it
   */
  constructor(
    clock: Clock,
    timeoutMs: number,
    signal: AbortSignal,
    expired: () => Error,
    left: (waiter: Waiter<T>) => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<T | Interrupted>()
    this.promise = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#signal = signal
    this.#onAbort = () => {
      this.interrupt(stoppedBy(signal))
      left(this)
    }
    this.#stopTimer = clock.after(timeoutMs, () => {
      this.fail(expired())
      left(this)
    })
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  deliver(value: T): void {
    if (this.#settle()) this.#resolve(value)
  }

  interrupt(by: EndedBy): void {
    if (this.#settle()) this.#resolve({ interrupted: by })
  }

  fail(fault: Error): void {
    if (this.#settle()) this.#reject(fault)
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#stopTimer()
    this.#signal.removeEventListener('abort', this.#onAbort)
    return true
  }
}
