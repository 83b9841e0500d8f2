const NOTHING: Buffer = Buffer.alloc(0)

/** Less is never taken for a second piece. */
const FIRST_BYTES = 1_024

/**
 * Bytes that arrive in pieces. The place for them doubles, so that bytes sent one by one are not copied again and
 * again. How many there may be is for its owner to bound.
 */
export class GrowingBytes {
  readonly #mostBytes: number
  #place = NOTHING
  #length = 0

  /** @param mostBytes no larger place is taken than this, unless what is added needs it */
  constructor(mostBytes = Number.POSITIVE_INFINITY) {
    this.#mostBytes = mostBytes
  }

  get length(): number {
    return this.#length
  }

  /** A first piece is kept as it is until another comes: copy it where it is a part of something larger. */
  add(piece: Buffer): void {
    if (this.#length === 0) {
      this.#place = piece
      this.#length = piece.length
      return
    }
    const length = this.#length + piece.length
    if (length > this.#place.length) {
      const doubled = Math.min(this.#mostBytes, Math.max(FIRST_BYTES, this.#place.length * 2))
      const larger = Buffer.allocUnsafe(Math.max(length, doubled))
      this.#place.copy(larger, 0, 0, this.#length)
      this.#place = larger
    }
    piece.copy(this.#place, this.#length)
    this.#length = length
  }

  /** All of it, not copied: to be read before more is added. */
  view(): Buffer {
    return this.#place.subarray(0, this.#length)
  }

  /** All of it, for whoever asks to keep; nothing is left. */
  take(): Buffer {
    const all = this.view()
    this.#place = NOTHING
    this.#length = 0
    return all
  }
}
