import { GrowingBytes } from '../../lib/growing-bytes.ts'
import { isTooDeep } from '../../upstreams/is-too-deep.ts'
import { isObject } from '../message.ts'
import type { Rework } from './visible-answer.ts'

const LF = 0x0a
const CR = 0x0d

/**
 * Server-sent events on their way through, one at a time: a message that has to change is changed, every other event
 * passes byte for byte. Holds one unfinished event at most.
 */
export class EventFilter {
  readonly #rework: Rework
  readonly #mostBytes: number
  readonly #which: 'lists' | 'every event'
  readonly #held = new GrowingBytes()

  /** @param which the messages that `rework` is shown */
  constructor(rework: Rework, mostBytes: number, which: 'lists' | 'every event' = 'lists') {
    this.#rework = rework
    this.#mostBytes = mostBytes
    this.#which = which
  }

  /** True between two events: something else may be said. */
  get between(): boolean {
    return this.#held.length === 0
  }

  /**
   * The whole events so far, changed where needed; `undefined` when one is longer or deeper than it may be, or cannot
   * be changed.
   */
  push(chunk: Buffer): Buffer | undefined {
    // What was held is known to have no end, except where its last bytes are the first of one.
    let from = Math.max(0, this.#held.length - 3)
    let rest = chunk
    if (!this.between) {
      this.#held.add(chunk)
      rest = this.#held.view()
      if (endOfEvent(rest, from) === -1) return rest.length > this.#mostBytes ? undefined : NOTHING
      rest = this.#held.take()
    }
    const events: Buffer[] = []
    for (let end = endOfEvent(rest, from); end !== -1; end = endOfEvent(rest, 0)) {
      const event = this.#judge(rest.subarray(0, end))
      if (!event) return undefined
      events.push(event)
      rest = rest.subarray(end)
      from = 0
    }
    if (rest.length > this.#mostBytes) return undefined
    // A copy, so that a few bytes do not keep the whole chunk in memory.
    if (rest.length > 0) this.#held.add(Buffer.from(rest))
    const [only] = events
    return only !== undefined && events.length === 1 ? only : Buffer.concat(events)
  }

  #judge(event: Buffer): Buffer | undefined {
    // A list of tools names them, plainly or with an escape; parsing everything else would be for nothing.
    if (this.#which === 'lists' && !event.includes('tools') && !event.includes('\\u')) return event
    // A byte order mark before the first event is none of it (HTML, "Parsing an event stream").
    const lines = event
      .toString('utf8')
      .replace(/^\uFEFF/, '')
      .split(/\r\n|\r|\n/)
    const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart())
    const text = data.join('\n')
    // It could not be written out again.
    if (isTooDeep(text)) return undefined
    if (text === '') return event
    const message = parse(text)
    // What cannot be read cannot be judged; to whoever reads it all the same, it may be a list.
    if (message === undefined && this.#which === 'lists') return NOTHING
    let changedText: string
    try {
      const changed = this.#changed(message)
      if (changed === message) return event
      changedText = JSON.stringify(changed)
    } catch {
      // What could not be changed must not pass as it was.
      return undefined
    }
    const others = lines.filter((line) => line !== '' && !line.startsWith('data:'))
    return Buffer.from(`${[...others, `data: ${changedText}`].join('\n')}\n\n`)
  }

  /** Also of a batch, though no revision that passes has them. */
  #changed(message: unknown): unknown {
    if (isObject(message)) return this.#rework(message)
    if (!Array.isArray(message)) return message
    return message.map((one: unknown) => (isObject(one) ? this.#rework(one) : one))
  }
}

const NOTHING = Buffer.alloc(0)

/** Where the first event ends, after its empty line; -1 when it has no end yet. */
function endOfEvent(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte !== LF && byte !== CR) continue
    // The line ends here; the event does, when another line end follows at once.
    const next = byte === CR && bytes[at + 1] === LF ? at + 2 : at + 1
    if (bytes[next] === LF) return next + 1
    if (bytes[next] === CR) return bytes[next + 1] === LF ? next + 2 : next + 1
  }
  return -1
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
