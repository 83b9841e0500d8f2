import type { Clock } from '../lib/clock.ts'
import { dress, type Exchange } from './exchange.ts'
import { hasBody } from './read-body.ts'

/** How long what a refused client still sends is discarded, so that it reads the reply before the close. */
const LINGER_MS = 1_000

/** An unread body up to this size is cheaper to read away than a new connection is to make. */
const SMALL_BODY_BYTES = 65_536

export interface Reply {
  readonly status: number
  /** Several values: a header line each. */
  readonly headers: Readonly<Record<string, string | string[]>>
  /** Serialised as JSON. Neither this nor `content`: a reply without content. */
  readonly body?: unknown
  /** Bytes whose type is among the headers. */
  readonly content?: Buffer
}

/**
 * Sends one JSON reply. When the request's body was not read to its end, the connection is closed, but
 * politely: closing at once with unread bytes makes the kernel send a reset, and the client would see
 * "connection reset" in place of the reply.
 */
export function sendReply(exchange: Exchange, reply: Reply, clock: Clock): void {
  const { request, response } = exchange
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  dress(exchange)
  const content = reply.body === undefined ? reply.content : Buffer.from(`${JSON.stringify(reply.body)}\n`)
  const linger = unreadBody(exchange)
  response.writeHead(reply.status, {
    ...(reply.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    ...(content === undefined ? {} : { 'content-length': String(content.length) }),
    ...(linger ? { connection: 'close' } : {}),
    ...reply.headers,
  })
  const sent = request.method === 'HEAD' ? undefined : content
  if (!linger) {
    response.end(sent)
    return
  }
  if (sent) response.write(sent)
  else response.flushHeaders()
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    cancel()
    response.end()
  }
  const cancel = clock.after(LINGER_MS, end)
  request.once('end', end).once('close', end)
  request.resume()
}

/** A client that waits for `100 Continue` has sent nothing yet, but may start to: that connection is closed, too. */
function unreadBody({ request, expectsContinue }: Exchange): boolean {
  if (request.complete || !hasBody(request)) return false
  const length = request.headers['content-length']
  return expectsContinue || length === undefined || Number(length) > SMALL_BODY_BYTES
}
