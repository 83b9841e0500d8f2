import type { IncomingMessage, ServerResponse } from 'node:http'
import { isScopeToken } from '../access/is-scope-token.ts'
import { failure, type RpcError } from './rpc-error.ts'
import type { RequestId } from './message.ts'

/** What goes back for one POST: JSON-RPC text, or nothing but an acknowledgement. */
export interface Reply {
  /** JSON text; absent for notifications, which are only acknowledged. */
  readonly message?: string
  /** The error that `message` carries, where HTTP must say it too. */
  readonly error?: RpcError
  /** Issued by `initialize`. */
  readonly sessionId?: string
  /** The request was cancelled: a client that reads streams gets an empty one instead of a response. */
  readonly silent?: boolean
}

export const ACCEPTED: Reply = Object.freeze({})

export const errorReply = (id: RequestId | undefined, error: RpcError, stateless = false): Reply => ({
  message: failure(id, error, stateless),
  error,
})

export const acceptsEventStream = (accept: string | undefined): boolean =>
  accept === undefined || /(?:^|[\s,])(?:text\/event-stream|text\/\*|\*\/\*)/i.test(accept)

/** A client that says so itself reads event streams; one that merely takes anything may well be a shell script. */
export const namesEventStream = (accept: string | undefined): boolean =>
  accept !== undefined && /(?:^|[\s,])text\/event-stream/i.test(accept)

const acceptsJson = (accept: string | undefined): boolean =>
  accept === undefined || /(?:^|[\s,])(?:application\/json|application\/\*|\*\/\*)/i.test(accept)

/**
 * Writes a reply. JSON unless the client reads nothing but streams; a client that names neither gets JSON,
 * since a 406 helps nobody to find out what is wrong.
 *
 * @param resourceMetadataUrl named in challenges, so that a client finds out where to get a better token
 */
export function writeReply(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  resourceMetadataUrl: string | undefined,
): void {
  if (response.headersSent || response.destroyed) return
  const headers: Record<string, string | number> = { 'cache-control': 'no-store' }
  if (reply.sessionId !== undefined) headers['mcp-session-id'] = reply.sessionId
  const { error, message } = reply
  if (error) addErrorHeaders(headers, error, resourceMetadataUrl)
  if (message === undefined) {
    headers['content-length'] = 0
    response.writeHead(202, headers).end()
    return
  }
  const status = error?.status ?? 200
  const accept = request.headers.accept
  const stream =
    status === 200 && acceptsEventStream(accept) && (!acceptsJson(accept) || reply.silent === true)
  if (stream && accept !== undefined) {
    headers['content-type'] = 'text/event-stream'
    response.writeHead(200, headers).end(reply.silent === true ? '' : `event: message\ndata: ${message}\n\n`)
    return
  }
  headers['content-type'] = 'application/json'
  headers['content-length'] = Buffer.byteLength(message)
  response.writeHead(status, headers).end(message)
}

function addErrorHeaders(
  headers: Record<string, string | number>,
  error: RpcError,
  resourceMetadataUrl: string | undefined,
): void {
  if (error.retryAfterS !== undefined) headers['retry-after'] = error.retryAfterS
  if (error.allow !== undefined) headers.allow = error.allow
  if (!error.challenge) return
  const parts = [`error="${error.challenge.error}"`]
  if (error.challenge.error === 'insufficient_scope') {
    parts.push(`scope="${error.challenge.scopes.filter(isScopeToken).join(' ')}"`)
  }
  if (resourceMetadataUrl !== undefined) parts.push(`resource_metadata="${resourceMetadataUrl}"`)
  headers['www-authenticate'] = `Bearer ${parts.join(', ')}`
}
