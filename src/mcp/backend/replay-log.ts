import type { Clock } from '../../lib/clock.ts'

/** How long what was sent can be asked for again: time enough for a client that lost its connection to notice. */
export const RESUME_MS = 60_000

/** Bytes that are kept for one session, and for all of them. */
export const SESSION_REPLAY_BYTES = 1_048_576
const ALL_REPLAY_BYTES = 67_108_864

interface Kept {
  readonly channel: string
  readonly seq: number
  readonly message: string
  readonly at: number
}

/** What all sessions keep together. */
export class ReplayBudget {
  used = 0
  readonly limit: number

  constructor(limit = ALL_REPLAY_BYTES) {
    this.limit = limit
  }
}

/**
 * The last messages of a session's streams, for a client that comes back with `Last-Event-ID` (2025-11-25 transports,
 * "Resumability and Redelivery"). Bounded in bytes and time: the oldest go first.
 */
export class ReplayLog {
  readonly #budget: ReplayBudget
  readonly #clock: Clock
  #kept: Kept[] = []
  #bytes = 0

  constructor(budget: ReplayBudget, clock: Clock) {
    this.#budget = budget
    this.#clock = clock
  }

  get empty(): boolean {
    return this.#kept.length === 0
  }

  add(channel: string, seq: number, message: string): void {
    this.forgetOld()
    // Characters stand for bytes: close enough for a bound, and counting bytes of every message costs more.
    if (message.length > SESSION_REPLAY_BYTES) return
    this.#kept.push({ channel, seq, message, at: this.#clock.now() })
    this.#count(message.length)
    let out = 0
    while (
      out < this.#kept.length &&
      (this.#bytes > SESSION_REPLAY_BYTES || this.#budget.used > this.#budget.limit)
    ) {
      this.#count(-(this.#kept[out]?.message.length ?? 0))
      out += 1
    }
    if (out > 0) this.#kept.splice(0, out)
  }

  /** What was sent on a stream after that event, oldest first. */
  after(channel: string, seq: number): readonly { readonly seq: number; readonly message: string }[] {
    return this.#kept.filter((kept) => kept.channel === channel && kept.seq > seq)
  }

  forgetOld(): void {
    const oldest = this.#clock.now() - RESUME_MS
    let out = 0
    for (const kept of this.#kept) {
      if (kept.at > oldest) break
      this.#count(-kept.message.length)
      out += 1
    }
    if (out > 0) this.#kept.splice(0, out)
  }

  clear(): void {
    this.#count(-this.#bytes)
    this.#kept = []
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#budget.used += bytes
  }
}
