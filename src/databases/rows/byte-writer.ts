const FIRST_BYTES = 4 * 1024
const CHUNK_BYTES = 64 * 1024

/** Copying a few bytes one by one is faster than the call that copies many. */
const FEW = 24

/**
 * Collects bytes and hands them on in pieces. `out` and `at` are open to whoever encodes: after `ensure(n)`
 * there is room for n bytes from `at` on, and `at` is where the next one goes.
 */
export class ByteWriter {
  readonly #deliver: (bytes: Buffer) => void
  out: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  at = 0
  /** What lies before it has been handed on. */
  #from = 0

  /** @param deliver receives each piece, to keep */
  constructor(deliver: (bytes: Buffer) => void) {
    this.#deliver = deliver
  }

  ensure(bytes: number): void {
    if (this.out.length - this.at >= bytes) return
    this.flush()
    this.out = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
    this.at = 0
    this.#from = 0
  }

  /** Hands on what there is. */
  flush(): void {
    if (this.at === this.#from) return
    this.#deliver(this.out.subarray(this.#from, this.at))
    this.#from = this.at
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
