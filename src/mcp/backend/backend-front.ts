import type { Lifelines } from '../../identity/lifelines.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../../observe/observation.ts'
import type { EventStreams } from '../event-stream.ts'
import type { Sessions } from '../sessions.ts'
import { BackendCalls } from './backend-calls.ts'
import { KeptConversations } from './kept-conversations.ts'
import { Listening } from './listening.ts'
import { ParkedCalls } from './parked-calls.ts'
import { SessionClients } from './session-clients.ts'
import { SessionEvents } from './session-events.ts'
import { SessionRequests } from './session-requests.ts'
import { SessionStreamable } from './session-streamable.ts'
import { StatelessCalls } from './stateless-calls.ts'
import { StatelessFront } from './stateless-front.ts'

export interface BackendFrontParts {
  readonly sessions: Sessions
  readonly streams: EventStreams
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  readonly maxStreams: number
  readonly maxStreamsPerCredential: number
}

/** What clients of every revision see of servers behind Postern. */
export interface BackendFront {
  readonly streamable: SessionStreamable
  readonly events: SessionEvents
  readonly stateless: StatelessFront
  /** There are other tools than before: of one server, or of any. */
  toolsChanged(server?: string): void
  /** There is no such server any more: what was open with it ends. */
  serverGone(server: string): void
  close(): void
}

/** For the calls that ran on a server to be told that it is gone, before their sessions are. */
const LAST_ANSWERS_MS = 100

export function createBackendFront(parts: BackendFrontParts): BackendFront {
  const { sessions, streams, lifelines, clock, observe, maxStreams, maxStreamsPerCredential } = parts
  const { holdings } = sessions
  const calls = new BackendCalls(holdings)
  const clients = new SessionClients({ sessions, streams, maxStreams, clock, observe })
  const requests = new SessionRequests(calls, observe)
  const kept = new KeptConversations(lifelines, clock, maxStreams)
  const parked = new ParkedCalls(clock)
  const listening = new Listening({ kept, holdings, streams, maxStreams, maxStreamsPerCredential })
  return {
    streamable: new SessionStreamable({ sessions, clients, kept, requests, streams, maxStreams, lifelines }),
    events: new SessionEvents({ sessions, clients, requests, streams, maxStreams, observe }),
    stateless: new StatelessFront({
      kept,
      calls: new StatelessCalls({ calls, parked, kept, clock, observe }),
      listening,
      streams,
      maxStreams,
      clock,
      observe,
    }),
    toolsChanged(server) {
      clients.toolsChanged(server)
      for (const one of kept) {
        if (server !== undefined && one.server !== null && one.server !== server) continue
        if (server === undefined || !one.hearsOfTools)
          one.notification('notifications/tools/list_changed', {})
      }
    },
    serverGone(server) {
      clock.after(LAST_ANSWERS_MS, () => {
        sessions.endAt(`server:${server}`)
        kept.endAt(server)
      })
    },
    close() {
      parked.close()
      kept.close()
      clients.close()
    },
  }
}
