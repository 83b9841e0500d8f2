import { stoppedBy } from '../access/stop-refusal.ts'
import type { Connection } from './connection.ts'
import { type Answer, Exchange, type ExchangeOptions } from './exchange.ts'

/**
 * Runs one exchange on a connection that the caller holds. When `signal` aborts, the statement is cancelled
 * and the connection ended.
 *
 * @param now milliseconds since the epoch
 * @param deadlineMs how long the whole exchange may take before the connection counts as lost
 */
export function runExchange(
  connection: Connection,
  options: ExchangeOptions,
  signal: AbortSignal | null,
  now: number,
  deadlineMs: number,
): Promise<Answer> {
  return new Promise((resolve) => {
    const abort = (): void => {
      const by = signal === null ? 'client' : stoppedBy(signal)
      connection.destroy(by === 'client' ? 'its caller went away' : `its credential ended: ${by}`, by)
    }
    const exchange = new Exchange(options, (answer) => {
      signal?.removeEventListener('abort', abort)
      resolve(answer)
    })
    signal?.addEventListener('abort', abort, { once: true })
    connection.execute(exchange, now, deadlineMs)
  })
}
