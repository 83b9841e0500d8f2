/** Receives what PostgreSQL sends, message by message. */
export interface MessageSink {
  /**
   * Called once per message, as soon as its header is known and before its body is buffered: a row of
   * 900 MB must not be collected to find out that it is too large.
   *
   * @param length bytes of the body
   * @returns `take` to get the body, `skip` to let it pass by unbuffered, `stop` to read nothing more
   */
  header(type: number, length: number): 'take' | 'skip' | 'stop'
  /** The body is `buffer` from `start` to `end`; it is valid during the call only. */
  message(type: number, buffer: Buffer, start: number, end: number): void
}

const HEADER_BYTES = 5

/** Cuts the byte stream of a PostgreSQL server into messages. Holds at most one unfinished message. */
export class MessageReader {
  readonly #sink: MessageSink
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #type = 0
  /** The unfinished message: its body so far, and how much of it is there. */
  #body: Buffer | null = null
  #bodyBytes = 0
  /** Bytes that pass by. */
  #skipBytes = 0
  #stopped = false

  constructor(sink: MessageSink) {
    this.#sink = sink
  }

  /** Reads nothing more; what is buffered is let go. */
  stop(): void {
    this.#stopped = true
    this.#body = null
  }

  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      if (this.#skipBytes > 0) {
        const passed = Math.min(this.#skipBytes, chunk.length - at)
        this.#skipBytes -= passed
        at += passed
      } else if (this.#body !== null) {
        at = this.#fill(this.#body, chunk, at)
      } else if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        at = this.#begin(chunk[at] as number, chunk.readUInt32BE(at + 1) - 4, chunk, at + HEADER_BYTES)
      } else {
        const copied = chunk.copy(this.#header, this.#headerBytes, at)
        this.#headerBytes += copied
        at += copied
        if (this.#headerBytes === HEADER_BYTES) {
          this.#headerBytes = 0
          at = this.#begin(this.#header[0] as number, this.#header.readUInt32BE(1) - 4, chunk, at)
        }
      }
    }
  }

  /** Starts a message whose body begins at `at`; delivers it at once when the chunk holds all of it. */
  #begin(type: number, length: number, chunk: Buffer, at: number): number {
    const verdict = length < 0 ? 'stop' : this.#sink.header(type, length)
    if (verdict === 'stop') {
      this.stop()
      return chunk.length
    }
    if (verdict === 'skip') {
      this.#skipBytes = length
      return at
    }
    if (chunk.length - at >= length) {
      this.#sink.message(type, chunk, at, at + length)
      return at + length
    }
    this.#type = type
    this.#body = Buffer.allocUnsafeSlow(length)
    this.#bodyBytes = chunk.copy(this.#body, 0, at)
    return chunk.length
  }

  #fill(body: Buffer, chunk: Buffer, at: number): number {
    const copied = chunk.copy(body, this.#bodyBytes, at)
    this.#bodyBytes += copied
    if (this.#bodyBytes === body.length) {
      this.#body = null
      this.#sink.message(this.#type, body, 0, body.length)
    }
    return at + copied
  }
}
