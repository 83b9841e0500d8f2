import { Bag } from './bag.ts'
import type { Clock } from './clock.ts'

/** Something whose time can run out. */
export interface Due {
  /** Milliseconds since the epoch; set when it is put under a deadline. `Infinity` from then on takes the limit off. */
  dueAt: number
  /** Its time is over. It has to take itself away from the deadlines. */
  expire(): void
}

/**
 * One timer for everything that has the same time limit and usually keeps it: a timer of its own would cost a request
 * more than the rest of what is done with its body.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #watched = new Bag<Due>()
  #armed = false

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Answers the place, which `remove` takes, once. */
  add(due: Due): number {
    due.dueAt = this.#clock.now() + this.#limitMs
    if (!this.#armed) this.#arm(this.#limitMs)
    return this.#watched.add(due)
  }

  remove(place: number): void {
    this.#watched.remove(place)
  }

  #arm(delayMs: number): void {
    this.#armed = true
    this.#clock.after(delayMs, this.#look)
  }

  readonly #look = (): void => {
    const now = this.#clock.now()
    for (const due of this.#watched) if (due.dueAt <= now) due.expire()
    // Only now, because what expires may put something else under a deadline, and not the one that is next.
    let soonest = Number.POSITIVE_INFINITY
    for (const due of this.#watched) soonest = Math.min(soonest, due.dueAt)
    this.#armed = false
    if (soonest !== Number.POSITIVE_INFINITY) this.#arm(soonest - now)
  }
}
