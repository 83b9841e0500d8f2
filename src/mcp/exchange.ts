import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { EndReason } from '../identity/lifelines.ts'
import type { Backend } from '../tools/backend/backend.ts'
import type { TraceContext } from '../observe/trace-context.ts'

/** One HTTP request that the server has already checked (Host, Origin), authenticated and bounded. */
export interface McpExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  /** The parsed body, duplicate keys refused; `undefined` for GET and DELETE. */
  readonly body: unknown
  readonly requestId: string
  /** Which of the three addresses was asked: Streamable HTTP, the 2024-11-05 stream, or its message URL. */
  readonly path: 'streamable' | 'sse' | 'message'
  readonly url: URL
  /** What answers: one server, or all of them; `null` for Postern's own tools alone. */
  readonly backend: Backend | null
  /** What is done for this request belongs to it; to be handed on to upstreams and tools. */
  readonly trace?: TraceContext | undefined
  /** Headers that every reply has, names and values in turn: for who writes the head of a reply in one piece. */
  readonly replyHeaders: readonly string[]
  /** Puts them on the response: for everybody else, before the head is written. */
  dress(): void
  /**
   * Asks to be told, synchronously, when the credential of the request ends, at once when it has already; or when
   * the client goes away before its reply was sent. The one who asked last is told.
   */
  onEnd(heard: (reason: EndReason | 'gone') => void): void
}
