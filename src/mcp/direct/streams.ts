import { Bag } from '../../lib/bag.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Relay } from './relay.ts'

/** Shorter than the idle time-outs of common proxies (60 s). */
const KEEP_ALIVE_MS = 15_000

/** The streams that stay open, bounded in number, kept alive by one timer. */
export class Streams {
  /** All there may be. */
  readonly most: number
  readonly #open = new Bag<Relay>()
  readonly #clock: Clock
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock, most: number) {
    this.#clock = clock
    this.most = most
  }

  get size(): number {
    return this.#open.size
  }

  get full(): boolean {
    return this.#open.size >= this.most
  }

  /** Answers the place, which `remove` takes. */
  add(relay: Relay): number {
    this.#cancelTimer ??= this.#clock.after(KEEP_ALIVE_MS, this.#tick)
    return this.#open.add(relay)
  }

  remove(place: number): void {
    this.#open.remove(place)
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    for (const relay of this.#open) relay.stop('shutdown')
  }

  readonly #tick = (): void => {
    this.#cancelTimer = undefined
    for (const relay of this.#open) relay.keepAlive()
    if (this.#open.size > 0) this.#cancelTimer = this.#clock.after(KEEP_ALIVE_MS, this.#tick)
  }
}
