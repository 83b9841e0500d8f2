import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../observation.ts'

/** Hands spans over; resolves when they were taken. */
export type Send<S> = (spans: S[]) => Promise<void>

/** Spans that wait; later ones are dropped. At some 2 KB each, a few megabytes. */
const MOST_WAITING = 2_048

const MOST_AT_ONCE = 512
const SEND_AFTER_MS = 1_000

/** How often the log says that spans are lost. */
const COMPLAIN_EVERY_MS = 60_000

/** How long the last ones may take when the process ends. */
const LAST_MS = 2_000

/**
 * Spans on their way to a collector: in batches, one batch at a time, and dropped rather than kept when it does
 * not take them. A collector that is slow or away costs spans and nothing else.
 */
export class SpanQueue<S> {
  readonly #send: Send<S>
  readonly #clock: Clock
  readonly #observe: Observe
  #waiting: S[] = []
  #sending: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #cancelComplaint: (() => void) | undefined
  #dropped = 0
  #problem = ''
  #closed = false

  constructor(send: Send<S>, clock: Clock, observe: Observe) {
    this.#send = send
    this.#clock = clock
    this.#observe = observe
  }

  add(span: S): void {
    if (this.#closed) return
    if (this.#waiting.length >= MOST_WAITING) {
      this.#lost(1, 'it does not keep up')
      return
    }
    this.#waiting.push(span)
    if (this.#waiting.length >= MOST_AT_ONCE) this.#sendNow()
    else this.#sendLater()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    let cancel = (): void => undefined
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(LAST_MS, resolve)
    })
    await Promise.race([this.#sendAll(), late])
    cancel()
    this.#lost(this.#waiting.length, 'it did not take them in time')
    this.#waiting = []
    this.#cancelComplaint?.()
    this.#complain()
  }

  #sendLater(): void {
    if (this.#sending !== undefined) return
    this.#cancelTimer ??= this.#clock.after(SEND_AFTER_MS, () => {
      this.#sendNow()
    })
  }

  #sendNow(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (this.#sending !== undefined || this.#waiting.length === 0) return
    const batch = this.#waiting.splice(0, MOST_AT_ONCE)
    this.#sending = this.#send(batch)
      .catch((error: unknown) => {
        this.#lost(batch.length, error instanceof Error ? error.message : String(error))
      })
      .then(() => {
        this.#sending = undefined
        if (this.#closed) return
        if (this.#waiting.length >= MOST_AT_ONCE) this.#sendNow()
        else if (this.#waiting.length > 0) this.#sendLater()
      })
  }

  async #sendAll(): Promise<void> {
    await this.#sending
    while (this.#waiting.length > 0) {
      this.#sendNow()
      await this.#sending
    }
  }

  /** The first loss is worth a line at once; what follows within a minute is added up. */
  #lost(count: number, problem: string): void {
    if (count === 0) return
    this.#dropped += count
    this.#problem = problem
    if (this.#cancelComplaint === undefined) this.#complain()
  }

  #complain(): void {
    if (this.#dropped === 0) return
    const dropped = this.#dropped
    this.#dropped = 0
    this.#observe({ kind: 'traces.export_failed', message: this.#problem, dropped })
    if (this.#closed) return
    this.#cancelComplaint = this.#clock.after(COMPLAIN_EVERY_MS, () => {
      this.#cancelComplaint = undefined
      this.#complain()
    })
  }
}
