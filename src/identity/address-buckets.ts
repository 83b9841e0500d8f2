import type { Clock } from '../lib/clock.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { network } from './network.ts'

const MOST_ADDRESSES = 50_000

/** How often something may be done from one address: so many at once, then one more every so often. */
export class AddressBuckets {
  readonly #clock: Clock
  readonly #burst: number
  readonly #refillMs: number
  readonly #buckets = new BoundedMap<string, { readonly left: number; readonly at: number }>(MOST_ADDRESSES)

  /** @param refillMs milliseconds until one more is free */
  constructor(clock: Clock, burst: number, refillMs: number) {
    this.#clock = clock
    this.#burst = burst
    this.#refillMs = refillMs
  }

  /** How long until the next one is free; 0 when it is. Milliseconds. Asking counts as nothing. */
  waitMs(address: string): number {
    const left = this.#leftOf(network(address))
    return left >= 1 ? 0 : Math.ceil((1 - left) * this.#refillMs)
  }

  count(address: string): void {
    const from = network(address)
    this.#buckets.set(from, { left: Math.max(0, this.#leftOf(from) - 1), at: this.#clock.now() })
  }

  #leftOf(from: string): number {
    const bucket = this.#buckets.get(from)
    if (!bucket) return this.#burst
    const since = Math.max(0, this.#clock.now() - bucket.at)
    return Math.min(this.#burst, bucket.left + since / this.#refillMs)
  }
}
