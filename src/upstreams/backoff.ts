const FIRST_MS = 250
const LONGEST_MS = 60_000

/** Each delay is between this and the whole, so that many who failed together do not return together. */
const LEAST_SHARE = 0.75

/** A process that lived this long did not fail to start: what ended it may be over. */
const LONG_LIFE_MS = 30_000

/** Failures are kept of so many callers; more share what is left. */
const MOST_KEYS = 1_000

interface Failing {
  readonly failures: number
  readonly retryAt: number
  readonly problem: string
}

/**
 * When to try again what failed: doubling delays from 250 ms to a minute. Kept for each key apart: what fails
 * for one caller, such as a credential of their own, is no reason to refuse another.
 */
export class Backoff {
  readonly #failing = new Map<string, Failing>()
  readonly #random: () => number

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** What stands in the way now, if anything. */
  waiting(key: string, now: number): Failing | undefined {
    const failing = this.#failing.get(key)
    return failing && failing.retryAt > now ? failing : undefined
  }

  /** @param livedMs how long it had worked before. Answers when to try again. */
  failed(key: string, problem: string, livedMs: number, now: number): number {
    const before = this.#failing.get(key)
    // Several conversations tell of the same end.
    if (before && before.retryAt > now) return before.retryAt
    const failures = livedMs >= LONG_LIFE_MS || before === undefined ? 1 : before.failures + 1
    const delayMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20))
    const retryAt = now + Math.ceil(delayMs * (LEAST_SHARE + (1 - LEAST_SHARE) * this.#random()))
    this.#failing.delete(key)
    this.#failing.set(key, { failures, retryAt, problem })
    if (this.#failing.size > MOST_KEYS) this.#forgetOldest()
    return retryAt
  }

  /** It answers. What failed a moment ago is remembered: it may fail again as soon as it is used. */
  succeeded(key: string, now: number): void {
    const before = this.#failing.get(key)
    if (before && now - before.retryAt >= LONG_LIFE_MS) this.#failing.delete(key)
  }

  /** It answers, and what it failed at before says nothing of what it will do. */
  clear(key: string): void {
    this.#failing.delete(key)
  }

  /** The latest failure of anybody. */
  latest(): Failing | undefined {
    let latest: Failing | undefined
    for (const failing of this.#failing.values()) latest = failing
    return latest
  }

  #forgetOldest(): void {
    for (const key of this.#failing.keys()) {
      this.#failing.delete(key)
      return
    }
  }
}
