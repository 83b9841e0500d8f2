import type { Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Result } from '../lib/result.ts'
import type { ClientFacts, Conversation, Inbox } from './conversation.ts'
import type { DirectRoute } from './direct-route.ts'
import type { UpstreamOptions } from './options.ts'
import type { UpstreamStatus } from './status.ts'

/** One configured MCP server. */
export interface Upstream {
  readonly name: string
  readonly options: UpstreamOptions
  status(): UpstreamStatus
  /**
   * Begins a conversation on behalf of a caller, whose own credential for this server (`userCredential`) is
   * used where there is one. Never shares anything between callers that one of them could notice, unless the
   * server is configured as shared.
   *
   * @returns the refusal `upstream_credential_missing` when the caller has to leave its own credential first
   * @throws Fault `upstream_unavailable`, `upstream_busy`, `upstream_timeout`, `upstream_invalid`
   */
  converse(
    caller: Caller,
    client: ClientFacts,
    inbox: Inbox,
    signal: AbortSignal,
  ): Promise<Result<Conversation, Refusal>>
  /**
   * Where a message can be sent on as it is, because the upstream is reached over Streamable HTTP and speaks the
   * client's revision: how to reach it. `undefined` where translation is needed, or not yet known.
   */
  direct(caller: Caller, client: 'session' | 'stateless'): DirectRoute | undefined
}

/** All configured MCP servers. */
export interface Upstreams {
  /** In the order of the configuration. */
  list(): readonly Upstream[]
  find(name: string): Upstream | undefined
  /** Told when a server was added, changed (its conversations were ended) or removed, or its tools changed. */
  onChange(heard: (name: string) => void): () => void
  /**
   * Ends every conversation with a server and forgets what was found out about it and how it failed.
   *
   * @returns the server as it begins anew; undefined when there is none of that name
   */
  restart(name: string): Upstream | undefined
  /** Takes over a changed configuration: what is the same goes on undisturbed. */
  reload(options: readonly UpstreamOptions[]): void
  close(): Promise<void>
}
