interface Waiting {
  readonly owner: string
  readonly start: () => void
}

/** Runs a bounded number of tasks at once, lets a bounded number wait, and of one owner fewer than that. */
export class WorkQueue {
  readonly #most: number
  readonly #mostWaiting: number
  readonly #mostWaitingPerOwner: number
  readonly #waiting: Waiting[] = []
  #running = 0

  constructor(most: number, mostWaiting: number, mostWaitingPerOwner: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
    this.#mostWaitingPerOwner = mostWaitingPerOwner
  }

  /** Answers `null`, without running the task, where too much waits. */
  async run<T>(owner: string, task: () => Promise<T>): Promise<T | null> {
    if (this.#running < this.#most) this.#running += 1
    else {
      if (!this.#hasRoom(owner)) return null
      await new Promise<void>((start) => this.#waiting.push({ owner, start }))
    }
    try {
      return await task()
    } finally {
      // The place goes to the next in line; nobody who comes meanwhile can take it.
      const next = this.#waiting.shift()
      if (next) next.start()
      else this.#running -= 1
    }
  }

  #hasRoom(owner: string): boolean {
    if (this.#waiting.length >= this.#mostWaiting) return false
    return this.#waiting.filter((one) => one.owner === owner).length < this.#mostWaitingPerOwner
  }
}
