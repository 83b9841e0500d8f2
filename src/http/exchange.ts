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
  /** A header that must not be there twice, and is. */
  readonly repeatedHeader: string | null
  /** True while the client waits for `100 Continue` before it sends the body. */
  expectsContinue: boolean
  caller: Caller | undefined
  /** Why the credential ended after it was accepted: nothing of this request may run any more. */
  ended: EndReason | undefined
  /** Lets go of the credential. */
  release: (() => void) | undefined
  /** Called when that happens while the request is being served, or its client goes away before the reply is sent. */
  onEnd: ((reason: EndReason | 'gone') => void) | undefined
  /** For the request log: a route's pattern, never a URL. */
  route: string
  /** The MCP server that was asked for: one that is there, and that the caller may know of. */
  server: string | undefined
  code: string | undefined
  trace: RequestTrace | undefined
}

/** Headers that every reply has, names and values in turn. */
export const replyHeaders = (requestId: string): readonly string[] => [
  'x-request-id',
  requestId,
  'x-content-type-options',
  'nosniff',
  'cache-control',
  'no-store',
]

/** Puts them on the response; once is enough. */
export function dress({ response, id }: Pick<Exchange, 'response' | 'id'>): void {
  if (response.headersSent || response.hasHeader('x-request-id')) return
  const headers = replyHeaders(id)
  for (let at = 0; at < headers.length; at += 2) {
    response.setHeader(headers[at] as string, headers[at + 1] as string)
  }
}

/** The route of a request that no route answered; the log holds this instead of what was asked for. */
export const NO_ROUTE = '(none)'
