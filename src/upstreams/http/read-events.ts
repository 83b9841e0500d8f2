import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { Allowance } from '../allowance.ts'
import { Problem } from '../problem.ts'
import { EventTooLong, type EventReader, type StreamEvent } from './event-reader.ts'
import { judgeError, type Peer } from './judge-error.ts'

/** Events beyond this are left in the socket: a flood costs its sender time, and us no memory. */
const EVENTS = { burst: 2_000, perSecond: 2_000 }
const BYTES_THAT_COUNT_AS_ONE = 4_096

export interface ReadEventsParts {
  readonly peer: Peer
  readonly clock: Clock
}

/**
 * Takes an event. `stop` ends the reading with the rest of the body unread. A promise is the back pressure:
 * nothing more is read before it settles. `asked` does not count as what a server may send by itself: the number
 * of answers is that of the requests.
 */
export type HeardEvent = (event: StreamEvent) => 'stop' | 'asked' | undefined | Promise<void>

/**
 * Reads an event stream as fast as its events are taken, and no faster than a server may send them.
 *
 * @returns `ended` when the server ended the stream, `stopped` when `heard` did
 * @throws Fault `upstream_unavailable` when the connection broke, `upstream_invalid` for an event that is too large
 */
export async function readEvents(
  body: Readable,
  reader: EventReader,
  { peer, clock }: ReadEventsParts,
  heard: HeardEvent,
): Promise<'ended' | 'stopped'> {
  const allowance = new Allowance(EVENTS, clock.now())
  try {
    const chunks: AsyncIterable<Buffer> = body.iterator({ destroyOnReturn: false })
    for await (const chunk of chunks) {
      const events = reader.push(chunk)
      for (const event of events) {
        const taken = heard(event)
        if (taken === 'stop') return 'stopped'
        if (taken === 'asked') continue
        if (taken) await taken
        const pauseMs = allowance.take(1 + event.data.length / BYTES_THAT_COUNT_AS_ONE, clock.now())
        if (pauseMs > 0) await pause(clock, pauseMs)
      }
    }
    return 'ended'
  } catch (error) {
    body.destroy()
    if (error instanceof EventTooLong) {
      throw new Fault('upstream_invalid', `${peer} sent a message that is too large.`, {
        cause: new Problem(
          `${peer} sent ${error.message}. Raise \`messageBytes\` of this server if it is meant to.`,
        ),
      })
    }
    throw judgeError(error, peer)
  }
}

const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(ms, resolve)
  })
