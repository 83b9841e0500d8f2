const FIRST_BYTES = 4 * 1024
const CHUNK_BYTES = 64 * 1024

/** Chunks kept for another time. More are on their way only while the reader is behind. */
const MOST_SPARE = 4

/** Copying a few bytes one by one is faster than the call that copies many. */
const FEW = 24

/**
 * Collects bytes and hands them on in pieces. `out` and `at` are open to whoever encodes: after `ensure(n)`
 * there is room for n bytes from `at` on, and `at` is where the next one goes.
 */
export class ByteWriter {
  readonly #deliver: (bytes: Buffer, done: () => void) => void
  readonly #spare: Buffer[] = []
  /** Pieces of the chunk that somebody still has. */
  #lent = { count: 0 }
  out: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  at = 0
  /** What lies before it has been handed on. */
  #from = 0

  /**
   * @param deliver receives each piece. It is theirs until they call `done`, if they do: the room is used again,
   *   because a gigabyte of fresh chunks is much memory until it is collected.
   */
  constructor(deliver: (bytes: Buffer, done: () => void) => void) {
    this.#deliver = deliver
  }

  ensure(bytes: number): void {
    if (this.out.length - this.at >= bytes) return
    this.flush()
    if (this.#lent.count === 0) this.#keep(this.out)
    const spare = bytes <= CHUNK_BYTES ? this.#spare.pop() : undefined
    this.out = spare ?? Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
    this.#lent = { count: 0 }
    this.at = 0
    this.#from = 0
  }

  /** Hands on what there is. */
  flush(): void {
    if (this.at === this.#from) return
    const { out } = this
    const lent = this.#lent
    const piece = out.subarray(this.#from, this.at)
    this.#from = this.at
    lent.count += 1
    this.#deliver(piece, () => {
      lent.count -= 1
      if (lent.count === 0 && out !== this.out) this.#keep(out)
    })
  }

  #keep(chunk: Buffer): void {
    if (chunk.length === CHUNK_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(chunk)
  }

  bytes(bytes: Buffer): void {
    this.range(bytes, 0, bytes.length)
  }

  text(text: string): void {
    this.bytes(Buffer.from(text))
  }

  range(bytes: Buffer, start: number, end: number): void {
    const length = end - start
    this.ensure(length)
    const { out } = this
    if (length > FEW) {
      bytes.copy(out, this.at, start, end)
      this.at += length
      return
    }
    let { at } = this
    for (let from = start; from < end; from += 1) {
      out[at] = bytes[from] as number
      at += 1
    }
    this.at = at
  }
}
