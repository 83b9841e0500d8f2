import type { IncomingMessage } from 'node:http'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { Clock } from '../lib/clock.ts'
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
 */
export function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  clock: Clock,
): Promise<Result<Buffer, Refusal>> {
  if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytes) {
    return Promise.resolve(err(tooLarge(limits.bodyBytes)))
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (result: Result<Buffer, Refusal>): void => {
      cancelTimer()
      request.off('data', onData).off('end', onEnd).off('close', onClose)
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size > limits.bodyBytes) settle(err(tooLarge(limits.bodyBytes)))
      else chunks.push(chunk)
    }
    const onEnd = (): void => {
      settle(ok(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)))
    }
    const onClose = (): void => {
      settle(err(refusal('cancelled', 'http.body', 'the client went away before its request was complete')))
    }
    const cancelTimer = clock.after(limits.requestTimeoutMs, () => {
      settle(err(refusal('request_timeout', 'limits.requestTimeout', 'the request took too long to arrive')))
    })
    // Without a listener an aborted request would throw; `close` follows and settles.
    request.on('error', () => {})
    request.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}

function tooLarge(bodyBytes: number): Refusal {
  return refusal('body_too_large', 'limits.bodyBytes', `the body is longer than ${bodyBytes} bytes`, {
    allowed: `bodies up to ${bodyBytes} bytes`,
  })
}
