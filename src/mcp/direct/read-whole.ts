import { Fault } from '../../lib/fault.ts'
import { GrowingBytes } from '../../lib/growing-bytes.ts'
import type { DirectReceiver } from '../../upstreams/direct-route.ts'
import { isTooDeep } from '../../upstreams/is-too-deep.ts'
import { isObject, type Params, type RequestId } from '../message.ts'
import { EventFilter } from './event-filter.ts'

export interface WholeAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly message: Params
}

/** An answer that has to be read before anything can be said to the client. */
export interface Reading {
  readonly receiver: DirectReceiver
  abort(): void
}

const MOST_BYTES = 1_048_576

/**
 * Takes a response whole, as JSON or as the event with the response to `id`.
 *
 * @param done told once: the answer, or a `Fault`
 */
export function readWhole(id: RequestId, done: (answer: WholeAnswer | Error) => void): Reading {
  let control: { abort(reason: Error): void } | undefined
  let over = false
  let status = 0
  let headers: WholeAnswer['headers'] = {}
  const held = new GrowingBytes()
  let events: EventFilter | undefined

  const finish = (answer: WholeAnswer | Error): void => {
    if (over) return
    over = true
    done(answer)
  }
  const give = (message: unknown): boolean => {
    if (!isObject(message) || message.id !== id || !('result' in message || 'error' in message)) return false
    finish({ status, headers, message })
    return true
  }
  const tooLong = (): void => {
    control?.abort(ENOUGH)
    finish(new Fault('upstream_invalid', 'The MCP server sent an answer that is too long.'))
  }

  return {
    abort() {
      over = true
      control?.abort(ENOUGH)
    },
    receiver: {
      started(given) {
        control = given
      },
      headers(given, all) {
        status = given
        headers = all
        if (String(all['content-type']).startsWith('text/event-stream')) {
          events = new EventFilter(
            (message) => {
              give(message)
              return message
            },
            MOST_BYTES,
            'every event',
          )
        }
      },
      chunk(bytes) {
        if (over) return true
        if (!events) {
          held.add(bytes)
          if (held.length > MOST_BYTES) tooLong()
        } else if (!events.push(bytes)) tooLong()
        // A server may leave its stream open after the answer.
        else if (over) control?.abort(ENOUGH)
        return true
      },
      ended() {
        if (over || (!events && give(parse(held.take())))) return
        finish(
          new Fault('upstream_invalid', 'The MCP server sent a broken answer.', {
            cause: new Error(`The MCP server answered ${status} without a JSON-RPC response.`),
          }),
        )
      },
      failed: finish,
    },
  }
}

const ENOUGH = new Error('the answer is known')

function parse(bytes: Buffer): unknown {
  const text = bytes.toString('utf8')
  try {
    return isTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
