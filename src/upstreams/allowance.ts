/** A token bucket: so much at once, so much each second. Time is passed in, in milliseconds. */
export class Allowance {
  readonly #burst: number
  readonly #perMs: number
  #left: number
  #at: number

  constructor(limits: { readonly burst: number; readonly perSecond: number }, now: number) {
    this.#burst = limits.burst
    this.#perMs = limits.perSecond / 1_000
    this.#left = limits.burst
    this.#at = now
  }

  /** Takes `cost` although it may not be there, and answers how long to wait until nothing is owed: 0 for not at all. */
  take(cost: number, now: number): number {
    this.#fill(now)
    this.#left -= cost
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs)
  }

  /** Takes `cost` if it is there. */
  tryTake(cost: number, now: number): boolean {
    this.#fill(now)
    if (this.#left < cost) return false
    this.#left -= cost
    return true
  }

  #fill(now: number): void {
    // A clock that was set back must not take away what was there.
    if (now > this.#at) this.#left = Math.min(this.#burst, this.#left + (now - this.#at) * this.#perMs)
    this.#at = now
  }
}
