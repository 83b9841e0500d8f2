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
      connection.destroy('its caller went away', 'client')
    }
    const exchange = new Exchange(options, (answer) => {
      signal?.removeEventListener('abort', abort)
      resolve(answer)
    })
    signal?.addEventListener('abort', abort, { once: true })
    connection.execute(exchange, now, deadlineMs)
  })
}
