import { GrowingBytes } from '../../lib/growing-bytes.ts'

/** One event of an event stream. */
export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly type: string
  readonly data: string
}

/** A line or an event was longer than it may be. */
export class EventTooLong extends Error {
  constructor(maxBytes: number) {
    super(`an event of more than ${maxBytes} bytes`)
    this.name = 'EventTooLong'
  }
}

/** Longer ids are no cursors but memory; they would have to be sent back in a header. */
const LONGEST_ID = 1_024
/** Longer waits would be a way to make a client forget. */
const LONGEST_RETRY_MS = 3_600_000

const LF = 0x0a
const CR = 0x0d
const COLON = 0x3a
const SPACE = 0x20
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Reads an event stream (HTML Standard §9.2.6) from chunks that may be cut anywhere, also inside a character or
 * between the two bytes of a line end. It holds no more than one event, of bounded size.
 */
export class EventReader {
  /** The last id that was set; empty when there is none, or it was taken back. */
  lastId = ''
  /** How long to wait before connecting again, as the server said. */
  retryMs: number | undefined
  readonly #maxBytes: number
  /** The line that is not complete yet. */
  readonly #held: GrowingBytes
  #afterCr = false
  #first = true
  #type = ''
  #data: string[] = []
  #dataBytes = 0

  /** @param maxBytes of one event, its names included */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#held = new GrowingBytes(maxBytes)
  }

  /** @throws EventTooLong; the reader cannot be used any more */
  push(chunk: Buffer): readonly StreamEvent[] {
    const events: StreamEvent[] = []
    let at = 0
    if (this.#afterCr && chunk.length > 0) {
      this.#afterCr = false
      if (chunk[0] === LF) at = 1
    }
    let lf = chunk.indexOf(LF, at)
    let cr = chunk.indexOf(CR, at)
    while (at < chunk.length) {
      if (lf !== -1 && lf < at) lf = chunk.indexOf(LF, at)
      if (cr !== -1 && cr < at) cr = chunk.indexOf(CR, at)
      const end = lf === -1 ? cr : cr === -1 ? lf : Math.min(lf, cr)
      if (end === -1) {
        this.#hold(chunk.subarray(at))
        break
      }
      const event = this.#line(this.#complete(chunk.subarray(at, end)))
      if (event) events.push(event)
      at = end + 1
      if (chunk[end] === CR) {
        if (at === chunk.length) this.#afterCr = true
        else if (chunk[at] === LF) at += 1
      }
    }
    return events
  }

  /** Keeps the beginning of a line. */
  #hold(piece: Buffer): void {
    this.#bound(this.#held.length + piece.length)
    // A copy, so that a few bytes do not keep the whole chunk in memory.
    this.#held.add(this.#held.length === 0 ? Buffer.from(piece) : piece)
  }

  /** The whole line, given its end. */
  #complete(end: Buffer): Buffer {
    if (this.#held.length === 0) {
      this.#bound(end.length)
      return end
    }
    this.#hold(end)
    return this.#held.take()
  }

  #bound(lineBytes: number): void {
    if (lineBytes + this.#dataBytes > this.#maxBytes) throw new EventTooLong(this.#maxBytes)
  }

  #line(whole: Buffer): StreamEvent | undefined {
    let line = whole
    if (this.#first) {
      this.#first = false
      if (line.length >= 3 && line.subarray(0, 3).equals(BOM)) line = line.subarray(3)
    }
    if (line.length === 0) return this.#dispatch()
    const colon = line.indexOf(COLON)
    // A comment: what keeps a quiet connection open.
    if (colon === 0) return undefined
    const name = line.toString('latin1', 0, colon === -1 ? line.length : colon)
    const start = colon === -1 ? line.length : line[colon + 1] === SPACE ? colon + 2 : colon + 1
    this.#field(name, line, start)
    return undefined
  }

  #field(name: string, line: Buffer, start: number): void {
    switch (name) {
      case 'data':
        this.#data.push(line.toString('utf8', start))
        // The line end counts, so that a million empty lines are not nothing.
        this.#dataBytes += line.length + 1
        if (this.#dataBytes > this.#maxBytes) throw new EventTooLong(this.#maxBytes)
        break
      case 'event':
        this.#type = line.toString('utf8', start)
        break
      case 'id': {
        const id = line.toString('utf8', start)
        // What cannot be sent back in a header is no cursor; the standard itself leaves out ids with a NUL.
        if (id.length <= LONGEST_ID && /^[\x20-\x7E]*$/.test(id)) this.lastId = id
        break
      }
      case 'retry': {
        const text = line.toString('latin1', start)
        if (/^\d{1,9}$/.test(text)) this.retryMs = Math.min(LONGEST_RETRY_MS, Number(text))
        break
      }
      default:
    }
  }

  #dispatch(): StreamEvent | undefined {
    const data = this.#data
    const type = this.#type
    this.#type = ''
    if (data.length === 0) return undefined
    this.#data = []
    this.#dataBytes = 0
    return {
      type: type === '' ? 'message' : type,
      data: data.length === 1 ? (data[0] as string) : data.join('\n'),
    }
  }
}
