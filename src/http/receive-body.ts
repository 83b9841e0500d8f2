import type { Refusal } from '../access/refusal.ts'
import type { Clock } from '../lib/clock.ts'
import { err, type Result } from '../lib/result.ts'
import type { Exchange } from './exchange.ts'
import { type BodyLimits, readBody } from './read-body.ts'
import { refuseEnded } from './refuse-ended.ts'

/** Reads the body, asking a client that waits for `100 Continue` to send it, unless it announces too much. */
export async function receiveBody(
  exchange: Exchange,
  limits: BodyLimits,
  clock: Clock,
): Promise<Result<Buffer, Refusal>> {
  const announced = Number(exchange.request.headers['content-length'] ?? 0)
  if (exchange.expectsContinue && announced <= limits.bodyBytes) {
    exchange.response.writeContinue()
    exchange.expectsContinue = false
  }
  const bytes = await readBody(exchange.request, limits, clock)
  // Slow on purpose, a body would otherwise outlive the credential that it was sent with.
  const ended = refuseEnded(exchange)
  return ended ? err(ended) : bytes
}
