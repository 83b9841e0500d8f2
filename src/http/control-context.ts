import type { Caller } from '../identity/caller.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { StreamedReply } from './streamed-reply.ts'

/** What the front knows of a request when it hands it to the control plane. */
export interface ControlContext {
  /** Absent only on the public list. */
  readonly caller: Caller | undefined
  readonly requestId: string
  readonly remoteAddress: string
  /** Public URL of this server, without a trailing slash. */
  readonly baseUrl: string
  /** A credential was shown, valid or not. */
  readonly credentialShown: boolean
  /** Aborted when the client went away. */
  readonly signal: AbortSignal
  /** What is done for this request belongs to it. */
  readonly trace?: TraceContext | undefined
  /** Begins a reply of unknown length. Whoever has begun one sends it to its end. */
  begin(status: number, headers: Readonly<Record<string, string>>): StreamedReply
  /** Tells the request log which route answered, with which code, and which MCP server it was about. */
  note(fact: { readonly route?: string; readonly code?: string; readonly server?: string }): void
}

/** The control plane as the front sees it: a fetch handler whose second argument is what the front knows. */
export interface ControlPlane {
  fetch(request: Request, context: ControlContext): Response | Promise<Response>
}
