import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../../observe/observation.ts'
import { Allowance } from '../allowance.ts'
import type { Redact } from './redactor.ts'

const MOST_LINE_BYTES = 4_096
const LINES = { burst: 200, perSecond: 20 }
/** Bytes that are looked at; a server that writes more waits, as for a slow terminal. */
const BYTES = { burst: 4 * 1_048_576, perSecond: 4 * 1_048_576 }

const NEWLINE = 0x0a

/**
 * Puts what a server writes to its standard error into the log, line by line: cut to 4 KiB, at most 20 a second
 * after the first 200. What is left out is counted, and the count stands with the next line.
 */
export function logLines(
  stream: Readable,
  server: string,
  { clock, observe, redact }: { readonly clock: Clock; readonly observe: Observe; readonly redact: Redact },
): void {
  const lines = new Allowance(LINES, clock.now())
  const bytes = new Allowance(BYTES, clock.now())
  let line: Buffer[] = []
  let length = 0
  let dropped = 0

  const add = (part: Buffer): void => {
    if (length < MOST_LINE_BYTES) line.push(Buffer.from(part.subarray(0, MOST_LINE_BYTES - length)))
    length += part.length
  }
  const finish = (): void => {
    const text = Buffer.concat(line).toString('utf8').trimEnd()
    const cut = length > MOST_LINE_BYTES
    line = []
    length = 0
    if (text === '') return
    if (!lines.tryTake(1, clock.now())) {
      dropped += 1
      return
    }
    observe({
      kind: 'upstream.stderr',
      server,
      line: cut ? `${redact(text, true)}…` : redact(text),
      ...(dropped > 0 ? { dropped } : {}),
    })
    dropped = 0
  }

  stream.on('data', (chunk: Buffer) => {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, end))
      finish()
      from = end + 1
    }
    if (from < chunk.length) add(chunk.subarray(from))
    const waitMs = bytes.take(chunk.length, clock.now())
    if (waitMs === 0) return
    stream.pause()
    clock.after(waitMs, () => {
      stream.resume()
    })
  })
  stream.on('close', () => {
    if (length > 0) finish()
  })
  stream.on('error', () => undefined)
}
