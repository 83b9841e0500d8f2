import { Bag } from '../../lib/bag.ts'
import type { SessionRevision } from '../../lib/revisions.ts'
import type { DirectReceiver, DirectRoute } from '../../upstreams/direct-route.ts'
import type { Relay } from './relay.ts'

/** Streams of one session; the oldest gives way, since it is the one most likely to have lost its reader. */
const STREAMS_PER_SESSION = 4

/** A session of a server that a session of ours stands for: one to one, so nothing of it is shared. */
export class DirectSession {
  /** What passes through at the moment, streams included. */
  readonly passing = new Bag<Relay>()
  readonly streams: Relay[] = []
  /** What every request of the session says. */
  readonly headers: Readonly<Record<string, string>>
  readonly #upstreamId: string
  readonly #credentialId: string
  #route: DirectRoute
  #forgotten = false

  constructor(route: DirectRoute, credentialId: string, upstreamId: string, revision: SessionRevision) {
    this.#route = route
    this.#upstreamId = upstreamId
    this.#credentialId = credentialId
    const session = upstreamId === '' ? {} : { 'mcp-session-id': upstreamId }
    this.headers = {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': revision,
      ...session,
    }
  }

  /** The way to the server, as it is now. */
  use(route: DirectRoute): DirectRoute {
    this.#route = route
    return route
  }

  /** Makes room for one more stream. */
  addStream(relay: Relay): void {
    if (this.streams.length >= STREAMS_PER_SESSION) this.streams[0]?.stop('cancelled')
    this.streams.push(relay)
  }

  removeStream(relay: Relay): void {
    const at = this.streams.indexOf(relay)
    if (at !== -1) this.streams.splice(at, 1)
  }

  /** The server no longer knows the session: it need not be told that it ends. */
  forget(): void {
    this.#forgotten = true
  }

  /** Cuts what passes, and ends the server's session (2025-11-25 transports, "Session Management"). */
  end(): void {
    // Later by a moment: where a credential ended, each exchange is told so itself, and answers with that reason.
    queueMicrotask(() => {
      for (const relay of this.passing) relay.stop('cancelled')
    })
    if (this.#forgotten || this.#upstreamId === '') return
    this.#forgotten = true
    const { headers } = this
    const credentialId = this.#credentialId
    this.#route.send({ method: 'DELETE', body: null, headers, credentialId, receiver: UNHEARD })
  }
}

/** A server may refuse to end its session, or be away: its own idle time ends it then. */
const UNHEARD: DirectReceiver = {
  started: () => undefined,
  headers: () => undefined,
  chunk: () => true,
  ended: () => undefined,
  failed: () => undefined,
}
