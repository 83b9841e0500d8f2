import type { Params, RequestId, RpcFailure } from '../lib/json-rpc.ts'
import type { Revision } from '../lib/revisions.ts'

/** A message as `readMessages` judged it. `params` is `{}` where the message has none. */
export type RpcMessage = RpcRequest | RpcNotification | RpcResponse

export interface RpcRequest {
  readonly kind: 'request'
  readonly id: RequestId
  readonly method: string
  readonly params: Params
}

export interface RpcNotification {
  readonly kind: 'notification'
  readonly method: string
  readonly params: Params
}

/** `id` is null where the other side could not tell which request it could not read. */
export type RpcResponse =
  | { readonly kind: 'result'; readonly id: RequestId; readonly result: Params }
  | { readonly kind: 'error'; readonly id: RequestId | null; readonly error: RpcFailure }

/** What a server may send without being asked. */
export type ServerMessage = RpcRequest | RpcNotification

/**
 * JSON-RPC with one MCP server over one transport: which answer belongs to which request, and nothing of what
 * the messages mean. `session-conversation.ts` and `stateless-conversation.ts` speak revisions over it.
 */
export interface RpcLink {
  /**
   * True where everything the server sends comes on one stream (stdio, HTTP+SSE), so that nothing says which
   * request a message of the server belongs to: `Exchange.onMessage` is never called.
   */
  readonly singleStream: boolean
  /** Hears what belongs to no request, and the end. Replaces the listener before. Nothing is read without one. */
  listen(listener: LinkListener): void
  /**
   * Sends a request under an id of its own. `answer` rejects with a `Fault` (`upstream_unavailable`,
   * `upstream_busy`, `upstream_invalid`) or, when `signal` is aborted, with its reason: the request is then
   * forgotten, its response stream (HTTP) ended, and a late answer dropped. Telling the server
   * (`notifications/cancelled`) is the conversation's business, as is the time limit.
   */
  request(message: { readonly method: string; readonly params: Params }, exchange: Exchange): OpenRequest
  /**
   * Sends a notification, or the answer to a request of the server. What cannot be sent because the link is
   * closed is dropped.
   * @throws Fault `upstream_busy` when too much waits to be sent
   */
  send(message: RpcNotification | RpcResponse): void
  /**
   * The revision that was agreed, called between the answer to `initialize` and `notifications/initialized`.
   * HTTP sends it as `MCP-Protocol-Version` from here on, and opens its stream of unrelated messages after the
   * notification has gone.
   */
  agreed(revision: Revision): void
  /** Ends the transport (HTTP with sessions: also the session). Open requests reject, `closed` is not called. */
  close(): void
}

export interface Exchange {
  readonly signal: AbortSignal
  /** For transports that have them; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  /** What the server sends on the stream of this request, where the transport has one for each. */
  readonly onMessage?: Heard
}

export interface OpenRequest {
  readonly id: RequestId
  readonly answer: Promise<RpcResponse>
}

/**
 * Takes a message. The promise, where there is one, is the back pressure: the link reads nothing more from that
 * stream until it settles. It never rejects.
 */
export type Heard = (message: ServerMessage) => void | Promise<void>

export interface LinkListener {
  readonly message: Heard
  /** The server ended the link, or broke it; nothing follows. Open requests were rejected with the same fault. */
  closed(fault: Error): void
}
