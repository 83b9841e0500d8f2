interface Waiting {
  /** True: its turn has come. False: it gave its place to somebody else. */
  readonly settle: (turn: boolean) => void
}

/**
 * Runs a bounded number of tasks at once and lets a bounded number wait. Owners take turns, and when no place is left
 * to wait in, whoever has the most of them gives one up for somebody who has fewer: a flood from one owner, or from a
 * few, is slow for them and for nobody else.
 */
export class WorkQueue {
  readonly #most: number
  readonly #mostWaiting: number
  readonly #mostWaitingPerOwner: number
  /** In the order of their turns; none of them is empty. */
  readonly #waiting = new Map<string, Waiting[]>()
  #waitingCount = 0
  #running = 0

  constructor(most: number, mostWaiting: number, mostWaitingPerOwner: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
    this.#mostWaitingPerOwner = mostWaitingPerOwner
  }

  /** Answers `null`, without running the task, where too much waits. */
  async run<T>(owner: string, task: () => Promise<T>): Promise<T | null> {
    if (this.#running < this.#most) this.#running += 1
    else if (!this.#makeRoom(owner) || !(await this.#wait(owner))) return null
    try {
      return await task()
    } finally {
      // The place goes to the next in line; nobody who comes meanwhile can take it.
      if (!this.#startNext()) this.#running -= 1
    }
  }

  #makeRoom(owner: string): boolean {
    const own = this.#waiting.get(owner)?.length ?? 0
    if (own >= this.#mostWaitingPerOwner) return false
    if (this.#waitingCount < this.#mostWaiting) return true
    const [largest, most] = this.#largest()
    if (most <= own + 1) return false
    this.#take(largest, 'last')?.settle(false)
    return true
  }

  #wait(owner: string): Promise<boolean> {
    this.#waitingCount += 1
    return new Promise((settle) => {
      const own = this.#waiting.get(owner)
      if (own) own.push({ settle })
      else this.#waiting.set(owner, [{ settle }])
    })
  }

  #startNext(): boolean {
    const owner = this.#waiting.keys().next()
    if (owner.done) return false
    const next = this.#take(owner.value, 'first')
    const rest = this.#waiting.get(owner.value)
    if (rest) {
      // A Map keeps the order of insertion: who had a turn goes to the end.
      this.#waiting.delete(owner.value)
      this.#waiting.set(owner.value, rest)
    }
    next?.settle(true)
    return true
  }

  #take(owner: string, which: 'first' | 'last'): Waiting | undefined {
    const own = this.#waiting.get(owner)
    const one = which === 'first' ? own?.shift() : own?.pop()
    if (own?.length === 0) this.#waiting.delete(owner)
    this.#waitingCount -= 1
    return one
  }

  #largest(): readonly [owner: string, count: number] {
    let largest: readonly [string, number] = ['', 0]
    for (const [owner, { length }] of this.#waiting) if (length > largest[1]) largest = [owner, length]
    return largest
  }
}
