export interface FamilyFacts {
  /** As Prometheus names it, `_total` of a counter included. */
  readonly name: string
  /** One sentence. */
  readonly help: string
  readonly labels: readonly string[]
}

/** Children of one family beyond these share one more, whose labels all say `(other)`. */
const MOST_CHILDREN = 1_000

const OTHER = '(other)'

/**
 * Everything that is measured under one name: one child for each set of labels. Finding a child costs a look-up
 * for each label, and nothing is allocated once it is there, because every request does so.
 *
 * Nobody outside can make a time series each time they ask: routes, tools and servers are named by configuration,
 * tokens by administrators, and what is more than that is counted together.
 */
export class Family<T> {
  readonly facts: FamilyFacts
  readonly #make: () => T
  readonly #children = new Map<string, Map<string, Map<string, T>>>()
  readonly #all: { readonly labels: readonly string[]; readonly child: T }[] = []
  #other: T | undefined

  /** @param facts with three labels at most */
  constructor(facts: FamilyFacts, make: () => T) {
    this.facts = facts
    this.#make = make
    // Without labels there is one child, which is there from the start: a counter that says 0.
    if (facts.labels.length === 0) this.child()
  }

  /** The child for the values of the labels, in the order of `facts.labels`. */
  child(a = '', b = '', c = ''): T {
    return this.#children.get(a)?.get(b)?.get(c) ?? this.#add(a, b, c)
  }

  get children(): readonly { readonly labels: readonly string[]; readonly child: T }[] {
    return this.#all
  }

  #add(a: string, b: string, c: string): T {
    const { length } = this.facts.labels
    if (this.#all.length >= MOST_CHILDREN) {
      if (this.#other === undefined) {
        this.#other = this.#make()
        this.#all.push({ labels: Array.from({ length }, () => OTHER), child: this.#other })
      }
      return this.#other
    }
    const child = this.#make()
    let second = this.#children.get(a)
    if (!second) this.#children.set(a, (second = new Map()))
    let third = second.get(b)
    if (!third) second.set(b, (third = new Map()))
    third.set(c, child)
    this.#all.push({ labels: [a, b, c].slice(0, length), child })
    return child
  }
}
