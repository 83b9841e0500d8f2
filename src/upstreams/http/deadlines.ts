import { Bag } from '../../lib/bag.ts'
import type { Clock } from '../../lib/clock.ts'

/** Something whose time can run out. */
export interface Due {
  /** Milliseconds since the epoch; `Infinity` for never. May change while it is watched. */
  readonly dueAt: number
  /** Its time is over: it has to take itself away from the deadlines. */
  expire(): void
}

/**
 * Watches many deadlines with one timer, because a timer for each forwarded request would cost more than the rest
 * of it. A deadline is noticed at most `stepMs` late.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #stepMs: number
  readonly #watched = new Bag<Due>()
  #armed = false

  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock
    this.#stepMs = stepMs
  }

  /** Answers the place, which `remove` takes, once. */
  add(due: Due): number {
    if (!this.#armed) this.#arm()
    return this.#watched.add(due)
  }

  remove(place: number): void {
    this.#watched.remove(place)
  }

  #arm(): void {
    this.#armed = true
    this.#clock.after(this.#stepMs, () => {
      const now = this.#clock.now()
      for (const due of this.#watched) if (due.dueAt <= now) due.expire()
      if (this.#watched.size > 0) this.#arm()
      else this.#armed = false
    })
  }
}
