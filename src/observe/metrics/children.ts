/** Children of one metric beyond these share one more, whose labels all say `(other)`. */
const MOST_CHILDREN = 1_000

const OTHER = '(other)'

/**
 * What is counted under one name: one child for each set of labels, made once and kept, so that a request finds its
 * own with a look-up for each label.
 *
 * prom-client sets no bound. Nobody outside can make a time series each time they ask: routes, tools and servers are
 * named by configuration, tokens by administrators, and what is more than that is counted together.
 */
export class Children<T> {
  readonly #length: number
  readonly #make: (labels: readonly string[]) => T
  readonly #children = new Map<string, Map<string, Map<string, T>>>()
  #size = 0
  #other: T | undefined

  /**
   * @param length how many labels there are, three at most
   * @param make called once for each set of labels
   */
  constructor(length: number, make: (labels: readonly string[]) => T) {
    this.#length = length
    this.#make = make
  }

  /** The child for the values of the labels, in their order. */
  child(a = '', b = '', c = ''): T {
    return this.#children.get(a)?.get(b)?.get(c) ?? this.#add(a, b, c)
  }

  #add(a: string, b: string, c: string): T {
    if (this.#size >= MOST_CHILDREN) {
      return (this.#other ??= this.#make(Array.from({ length: this.#length }, () => OTHER)))
    }
    this.#size += 1
    const child = this.#make([a, b, c].slice(0, this.#length))
    let second = this.#children.get(a)
    if (!second) this.#children.set(a, (second = new Map()))
    let third = second.get(b)
    if (!third) second.set(b, (third = new Map()))
    third.set(c, child)
    return child
  }
}
