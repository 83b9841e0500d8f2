import type { Refusal } from '../../access/refusal.ts'
import { ByteWriter } from '../../databases/rows/byte-writer.ts'
import type { WriteRow } from '../../databases/rows/json-rows.ts'
import type { RowSink } from '../../databases/rows/row-sink.ts'
import type { ErrorBody } from '../error-to-wire.ts'
import type { StreamedReply } from '../streamed-reply.ts'
import type { AnswerFacts, AnswerFormat, MakeFormat } from './format.ts'

interface Piece {
  readonly bytes: Buffer
  readonly done: () => void
}

/**
 * Writes an answer while its rows come. Nothing is sent before there is a row to send, and more than the
 * format holds back: until then, what goes wrong has a status of its own.
 */
export class AnswerStream implements RowSink {
  readonly #writer: ByteWriter
  readonly #format: AnswerFormat
  readonly #open: (contentType: string) => StreamedReply
  #reply: StreamedReply | null = null
  #held: Piece[] = []
  #heldBytes = 0
  #rows = 0
  #inRow = false
  #behind = false
  #writeRow: WriteRow = () => {
    throw new Error('a row came before its columns')
  }

  /** @param open begins the reply with status 200 */
  constructor(make: MakeFormat, open: (contentType: string) => StreamedReply) {
    this.#writer = new ByteWriter((bytes, done) => {
      this.#deliver({ bytes, done })
    })
    this.#format = make(this.#writer)
    this.#open = open
  }

  get bounds(): AnswerFormat['bounds'] {
    return this.#format.bounds
  }

  /** Something has been sent: from now on, only what can still be said in the stream can be said. */
  get begun(): boolean {
    return this.#reply !== null
  }

  begin(...columns: Parameters<RowSink['begin']>): void {
    this.#writeRow = this.#format.begin(...columns)
  }

  row(bytes: Buffer, start: number): void {
    this.#rows += 1
    this.#inRow = true
    this.#writeRow(bytes, start)
    this.#inRow = false
  }

  rest(): boolean {
    if (this.#rows === 0) return true
    this.#writer.flush()
    if (this.#reply === null) {
      if (this.#heldBytes <= this.#format.holdBytes) return true
      this.#reply = this.#open(this.#format.contentType)
      const held = this.#held
      this.#held = []
      for (const piece of held) this.#deliver(piece)
    }
    return !this.#behind
  }

  onReady(listener: () => void): void {
    this.#reply?.onDrain(() => {
      this.#behind = false
      listener()
    })
  }

  /**
   * The rows are complete.
   *
   * @returns the whole reply where nothing of it has been sent, or why there is none
   */
  finish(
    facts: AnswerFacts,
  ): { readonly whole: Buffer; readonly contentType: string } | 'sent' | { readonly refused: Refusal } {
    const refused = this.#format.end(facts)
    if (refused !== null) return { refused }
    this.#writer.flush()
    if (this.#reply === null) {
      return {
        whole: Buffer.concat(this.#held.map(({ bytes }) => bytes)),
        contentType: this.#format.contentType,
      }
    }
    this.#reply.end()
    return 'sent'
  }

  /**
   * Lets the client of a reply that has begun know that it is not whole.
   *
   * @param atOnce nothing that waits for the client is to reach it any more
   */
  fail(error: ErrorBody, atOnce: boolean): void {
    const reply = this.#reply
    if (reply === null) throw new Error('nothing of the reply has been sent')
    const cut = this.#inRow || (atOnce && reply.unread > 0) || !this.#format.fail(error)
    if (cut) {
      reply.abort()
      return
    }
    this.#writer.flush()
    reply.end()
  }

  #deliver(piece: Piece): void {
    if (this.#reply !== null) {
      if (!this.#reply.write(piece.bytes, piece.done)) this.#behind = true
      return
    }
    this.#held.push(piece)
    this.#heldBytes += piece.bytes.length
  }
}
