import { CredentialEnded } from '../identity/credential-ended.ts'
import type { EndReason } from '../identity/lifelines.ts'
import { Bag } from '../lib/bag.ts'
import type { Clock } from '../lib/clock.ts'
import type { StopReason } from './error-to-rpc.ts'

/** A call between its request and its answer. Stopping it answers the client at once, whatever the tool does. */
export class RunningCall {
  readonly #controller = new AbortController()
  readonly #stopped: (reason: StopReason) => void
  /** Milliseconds since the epoch; set when the call is put under a deadline. */
  deadline = 0

  /** @param stopped told once, when the call is stopped before its answer */
  constructor(stopped: (reason: StopReason) => void) {
    this.#stopped = stopped
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  stop(reason: StopReason): void {
    if (this.#controller.signal.aborted) return
    this.#stopped(reason)
    this.#controller.abort(isEndReason(reason) ? new CredentialEnded(reason) : undefined)
  }
}

const isEndReason = (reason: StopReason): reason is EndReason =>
  reason !== 'cancelled' && reason !== 'timeout' && reason !== 'gone'

/**
 * One timer for all running calls, because they share one time limit. A timer of its own would cost each call
 * more than everything else here.
 */
export class Deadlines {
  readonly #calls = new Bag<RunningCall>()
  readonly #clock: Clock
  readonly #limitMs: number
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Answers what `remove` takes. */
  add(call: RunningCall): number {
    call.deadline = this.#clock.now() + this.#limitMs
    this.#cancelTimer ??= this.#clock.after(this.#limitMs, this.#expire)
    return this.#calls.add(call)
  }

  remove(place: number): void {
    this.#calls.remove(place)
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  readonly #expire = (): void => {
    this.#cancelTimer = undefined
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const call of this.#calls) {
      // A call that is stopped takes itself out.
      if (call.deadline <= now) call.stop('timeout')
      else next = Math.min(next, call.deadline)
    }
    if (next !== Number.POSITIVE_INFINITY) this.#cancelTimer = this.#clock.after(next - now, this.#expire)
  }
}
