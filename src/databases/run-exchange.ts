import { stoppedBy } from '../access/stop-refusal.ts'
import type { Clock } from '../lib/clock.ts'
import type { Connection } from './connection.ts'
import { type Answer, Exchange, type ExchangeOptions } from './exchange.ts'

/**
 * A long answer is allowed much time, but not to a server that says nothing. Time during which nobody takes
 * the rows is not the server's.
 */
export interface Patience {
  readonly clock: Clock
  readonly silenceMs: number
}

/**
 * Runs one exchange on a connection that the caller holds. When `signal` aborts, the statement is cancelled
 * and the connection ended.
 *
 * @param now milliseconds since the epoch
 * @param deadlineMs how long the whole exchange may take before the connection counts as lost
 * @param patience for an answer that is taken row by row
 */
export function runExchange(
  connection: Connection,
  options: ExchangeOptions,
  signal: AbortSignal | null,
  now: number,
  deadlineMs: number,
  patience?: Patience,
): Promise<Answer> {
  return new Promise((resolve) => {
    const abort = (): void => {
      const by = signal === null ? 'client' : stoppedBy(signal)
      connection.destroy(by === 'client' ? 'its caller went away' : `its credential ended: ${by}`, by)
    }
    const rested = (more: boolean): void => {
      if (patience === undefined) return
      const silentAt = more ? patience.clock.now() + patience.silenceMs : Infinity
      connection.deadlineAt = Math.min(now + deadlineMs, silentAt)
    }
    const exchange = new Exchange({ ...options, rested }, (answer) => {
      signal?.removeEventListener('abort', abort)
      resolve(answer)
    })
    signal?.addEventListener('abort', abort, { once: true })
    connection.execute(exchange, now, deadlineMs)
    rested(true)
  })
}
