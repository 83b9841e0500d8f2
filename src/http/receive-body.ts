import type { Refusal } from '../access/refusal.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import { err, type Result } from '../lib/result.ts'
import type { Exchange } from './exchange.ts'
import { type BodyLimits, readBody } from './read-body.ts'
import { refuseEnded } from './refuse-ended.ts'

/** What bounds the bodies of all requests. */
export interface BodyPlane {
  readonly limits: BodyLimits
  /** Under which a body has to arrive: `limits.requestTimeoutMs`. */
  readonly bodyDeadlines: Deadlines
}

/** Reads the body, asking a client that waits for `100 Continue` to send it, unless it announces too much. */
export async function receiveBody(
  exchange: Exchange,
  { limits, bodyDeadlines }: BodyPlane,
): Promise<Result<Buffer, Refusal>> {
  if (exchange.expectsContinue) {
    const announced = Number(exchange.request.headers['content-length'] ?? 0)
    if (announced <= limits.bodyBytes) {
      exchange.response.writeContinue()
      exchange.expectsContinue = false
    }
  }
  const bytes = await readBody(exchange.request, limits.bodyBytes, bodyDeadlines)
  // Slow on purpose, a body would otherwise outlive the credential that it was sent with.
  const ended = refuseEnded(exchange)
  return ended ? err(ended) : bytes
}
