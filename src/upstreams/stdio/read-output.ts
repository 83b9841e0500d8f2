import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import type { Receipt } from '../channel-link.ts'
import { Allowance } from '../allowance.ts'
import { LineReader, LineTooLong } from './line-reader.ts'

/**
 * Messages that nobody asked for (notifications, requests, late answers): enough for progress of hundreds of
 * requests, and a small part of what one core can read. A larger message counts for more.
 */
const UNASKED = { burst: 2_000, perSecond: 2_000 }
const BYTES_THAT_COUNT_AS_ONE = 4_096

/** Lines in a row that are no messages, after which the server is taken for something else. */
const MOST_GARBAGE = 10

export interface OutputReader {
  /** One line that is not empty. */
  line(text: string): Receipt
  /** A line that is no message; `count` in a row so far. */
  garbage(text: string): void
  /** The output cannot be read on. Called once; nothing follows. */
  broken(what: string): void
}

/**
 * Reads messages from the standard output of a server, as fast as it may send and no faster: a flood is left in
 * the pipe, so that it costs the server its time and us no memory.
 */
export function readOutput(
  stream: Readable,
  mostBytes: number,
  clock: Clock,
  reader: OutputReader,
): { readonly unfinished: () => boolean } {
  const lines = new LineReader(mostBytes)
  const allowance = new Allowance(UNASKED, clock.now())
  let garbage = 0
  let over = false

  const broken = (what: string): void => {
    over = true
    stream.pause()
    reader.broken(what)
  }

  /** Takes lines until there are no more, or until it must wait; answers what to wait for. */
  const take = (iterator: Iterator<string>): Promise<void> | undefined => {
    for (;;) {
      const next = iterator.next()
      if (next.done === true || over) return undefined
      const text = next.value.trim()
      if (text === '') continue
      const receipt = reader.line(text)
      if (receipt.garbage) {
        garbage += 1
        reader.garbage(text)
        if (garbage >= MOST_GARBAGE) {
          broken(`${garbage} lines in a row that are no messages`)
          return undefined
        }
      } else garbage = 0
      const cost = receipt.unasked === 0 ? 0 : receipt.unasked + text.length / BYTES_THAT_COUNT_AS_ONE
      const waitMs = cost === 0 ? 0 : allowance.take(cost, clock.now())
      if (waitMs === 0 && receipt.wait === undefined) continue
      return Promise.all([receipt.wait, waitMs > 0 ? pause(clock, waitMs) : undefined]).then(() => undefined)
    }
  }

  const go = (iterator: Iterator<string>): void => {
    try {
      const wait = take(iterator)
      if (wait === undefined) {
        if (!over) stream.resume()
        return
      }
      stream.pause()
      void wait.then(() => {
        if (!over) go(iterator)
      })
    } catch (error) {
      if (!(error instanceof LineTooLong)) throw error
      broken(error.message)
    }
  }

  stream.on('data', (chunk: Buffer) => {
    if (!over) go(lines.read(chunk))
  })
  stream.on('error', () => undefined)
  return { unfinished: () => lines.unfinished }
}

const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve)
  })
