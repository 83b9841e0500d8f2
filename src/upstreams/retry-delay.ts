/** A server that asks to be called again at once gets no loop out of it. */
const SHORTEST_MS = 50

/** How long to wait before the next attempt to open a stream again, when the server does not say. */
export class RetryDelay {
  readonly #firstMs: number
  readonly #mostMs: number
  #attempts = 0

  constructor(firstMs: number, mostMs: number) {
    this.#firstMs = firstMs
    this.#mostMs = mostMs
  }

  get attempts(): number {
    return this.#attempts
  }

  /** Something arrived: what follows is a new failure, not the next of the same. */
  reset(): void {
    this.#attempts = 0
  }

  /**
   * @param askedMs what the server asked for (`retry`): taken at its word once, and never undercut
   * @param spread 0 to 1: keeps many streams of one server that was restarted from coming back at once
   */
  next(askedMs: number | undefined, spread: number): number {
    const first = this.#attempts === 0
    const own =
      Math.min(this.#mostMs, this.#firstMs * 2 ** Math.min(this.#attempts, 20)) * (0.75 + spread / 2)
    this.#attempts += 1
    if (askedMs === undefined) return own
    return first ? Math.max(askedMs, SHORTEST_MS) : Math.max(askedMs, own)
  }
}
