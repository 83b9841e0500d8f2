import type { EventStream } from '../event-stream.ts'
import type { ReplayLog } from './replay-log.ts'

/** What a client should wait before it comes back, in milliseconds (SSE `retry`). */
const RETRY_MS = 1_000

/** Connections of one channel at once; the oldest gives way, being the likeliest to have lost its reader. */
const STREAMS_PER_CHANNEL = 4

/** Bytes waiting for a reader above which news that can be missed (progress, log messages) is left out. */
const PATIENCE_BYTES = 262_144

/**
 * One stream as a client of a session sees it: that of a POST, or the one on which the server speaks first. The
 * connection that carries it may break and be replaced; what was not read is then sent again.
 */
export class Channel {
  readonly id: string
  readonly #log: ReplayLog | undefined
  readonly #primes: boolean
  readonly #streams: EventStream[] = []
  #seq = 0
  /** The last event that was put on any connection. */
  #told = 0
  /** Milliseconds since the epoch, by the caller's clock; since when nobody is connected. */
  lonelySince: number | undefined
  /** Its answer was sent: nothing follows. */
  finished = false
  /** Told when the channel is given up because its client did not come back. */
  onForgotten: (() => void) | undefined

  /** @param log without one nothing is kept, and events have no ids */
  constructor(id: string, log: ReplayLog | undefined, primes: boolean) {
    this.id = id
    this.#log = log
    this.#primes = primes
  }

  get resumable(): boolean {
    return this.#log !== undefined
  }

  get connections(): number {
    return this.#streams.length
  }

  /** @param after the last event that the client has; without it, what nobody was told yet is told now */
  connect(stream: EventStream, after?: number): void {
    if (this.#streams.length >= STREAMS_PER_CHANNEL) this.#streams[0]?.end()
    this.#streams.push(stream)
    this.lonelySince = undefined
    if (this.#primes) stream.prime(this.#eventId(after ?? this.#told), RETRY_MS)
    else stream.keepAlive()
    for (const { seq, message } of this.#log?.after(this.id, after ?? this.#told) ?? []) {
      stream.send(message, 'message', this.#eventId(seq))
    }
    this.#told = this.#seq
    if (this.finished) stream.end()
  }

  /** Takes over the only stream of a 2024-11-05 client, on which something was said already. */
  adopt(stream: EventStream): void {
    this.#streams.push(stream)
  }

  disconnected(stream: EventStream, now: number): void {
    const at = this.#streams.indexOf(stream)
    if (at !== -1) this.#streams.splice(at, 1)
    if (this.#streams.length === 0) this.lonelySince = now
  }

  /** Sends a message on one connection, never on two (2025-11-25 transports, "Multiple Connections"). */
  send(message: string, dispensable = false): void {
    const stream = this.#streams.at(-1)
    if (dispensable && (stream === undefined || stream.waiting > PATIENCE_BYTES)) return
    this.#seq += 1
    if (!dispensable) this.#log?.add(this.id, this.#seq, message)
    if (!stream) return
    this.#told = this.#seq
    stream.send(message, 'message', this.#log && this.#eventId(this.#seq))
  }

  end(): void {
    for (const stream of this.#streams.slice()) stream.end()
  }

  #eventId(seq: number): string {
    return `${this.id}.${seq.toString(36)}`
  }
}

/** Reads what `Last-Event-ID` says; `undefined` for what was never given. */
export function readEventId(text: string): { readonly channel: string; readonly seq: number } | undefined {
  const [, channel, seq] = /^([0-9a-z]{1,12})\.([0-9a-z]{1,11})$/.exec(text) ?? []
  return channel === undefined || seq === undefined ? undefined : { channel, seq: Number.parseInt(seq, 36) }
}
