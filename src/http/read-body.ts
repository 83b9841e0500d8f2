import type { IncomingMessage } from 'node:http'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { Deadlines, Due } from '../lib/deadlines.ts'
import { err, ok, type Result } from '../lib/result.ts'

export interface BodyLimits {
  readonly bodyBytes: number
  /** Milliseconds from here until the last byte must be there. */
  readonly requestTimeoutMs: number
}

/** RFC 9112 §6.3: a request has a body exactly when one of these headers is there. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0)
}

/**
 * Reads a whole body, holding at most `bodyBytes` of it. A length that is declared too long is refused
 * before the first byte; one that turns out too long is refused at the byte that breaks the limit. What
 * the client goes on sending is the sender's of the reply to discard.
 *
 * @param deadlines when the last byte must be there
 */
export function readBody(
  request: IncomingMessage,
  bodyBytes: number,
  deadlines: Deadlines,
): Promise<Result<Buffer, Refusal>> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytes) {
    return Promise.resolve(err(tooLarge(bodyBytes)))
  }
  return new Promise((resolve) => {
    new IncomingBody(request, bodyBytes, deadlines, resolve).read()
  })
}

/** A body on its way. Its listeners stay when it is over: taking them off costs more than their silence. */
class IncomingBody implements Due {
  dueAt = 0
  readonly #request: IncomingMessage
  readonly #bodyBytes: number
  readonly #deadlines: Deadlines
  readonly #resolve: (result: Result<Buffer, Refusal>) => void
  readonly #place: number
  #first: Buffer | undefined
  #chunks: Buffer[] | undefined
  #size = 0
  #over = false

  constructor(
    request: IncomingMessage,
    bodyBytes: number,
    deadlines: Deadlines,
    resolve: (result: Result<Buffer, Refusal>) => void,
  ) {
    this.#request = request
    this.#bodyBytes = bodyBytes
    this.#deadlines = deadlines
    this.#resolve = resolve
    this.#place = deadlines.add(this)
  }

  read(): void {
    this.#request
      // Without a listener an aborted request would throw; `close` follows and settles.
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        this.#take(chunk)
      })
      .on('end', () => {
        this.#end()
      })
      .on('close', () => {
        if (this.#over) return
        this.#settle(
          err(refusal('cancelled', 'http.body', 'the client went away before its request was complete')),
        )
      })
  }

  expire(): void {
    this.#settle(
      err(refusal('request_timeout', 'limits.requestTimeout', 'the request took too long to arrive')),
    )
  }

  #take(chunk: Buffer): void {
    if (this.#over) return
    this.#size += chunk.length
    if (this.#size > this.#bodyBytes) this.#settle(err(tooLarge(this.#bodyBytes)))
    else if (this.#first === undefined) this.#first = chunk
    else (this.#chunks ??= [this.#first]).push(chunk)
  }

  #end(): void {
    if (this.#over) return
    this.#settle(ok(this.#chunks ? Buffer.concat(this.#chunks, this.#size) : (this.#first ?? NO_BYTES)))
  }

  #settle(result: Result<Buffer, Refusal>): void {
    if (this.#over) return
    this.#over = true
    this.#first = undefined
    this.#chunks = undefined
    this.#deadlines.remove(this.#place)
    this.#resolve(result)
  }
}

const NO_BYTES = Buffer.alloc(0)

function tooLarge(bodyBytes: number): Refusal {
  return refusal('body_too_large', 'limits.bodyBytes', `the body is longer than ${bodyBytes} bytes`, {
    allowed: `bodies up to ${bodyBytes} bytes`,
  })
}
