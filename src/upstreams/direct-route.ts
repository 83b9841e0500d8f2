import type { TraceContext } from '../observe/trace-context.ts'
import type { Revision } from '../lib/revisions.ts'

/** The way to an upstream over which messages pass without being translated. */
export interface DirectRoute {
  /** The revision that the upstream is known to speak. */
  readonly revision: Revision
  /** Every revision that the upstream has agreed to so far; `revision` is the newest of them. */
  readonly spoken: ReadonlySet<Revision>
  /**
   * Sends one HTTP request to the upstream and hands back its response as it arrives. The upstream's own
   * credential is added here; nothing of the client's headers goes along but what is given.
   */
  send(request: DirectRequest): void
}

export interface DirectRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  /** What was judged, serialised again. */
  readonly body: string | null
  /** Lower-case names: `accept`, `mcp-session-id`, `mcp-protocol-version`, `last-event-id`, `mcp-method`, … */
  readonly headers: Readonly<Record<string, string>>
  /** Whose request it is: what one credential may take of a server is bounded. */
  readonly credentialId: string
  readonly trace?: TraceContext | undefined
  readonly receiver: DirectReceiver
}

/** Takes a response. After `failed`, `ended` or an `abort` nothing follows. */
export interface DirectReceiver {
  /** @param abort gives up; @param resume goes on after `chunk` has answered false */
  started(control: { abort(reason: Error): void; resume(): void }): void
  headers(status: number, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void
  /** Answers false when no more should come until `resume` is called. */
  chunk(bytes: Buffer): boolean
  ended(): void
  /** A `Fault` (`upstream_unavailable`, `upstream_busy`, `upstream_timeout`, `upstream_invalid`). */
  failed(fault: Error): void
}
