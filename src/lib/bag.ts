/**
 * A collection for what comes and goes with every request: no order, no look-up, places reused.
 *
 * A `Set` would do, but one that always changes is renewed every few dozen entries, and each table that it
 * leaves behind points to the next. Once the first is old, V8's young generation takes all of them, and with
 * them every request they ever held, for alive until the next full collection. Measured at 16 connections: some
 * 4 KB for each request survived, and a pause of 12 ms five times a second.
 */
export class Bag<T> implements Iterable<T> {
  readonly #places: (T | undefined)[] = []
  readonly #free: number[] = []

  /** Answers the place, which `remove` takes. */
  add(item: T): number {
    const place = this.#free.pop() ?? this.#places.length
    this.#places[place] = item
    return place
  }

  /** Empties a place. To be called once for each `add`. */
  remove(place: number): void {
    if (this.#places[place] === undefined) return
    this.#places[place] = undefined
    this.#free.push(place)
  }

  /** What is at a place, which somebody else may have by now. */
  at(place: number): T | undefined {
    return this.#places[place]
  }

  get size(): number {
    return this.#places.length - this.#free.length
  }

  /** What is added while this runs may or may not be seen; what is removed is not. */
  *[Symbol.iterator](): Iterator<T> {
    for (const item of this.#places) if (item !== undefined) yield item
  }
}
