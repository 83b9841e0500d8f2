import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import type { HttpAgent } from './agent.ts'
import type { TokenSource } from './client-credentials.ts'
import { discard } from './discard.ts'
import { judgeError, type Peer } from './judge-error.ts'
import { judgeHeaders } from './judge-headers.ts'
import { judgeStatus } from './judge-status.ts'
import type { HeaderList } from './own-headers.ts'
import { unlessAborted } from '../../lib/unless-aborted.ts'

export interface HttpRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  /** Path and query; the server's own URL without. */
  readonly path?: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /** Ends the request, and its response. */
  readonly signal: AbortSignal
  /** The response is a stream that stays open. */
  readonly stream?: boolean
}

/** The body must be read to its end, discarded or destroyed. */
export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

/**
 * Sends one request to a server, with Postern's own headers and credentials for it.
 *
 * @returns a response that is the server's to give: any 2xx, or a 4xx that may hold a JSON-RPC error
 * @throws Fault `upstream_*` for everything else; the reason of the signal when that was aborted
 */
export type Send = (request: HttpRequest) => Promise<HttpResponse>

export interface SendParts {
  readonly peer: Peer
  readonly agent: HttpAgent
  readonly clock: Clock
  /** Path and query of the server's URL. */
  readonly path: string
  readonly own: HeaderList
  readonly tokens: TokenSource | null
}

export function openSend(parts: SendParts): Send {
  const { peer, agent, clock, tokens } = parts

  const once = async (request: HttpRequest, token: string | undefined): Promise<HttpResponse> => {
    const headers = parts.own.slice()
    for (const [name, value] of Object.entries(request.headers)) headers.push(name, value)
    if (token !== undefined) headers.push('authorization', `Bearer ${token}`)
    const {
      statusCode,
      headers: got,
      body,
    } = await (request.stream === true ? agent.streams : agent.calls).request({
      method: request.method,
      path: request.path ?? parts.path,
      headers,
      body: request.body,
      signal: request.signal,
    })
    // Who reads the body hears of its end there; without a listener it would be an uncaught error.
    body.on('error', () => undefined)
    return { status: statusCode, headers: got, body }
  }

  const authorised = async (request: HttpRequest): Promise<HttpResponse> => {
    if (!tokens) return await once(request, undefined)
    const token = tokens.current() ?? (await unlessAborted(tokens.fetch(), request.signal))
    const response = await once(request, token)
    if (response.status !== 401) return response
    // It may have been revoked, or its keys replaced: one more try with a new one.
    discard(response.body, clock)
    tokens.refused(token)
    return await once(request, await unlessAborted(tokens.fetch(), request.signal))
  }

  return async (request) => {
    request.signal.throwIfAborted()
    let response: HttpResponse
    try {
      response = await authorised(request)
    } catch (error) {
      request.signal.throwIfAborted()
      throw judgeError(error, peer)
    }
    const { status, headers, body } = response
    const retryAfter = headers['retry-after']
    const fault = judgeStatus(status, retryAfter, clock.now(), peer) ?? judgeHeaders(headers, peer)
    if (fault) {
      discard(body, clock)
      throw fault
    }
    return response
  }
}
