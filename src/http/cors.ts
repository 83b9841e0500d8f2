import type { IncomingMessage, ServerResponse } from 'node:http'

/** What a page may read beyond the safe-listed headers. */
const EXPOSED =
  'mcp-session-id, mcp-protocol-version, postern-token-age, retry-after, www-authenticate, x-request-id'

/** A list of header names and nothing else, so that what is echoed cannot hold another header. */
const HEADER_NAMES = /^[a-z0-9-]+(?:[ ]*,[ ]*[a-z0-9-]+){0,63}$/i

/** Lets a page of a configured origin read the reply. No `*`, and no cookies exist to be sent along. */
export function openToOrigin(response: ServerResponse, origin: string): void {
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-expose-headers', EXPOSED)
  response.setHeader('vary', 'origin')
}

/** A browser's question before the real request; it never carries a credential. */
export function isPreflight(request: IncomingMessage): boolean {
  return request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
}

export function preflightHeaders(request: IncomingMessage): Readonly<Record<string, string>> {
  const asked = request.headers['access-control-request-headers'] ?? ''
  return {
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': HEADER_NAMES.test(asked) ? asked : 'authorization, content-type',
    'access-control-max-age': '600',
  }
}
