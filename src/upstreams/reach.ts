import type { Caller } from '../identity/caller.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Params } from '../lib/json-rpc.ts'
import type { Revision } from '../lib/revisions.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'
import type { ClientFacts, Conversation, Inbox } from './conversation.ts'
import type { DirectRoute } from './direct-route.ts'
import type { HttpReach, StdioReach, UpstreamOptions } from './options.ts'
import type { RunningRequests } from './running-requests.ts'

/**
 * The way to one server, below what all servers share (bounds, lifelines, state, retries), which is
 * `upstream-server.ts`. One for stdio (`stdio/reach.ts`), one for HTTP (`http/reach.ts`).
 */
export interface Reach {
  /**
   * Begins a conversation: finds out transport and revision where they are not known, connects, initialises.
   * The caller of this method enforces `connectTimeoutMs` through `signal`.
   *
   * @throws Fault `upstream_unavailable`, `upstream_busy`, `upstream_timeout`, `upstream_invalid`
   */
  converse(request: ConverseRequest): Promise<Conversation>
  /** See `Upstream.direct`; `ownSecret` is the caller's own credential where the server takes one. */
  direct(caller: Caller, client: 'session' | 'stateless', ownSecret: Secret | null): DirectRoute | undefined
  /** What is known without asking. */
  facts(): ReachFacts
  /** Ends everything; settles when nothing is left. */
  close(): Promise<void>
}

export interface ConverseRequest {
  readonly caller: Caller
  readonly client: ClientFacts
  readonly inbox: Inbox
  readonly signal: AbortSignal
  /** The caller's own credential, to be put where `userCredential` says; null without. */
  readonly ownSecret: Secret | null
}

export interface ReachFacts {
  readonly transport: 'stdio' | 'sse' | 'streamable' | 'stateless' | 'unknown'
  readonly revision: Revision | null
  /** Milliseconds since the epoch. */
  readonly probedAt: number | null
  readonly processes: number
  /** Processes started in place of one that had ended by itself. */
  readonly restarts: number
}

export interface ReachParts {
  readonly clock: Clock
  readonly observe: Observe
  /** What Postern says of itself where it speaks on its own account. */
  readonly clientInfo: Params
}

export type OpenHttpReach = (
  options: UpstreamOptions & { readonly reach: HttpReach },
  parts: ReachParts & HttpParts,
) => Reach

export type OpenStdioReach = (
  options: UpstreamOptions & { readonly reach: StdioReach },
  parts: ReachParts & StdioParts,
) => Reach

export interface HttpParts {
  /** What `direct` counts its requests with: those of conversations are counted above. */
  readonly running: RunningRequests
}

export interface StdioParts {
  /** Ends the processes of a credential with it. */
  readonly lifelines: Lifelines
  /** The environment of Postern itself, of which a short safe list is passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>
}
