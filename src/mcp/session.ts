import type { RequestId } from './message.ts'
import type { SessionRevision } from '../lib/revisions.ts'
import type { DirectSession } from './direct/direct-session.ts'
import type { RunningCall } from './running-call.ts'
import type { EventStream } from './event-stream.ts'

/** What is remembered between two requests of a 2024 or 2025 client: nothing that a decision depends on. */
export interface Session {
  readonly id: string
  /** Only this credential may use the session; to any other it does not exist. */
  readonly credentialId: string
  readonly transport: 'streamable' | 'sse'
  /** What it was opened for: it is unknown at every other place. */
  readonly place: Place
  revision: SessionRevision
  /** Milliseconds since the epoch. */
  lastUsedAt: number
  /** Open streams, oldest first. Absent until there is one: most sessions never have any. */
  streams: EventStream[] | undefined
  /** Running calls by request id, for `notifications/cancelled`. Absent until there is one. */
  calls: Map<RequestId, RunningCall> | undefined
  /** What ends with the session: its conversation with a server. */
  onEnd: (() => void) | undefined
  /** The server's own session, where messages pass to it as they are. */
  direct: DirectSession | undefined
}

/** Postern's own tools, the server of that name, or all of them as one. */
export type Place = 'own' | 'all' | `server:${string}`

export const isBusy = (session: Session): boolean =>
  (session.streams?.length ?? 0) > 0 ||
  (session.calls?.size ?? 0) > 0 ||
  (session.direct?.passing.size ?? 0) > 0

/** @param backend one server, or all of them as one */
export const placeOf = (backend: { readonly server: string | null }): Place =>
  backend.server === null ? 'all' : `server:${backend.server}`
