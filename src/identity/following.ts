import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store, Topic } from '../store/open.ts'

/** Without a healthy feed, what was read from the store counts for this long. */
const TRUST_MS = 2_000

/** How often the store is asked for changes while the feed is not healthy. */
const RECHECK_EVERY_MS = 500

/** When nothing could be verified for this long, what is open is ended: closed rather than stale. */
const END_UNVERIFIED_AFTER_MS = 15_000

export interface FollowingParts {
  readonly store: Store
  readonly topic: Topic
  readonly clock: Clock
  readonly observe: Observe
  /** Reads what changed since the last time and acts on it. */
  readonly take: () => Promise<void>
  /** Ends what is open, because nothing could be verified for too long. */
  readonly unverified: () => void
}

/** Keeps a cache of one topic true by the change feed, and says how far it can be trusted. */
export class Following {
  readonly #parts: FollowingParts
  /** Rises with every announced change: a read that began before one must not be remembered after it. */
  #generation = 0
  /** When the store last confirmed that everything announced is known here. */
  #confirmedAt = 0
  #current = true
  #refreshing: Promise<void> | undefined
  #refreshAgain = false
  #unsubscribe: (() => void) | undefined
  #cancel: (() => void) | undefined
  #closed = false

  constructor(parts: FollowingParts) {
    this.#parts = parts
  }

  start(): void {
    const { store, topic, clock } = this.#parts
    this.#unsubscribe = store.feed.subscribe((announced) => {
      if (announced !== topic) return
      this.#generation += 1
      this.#current = false
      void this.refresh()
    })
    this.#confirmedAt = clock.now()
    this.#again()
  }

  get generation(): number {
    return this.#generation
  }

  /** Whether what was read at `checkedAt` still counts. */
  trusts(checkedAt: number, now: number): boolean {
    return this.#isCurrent || now - Math.max(checkedAt, this.#confirmedAt) < TRUST_MS
  }

  /** True while changes made elsewhere arrive in time; one that is being read does not count. */
  ready(now: number): boolean {
    return this.#parts.store.feed.healthy() && (this.#current || now - this.#confirmedAt < TRUST_MS)
  }

  /** Resolves also when the store does not answer. */
  async refresh(): Promise<void> {
    if (this.#refreshing) {
      this.#refreshAgain = true
      return await this.#refreshing
    }
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return await this.#refreshing
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#unsubscribe?.()
    this.#cancel?.()
    await this.#refreshing
  }

  get #isCurrent(): boolean {
    return this.#current && this.#parts.store.feed.healthy()
  }

  async #refresh(): Promise<void> {
    const { clock, observe, topic, take } = this.#parts
    do {
      this.#refreshAgain = false
      const startedAt = clock.now()
      const generation = this.#generation
      try {
        await take()
        this.#confirmedAt = startedAt
        if (generation === this.#generation) this.#current = true
      } catch (error) {
        // Stays not current: cached answers expire, and the recheck tries again.
        if (!this.#closed) observe({ kind: 'fault', where: `identity.refresh.${topic}`, error })
        return
      }
    } while (this.#refreshAgain)
  }

  #recheck(): void {
    const now = this.#parts.clock.now()
    if (this.#isCurrent) {
      this.#confirmedAt = now
      return
    }
    void this.refresh()
    if (now - this.#confirmedAt >= END_UNVERIFIED_AFTER_MS) this.#parts.unverified()
  }

  #again(): void {
    this.#cancel = this.#parts.clock.after(RECHECK_EVERY_MS, () => {
      this.#recheck()
      if (!this.#closed) this.#again()
    })
  }
}
