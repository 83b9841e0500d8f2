/**
 * A map that forgets what was not asked for longest when it is full; to a quarter of its size, the order is not exact.
 * Every operation is O(1).
 */
export class BoundedMap<K, V> {
  readonly #limit: number
  readonly #entries = new Map<K, { readonly value: V; readonly at: number }>()
  /** How often something was put at the end. */
  #moves = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    // What is near the end stays where it is: a Map leaves a hole for each move, and for one key that is asked for all
    // the time it would walk over thousands of them.
    if (this.#moves - entry.at >= this.#limit / 4) this.#toEnd(key, entry.value)
    return entry.value
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#limit) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
    }
    this.#toEnd(key, value)
  }

  /** A Map keeps the order of insertion: moving to the end is what makes the first key the oldest. */
  #toEnd(key: K, value: V): void {
    this.#entries.delete(key)
    this.#moves += 1
    this.#entries.set(key, { value, at: this.#moves })
  }

  /** Without counting as a use. */
  has(key: K): boolean {
    return this.#entries.has(key)
  }

  delete(key: K): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }

  get size(): number {
    return this.#entries.size
  }
}
