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
    this.#controller.abort()
  }
}

/**
 * One timer for all running calls: they share one time limit, so the oldest is always the next to be due.
 * A timer of its own would cost each call more than everything else here.
 */
export class Deadlines {
  readonly #calls = new Set<RunningCall>()
  readonly #clock: Clock
  readonly #limitMs: number
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  add(call: RunningCall): void {
    call.deadline = this.#clock.now() + this.#limitMs
    this.#calls.add(call)
    this.#cancelTimer ??= this.#clock.after(this.#limitMs, this.#expire)
  }

  delete(call: RunningCall): void {
    this.#calls.delete(call)
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  readonly #expire = (): void => {
    this.#cancelTimer = undefined
    const now = this.#clock.now()
    for (const call of this.#calls) {
      if (call.deadline > now) {
        this.#cancelTimer = this.#clock.after(call.deadline - now, this.#expire)
        return
      }
      this.#calls.delete(call)
      call.stop('timeout')
    }
  }
}
