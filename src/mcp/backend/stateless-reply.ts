import type { ServerResponse } from 'node:http'
import type { EventStream, EventStreams } from '../event-stream.ts'
import type { Params } from '../message.ts'
import { notificationText } from './frame.ts'
import type { ReplyStream } from './reply-stream.ts'

/** Bytes waiting for a reader above which news that can be missed is left out. */
const PATIENCE_BYTES = 262_144

/** The reply to one stateless request: JSON until something must be said before the answer. It cannot be resumed. */
export class StatelessReply implements ReplyStream {
  readonly response: ServerResponse
  readonly tells: boolean
  readonly #streams: EventStreams
  readonly #maxStreams: number
  #stream: EventStream | undefined

  /** @param tells false when the client takes nothing but JSON */
  constructor(response: ServerResponse, tells: boolean, streams: EventStreams, maxStreams: number) {
    this.response = response
    this.tells = tells
    this.#streams = streams
    this.#maxStreams = maxStreams
  }

  notify(method: string, params: Params, dispensable: boolean): void {
    const stream = this.#open()
    if (!stream || (dispensable && stream.waiting > PATIENCE_BYTES)) return
    stream.send(notificationText(method, params))
  }

  resumable(): boolean {
    return false
  }

  /** Sends the answer on the stream. @returns false when there is none, and the answer goes out as JSON */
  finish(message: string | undefined): boolean {
    const stream = this.#stream
    if (!stream) return false
    if (message !== undefined) stream.send(message)
    stream.end()
    return true
  }

  #open(): EventStream | undefined {
    if (this.#stream) return this.#stream
    const { response } = this
    if (!this.tells || response.headersSent || response.destroyed) return undefined
    if (this.#streams.size >= this.#maxStreams) return undefined
    this.#stream = this.#streams.open(response, () => {})
    return this.#stream
  }
}
