import type { Refusal } from '../access/refusal.ts'
import { stopRefusal } from '../access/stop-refusal.ts'
import { Fault } from '../lib/fault.ts'
import type { Exchange } from './exchange.ts'

/**
 * The answer to a request whose credential ended before anything of it ran; `undefined` when it did not. A
 * credential that merely changed is still good: a client that reads 401 would throw it away.
 *
 * @throws Fault `credential_changed`, `shutting_down`: the same request may be sent again
 */
export function refuseEnded({ ended }: Pick<Exchange, 'ended'>): Refusal | undefined {
  if (ended === undefined) return undefined
  if (ended === 'changed') {
    throw new Fault(
      'credential_changed',
      'what this credential may do changed while the request was on its way: send it again',
      { retryAfterS: 1 },
    )
  }
  if (ended === 'shutdown') {
    throw new Fault('shutting_down', 'Postern is shutting down: try again in a moment', { retryAfterS: 5 })
  }
  return stopRefusal(ended)
}
