import { Bag } from './bag.ts'

/** A number is made of how many items there have been, and the place of this one. */
const MOST_PLACES = 65_536

/** Something that is given a number. */
export interface Numbered {
  /** Set when it is added: its own for ever, and higher than that of everything before it. */
  number: number
}

/**
 * A `Bag` whose items are found again by a number. The number is used once although the place is used again and again:
 * who asks for one that was removed does not get what came after it.
 */
export class NumberedBag<T extends Numbered> implements Iterable<T> {
  readonly #items = new Bag<T>()
  #count = 0

  /** @throws RangeError when it holds 65,536 items: whoever adds has to have a lower limit */
  add(item: T): void {
    if (this.#items.size >= MOST_PLACES) throw new RangeError(`a bag of more than ${MOST_PLACES} items`)
    this.#count += 1
    item.number = this.#count * MOST_PLACES + this.#items.add(item)
  }

  /** Answers false when it was not there any more. */
  remove(item: T): boolean {
    if (this.find(item.number) !== item) return false
    this.#items.remove(item.number % MOST_PLACES)
    return true
  }

  /** The item of a number, which may be anything that somebody sent. */
  find(number: unknown): T | undefined {
    if (typeof number !== 'number') return undefined
    const item = this.#items.at(number % MOST_PLACES)
    return item?.number === number ? item : undefined
  }

  /** The last that was added of those that fit. */
  latest(fits: (item: T) => boolean): T | undefined {
    let latest: T | undefined
    for (const item of this.#items)
      if ((latest === undefined || item.number > latest.number) && fits(item)) latest = item
    return latest
  }

  get size(): number {
    return this.#items.size
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]()
  }
}
