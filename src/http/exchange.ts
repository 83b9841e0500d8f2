import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { EndReason } from '../identity/lifelines.ts'
import type { RequestTarget } from './request-target.ts'
import type { RequestTrace } from './trace-request.ts'

/** One request on its way through the front, and what the steps found out about it. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
  /** As `performance.now()` said it. */
  readonly startedAt: number
  readonly target: RequestTarget
  /** Of the socket: forwarded headers are anybody's word. */
  readonly remoteAddress: string
  readonly localAddress: string | undefined
  readonly secure: boolean
  /** True while the client waits for `100 Continue` before it sends the body. */
  expectsContinue: boolean
  caller: Caller | undefined
  /** Why the credential ended after it was accepted: nothing of this request may run any more. */
  ended: EndReason | undefined
  /** Called when that happens while the request is being served. */
  onEnd: ((reason: EndReason) => void) | undefined
  /** For the request log: a route's pattern, never a URL. */
  route: string
  /** The MCP server that was asked for: one that is there, and that the caller may know of. */
  server: string | undefined
  code: string | undefined
  trace: RequestTrace | undefined
}

/** The route of a request that no route answered; the log holds this instead of what was asked for. */
export const NO_ROUTE = '(none)'
