import type { ServerResponse } from 'node:http'
import type { Clock } from '../lib/clock.ts'

/**
 * Bytes that may wait for a client that does not read. Reached, the connection is cut: a stream that loses
 * messages silently would be worse than one that ends, and memory must not depend on the reader.
 */
export const STREAM_BUFFER_BYTES = 1_048_576

/** Shorter than the idle time-outs of common proxies (60 s). */
const KEEP_ALIVE_MS = 15_000

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  // Without it nginx holds events back until its buffer is full (2026-07-28 streamable HTTP).
  'x-accel-buffering': 'no',
}

/** A stream of server-sent events over one response. Never holds more than a bounded amount for its reader. */
export class EventStream {
  readonly #response: ServerResponse
  #onClose: (() => void) | undefined

  /** @param onClose called once, when the stream has ended for whatever reason */
  constructor(response: ServerResponse, onClose: () => void) {
    this.#response = response
    this.#onClose = onClose
    response.on('close', () => {
      this.#closed()
    })
    response.writeHead(200, HEADERS)
    response.flushHeaders()
  }

  get open(): boolean {
    return this.#onClose !== undefined
  }

  /** Bytes that wait for the reader. */
  get waiting(): number {
    return this.#response.writableLength
  }

  /**
   * Sends one event; `data` is a single line (JSON text without line breaks, a URL).
   *
   * @param id what a client that lost the stream names in `Last-Event-ID`
   */
  send(data: string, event = 'message', id?: string): void {
    this.#write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`)
  }

  /** Gives a client what it needs to come back, before there is anything to say (2025-11-25 transports). */
  prime(id: string, retryMs: number): void {
    this.#write(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`)
  }

  /** A line that clients skip; it keeps proxies from closing a quiet stream and finds dead peers. */
  keepAlive(): void {
    this.#write(':\n\n')
  }

  end(): void {
    if (!this.open) return
    this.#response.end()
    this.#closed()
  }

  #write(text: string): void {
    if (!this.open) return
    if (this.#response.writableLength > STREAM_BUFFER_BYTES) {
      this.#response.destroy()
      this.#closed()
      return
    }
    this.#response.write(text)
  }

  #closed(): void {
    const onClose = this.#onClose
    this.#onClose = undefined
    onClose?.()
  }
}

/** All open streams, kept alive by one timer. */
export class EventStreams {
  readonly #streams = new Set<EventStream>()
  readonly #clock: Clock
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#streams.size
  }

  open(response: ServerResponse, onClose: () => void): EventStream {
    const stream: EventStream = new EventStream(response, () => {
      this.#streams.delete(stream)
      onClose()
    })
    this.#streams.add(stream)
    this.#cancelTimer ??= this.#clock.after(KEEP_ALIVE_MS, this.#tick)
    return stream
  }

  close(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    for (const stream of this.#streams) stream.end()
  }

  readonly #tick = (): void => {
    this.#cancelTimer = undefined
    for (const stream of this.#streams) stream.keepAlive()
    if (this.#streams.size > 0) this.#cancelTimer = this.#clock.after(KEEP_ALIVE_MS, this.#tick)
  }
}
