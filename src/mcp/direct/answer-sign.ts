import type { RequestId } from '../message.ts'

/** Longer ids than this are looked for by their beginning. */
const LONGEST = 128

/**
 * Whether the answer to a request has been on a stream, as far as that shows without parsing: its id was there. An
 * id that a server spells in another way is not seen.
 */
export class AnswerSign {
  readonly #tight: string
  readonly #spaced: string
  #end: Buffer = Buffer.alloc(0)
  seen = false

  constructor(id: RequestId) {
    const text = JSON.stringify(id).slice(0, LONGEST)
    this.#tight = `"id":${text}`
    this.#spaced = `"id": ${text}`
  }

  look(bytes: Buffer): void {
    if (this.seen) return
    const most = Buffer.byteLength(this.#spaced)
    // A chunk may end in the middle of it.
    this.seen = this.#isIn(bytes) || this.#isIn(Buffer.concat([this.#end, bytes.subarray(0, most)]))
    // What is shorter than the sign may be a middle part of it.
    const known = bytes.length < most ? Buffer.concat([this.#end, bytes]) : bytes
    this.#end = Buffer.from(known.subarray(Math.max(0, known.length - most)))
  }

  #isIn(bytes: Buffer): boolean {
    return bytes.includes(this.#tight) || bytes.includes(this.#spaced)
  }
}
