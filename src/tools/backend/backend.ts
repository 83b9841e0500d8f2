import type { Refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Params } from '../../lib/json-rpc.ts'
import type { Result } from '../../lib/result.ts'
import type {
  Answer,
  ClientFacts,
  Inbox,
  Listening,
  OutgoingRequest,
  ServerFacts,
} from '../../upstreams/conversation.ts'
import type { DirectRoute } from '../../upstreams/direct-route.ts'

/**
 * The MCP servers as a wire may use them: every request is decided, and every decision and outcome recorded,
 * before and after it reaches a server. There is no other way from a wire to a server.
 */
export interface Backends {
  /** False when no server is configured: Postern's own tools are all there is. */
  readonly any: boolean
  /**
   * One server, for `/{server}/…`. The refusal is `server_not_allowed` or `not_found`, and is recorded, under the
   * id of the request where one is given.
   */
  server(caller: Caller, name: string, requestId?: string): Result<Backend, Refusal>
  /** Every server that the caller may use, and Postern's own tools, under prefixed names: for `/mcp` and `/sse`. */
  aggregate(): Backend
  /** Told with the name of a server that was added, changed or removed (`gone`), or whose tools changed. */
  onChange(heard: (server: string, gone: boolean) => void): () => void
}

/** One server, or all of them as one. */
export interface Backend {
  /** Name of the server; `null` for all of them together. */
  readonly server: string | null
  /** Of all servers together: the one that a request names, if the caller may use it. */
  serverOf?(caller: Caller, method: unknown, params: unknown): string | undefined
  /** How long a conversation without requests is kept for a client that has no session, in milliseconds. */
  readonly idleMs?: number
  /** Begins a conversation. Throws a `Fault` when the server cannot be reached. */
  open(
    caller: Caller,
    client: ClientFacts,
    inbox: Inbox,
    signal: AbortSignal,
  ): Promise<Result<GuardedConversation, Refusal>>
  /**
   * Decides a request that its wire forwards itself, and records the decision. `settle` records the outcome,
   * once. Requests that go through a `GuardedConversation` are admitted there.
   */
  admit(request: AdmittedRequest): Promise<Result<Admission, Refusal>> | Result<Admission, Refusal>
  /** Where the bytes of an admitted request can go as they are; `undefined` where they need translating. */
  direct(caller: Caller, client: 'session' | 'stateless'): DirectRoute | undefined
  /** The server said that its tools are others, on a way that only its wire looks into. */
  forget?(): void
  /** The tools of a `tools/list` result of this server that the caller may call. */
  visibleTools(caller: Caller, tools: readonly Params[]): readonly Params[]
}

export interface AdmittedRequest {
  /** As it is now: a grant can change within a session. */
  readonly caller: Caller
  readonly requestId: string
  readonly wire: 'mcp' | 'rest'
  readonly method: string
  readonly params: Params
}

export interface Admission {
  settle(outcome: 'done' | 'failed', facts?: { readonly rule?: string }): void
}

/** A conversation whose every request is decided and recorded. Lists hold only what the caller may use. */
export interface GuardedConversation {
  readonly about: ServerFacts
  request(call: GuardedRequest): Promise<GuardedAnswer>
  notify(method: string, params: Params): void
  /** Listening to resources that were not listened to before is recorded, as subscribing is. */
  listen(caller: Caller, wanted: Listening, requestId: string): Promise<Listening>
  close(): void
}

export interface GuardedRequest extends OutgoingRequest, AdmittedRequest {}

export type GuardedAnswer = Answer | { readonly kind: 'refused'; readonly refusal: Refusal }
