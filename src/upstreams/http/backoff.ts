/** How long to wait before the next attempt to open a stream again, when the server does not say. */
export class Backoff {
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
   * @param askedMs what the server asked for (`retry`): never shorter, and doubled no faster than without
   * @param spread 0 to 1: keeps many streams of one server that was restarted from coming back at once
   */
  next(askedMs: number | undefined, spread: number): number {
    const base = Math.min(this.#mostMs, this.#firstMs * 2 ** Math.min(this.#attempts, 20))
    this.#attempts += 1
    return Math.max(
      askedMs ?? 0,
      askedMs !== undefined && this.#attempts === 1 ? 0 : base * (0.75 + spread / 2),
    )
  }
}
