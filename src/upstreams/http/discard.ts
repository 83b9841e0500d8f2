import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'

const MOST_BYTES = 16_384
const LONGEST_MS = 2_000

/**
 * Lets go of a body that nobody wants. A short rest is read to its end, so that the connection serves the next
 * request; a long or slow one costs the connection.
 */
export function discard(body: Readable, clock: Clock): void {
  let left = MOST_BYTES
  const cancel = clock.after(LONGEST_MS, () => {
    body.destroy()
  })
  body
    .on('error', () => undefined)
    .on('close', cancel)
    .on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) body.destroy()
    })
    .resume()
}
