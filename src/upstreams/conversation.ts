import type { Params, RpcFailure } from '../lib/json-rpc.ts'
import type { Revision } from '../lib/revisions.ts'
import type { TraceContext } from '../observe/trace-context.ts'

/**
 * One MCP conversation with one upstream server, in terms that belong to no revision. Below it a transport and
 * a revision are spoken (`upstreams/`), above it a client is answered in its own (`mcp/`). So every pair of
 * revisions is two halves that meet here, and nowhere else.
 *
 * Methods and params are those of the newest revision that has them. What a revision adds to a message only to
 * carry it (`progressToken`, the `io.modelcontextprotocol/*` keys of `_meta`, `resultType`, `requestState`) never
 * crosses: it is taken off on one side and put on again on the other.
 */
export interface Conversation {
  readonly about: ServerFacts
  /**
   * Sends a request and waits for its answer. Rejects with a `Fault` (`upstream_*`) when there is none: the
   * server died, took too long, or sent something that is no answer. What the server itself answers, errors
   * included, is a value.
   *
   * `ping`, `logging/setLevel`, `resources/subscribe` and `resources/unsubscribe` work whatever the upstream's
   * revision: where it has no such request, the conversation keeps what was asked and does the equivalent.
   */
  request(call: OutgoingRequest): Promise<Answer>
  /** Sends a notification, such as `notifications/roots/list_changed`; dropped where the revision has none, or too much waits to be sent. */
  notify(method: string, params: Params): void
  /**
   * Asks to be told of changes, through `Inbox.notification`. Replaces what was asked before; resolves to what
   * the server can tell.
   */
  listen(wanted: Listening): Promise<Listening>
  /** Lets go: ends the session, stream or process when nobody else uses it. Requests that run are cancelled. */
  close(): void
}

/** What an upstream said of itself when the conversation began. */
export interface ServerFacts {
  /** The revision that is spoken with the upstream. */
  readonly revision: Revision
  readonly serverInfo: Params
  readonly capabilities: Params
  readonly instructions?: string
}

/** Who is spoken for. An upstream is told no more of a client than this. */
export interface ClientFacts {
  readonly clientInfo: Params
  /** As the client declared them, less what cannot be carried to it. */
  readonly capabilities: Params
  /** The newest revision to offer to the upstream: usually the client's own. */
  readonly revision: Revision
}

export interface OutgoingRequest {
  readonly method: string
  readonly params: Params
  /** Aborted when the client gave up, its credential ended, or its time is over. */
  readonly signal: AbortSignal
  /** The least severe log message the caller wants (2026-07-28 `logLevel`). */
  readonly logLevel?: string
  readonly trace?: TraceContext
  /**
   * What the server sends while the request runs and because of it: `notifications/progress` (params without
   * token) and `notifications/message`. Progress is asked for only when this is there.
   */
  readonly onNotification?: (method: string, params: Params) => void
  /**
   * Answers a request of the server that belongs to this one: `sampling/createMessage`, `elicitation/create`,
   * `roots/list`. Without it the server is told that its client cannot.
   */
  readonly ask?: Ask
}

/** Puts a request of the server to the client. Rejects only when the conversation is over. */
export type Ask = (
  method: string,
  params: Params,
  signal: AbortSignal,
  /** What the server calls its question (2026-07-28 `inputRequests`): a client of that revision is told. */
  name?: string,
) => Promise<AskAnswer>

export type AskAnswer =
  | { readonly kind: 'result'; readonly result: Params }
  | { readonly kind: 'error'; readonly error: RpcFailure }

export type Answer =
  | { readonly kind: 'result'; readonly result: Params }
  | { readonly kind: 'error'; readonly error: RpcFailure }

/** What a client wants to be told of (2026-07-28 `subscriptions/listen`). */
export interface Listening {
  readonly toolsListChanged?: boolean
  readonly promptsListChanged?: boolean
  readonly resourcesListChanged?: boolean
  readonly resourceSubscriptions?: readonly string[]
}

/** Where a conversation delivers what belongs to no request. */
export interface Inbox {
  /** `notifications/…/list_changed`, `resources/updated`, `message`, `elicitation/complete`. */
  notification(method: string, params: Params): void
  /** A request of the server outside of any other: only servers of revisions with sessions send one. */
  ask: Ask
  /** The upstream ended the conversation; nothing follows. */
  ended(fault: Error): void
}
