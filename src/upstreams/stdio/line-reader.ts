const NEWLINE = 0x0a

/** Splits bytes into lines, and bounds the one that is being collected. */
export class LineReader {
  readonly #mostBytes: number
  #parts: Buffer[] = []
  #bytes = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** True when bytes arrived that no line end has followed yet. */
  get unfinished(): boolean {
    return this.#bytes > 0
  }

  /**
   * Takes bytes and gives each line that is complete, without its end.
   *
   * @throws LineTooLong before more than the bound is kept; the reader is then of no more use
   */
  *read(chunk: Buffer): Generator<string> {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end === -1) break
      this.#check(end - from)
      yield this.#line(chunk.subarray(from, end))
      from = end + 1
    }
    if (from === chunk.length) return
    this.#check(chunk.length - from)
    // A copy: a view would keep the whole chunk for a few bytes of it.
    const rest = from === 0 ? chunk : Buffer.from(chunk.subarray(from))
    this.#parts.push(rest)
    this.#bytes += rest.length
  }

  #check(more: number): void {
    if (this.#bytes + more > this.#mostBytes) throw new LineTooLong(this.#mostBytes)
  }

  #line(last: Buffer): string {
    let bytes = last
    if (this.#bytes > 0) {
      bytes = Buffer.concat([...this.#parts, last])
      this.#parts = []
      this.#bytes = 0
    }
    return bytes.toString('utf8')
  }
}

export class LineTooLong extends Error {
  constructor(mostBytes: number) {
    super(`a line of more than ${mostBytes} bytes`)
    this.name = 'LineTooLong'
  }
}
