import type { Clock } from '../lib/clock.ts'

/** The wall clock can be set; looking again at least this often bounds how late an expiry is noticed. */
const LONGEST_SLEEP_MS = 60_000

/**
 * Calls back when credentials expire: one timer for all of them, on a binary heap. `set` is cheap enough
 * for a file of ten thousand tokens.
 */
export class Expiries {
  readonly #clock: Clock
  readonly #expired: (credentialId: string) => void
  readonly #times = new Map<string, number>()
  #heap: { readonly id: string; readonly at: number }[] = []
  #cancel: (() => void) | undefined
  #armedFor = Infinity
  #closed = false

  constructor(clock: Clock, expired: (credentialId: string) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** @param at milliseconds since the epoch; `null` for a credential that does not expire */
  set(id: string, at: number | null): void {
    if (at === null) {
      this.#times.delete(id)
      return
    }
    if (this.#times.get(id) === at) return
    this.#times.set(id, at)
    this.#push({ id, at })
    // Entries that were replaced or forgotten stay in the heap until their turn; not without bound.
    if (this.#heap.length > 64 + 2 * this.#times.size) this.#rebuild()
    if (at < this.#armedFor) this.#arm()
  }

  forget(id: string): void {
    this.#times.delete(id)
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  #arm(): void {
    this.#cancel?.()
    const next = this.#heap[0]
    if (!next || this.#closed) {
      this.#armedFor = Infinity
      return
    }
    this.#armedFor = next.at
    const delayMs = Math.min(Math.max(0, next.at - this.#clock.now()), LONGEST_SLEEP_MS)
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#fire()
      this.#arm()
    })
  }

  #fire(): void {
    const now = this.#clock.now()
    for (let next = this.#heap[0]; next && next.at <= now; next = this.#heap[0]) {
      this.#pop()
      if (this.#times.get(next.id) !== next.at) continue
      this.#times.delete(next.id)
      this.#expired(next.id)
    }
  }

  #rebuild(): void {
    this.#heap = [...this.#times].map(([id, at]) => ({ id, at })).sort((a, b) => a.at - b.at)
  }

  #push(item: { readonly id: string; readonly at: number }): void {
    const heap = this.#heap
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (!above || above.at <= item.at) break
      heap[at] = above
      at = parent
    }
    heap[at] = item
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      let least = heap[left]
      let leastAt = left
      const other = heap[right]
      if (other && least && other.at < least.at) {
        least = other
        leastAt = right
      }
      if (!least || least.at >= last.at) break
      heap[at] = least
      at = leastAt
    }
    heap[at] = last
  }
}
