import type { Duplex } from 'node:stream'
import { refusal, type Refusal } from '../access/refusal.ts'
import { requestId as newRequestId } from '../lib/request-id.ts'
import type { Observe } from '../observe/observation.ts'
import { refusalToWire } from './error-to-wire.ts'

/** What the answer to bytes that are no HTTP request needs to know. */
export interface ClientErrorParts {
  readonly headerBytes: number
  readonly resourceMetadata: () => string
  readonly observe: Observe
  /** True when a reply is on its way on this connection: another one would garble it. */
  readonly replying: (socket: Duplex) => boolean
}

/** Answers what Node's parser gave up on, in the one JSON error shape, and closes the connection. */
export function answerClientError(error: Error, socket: Duplex, parts: ClientErrorParts): void {
  if (!socket.writable || parts.replying(socket) || codeOf(error) === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const requestId = newRequestId()
  const refused = judge(error, parts.headerBytes)
  const wire = refusalToWire(refused, { requestId, resourceMetadata: parts.resourceMetadata() })
  const body = `${JSON.stringify(wire.body)}\n`
  parts.observe({
    kind: 'request',
    requestId,
    method: '',
    route: '(unreadable)',
    status: wire.status,
    durationMs: 0,
    code: refused.code,
  })
  socket.end(
    [
      `HTTP/1.1 ${wire.status} ${REASONS[wire.status] ?? 'Bad Request'}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'cache-control: no-store',
      'x-content-type-options: nosniff',
      `x-request-id: ${requestId}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
  // The rest of what was sent is thrown away, so that the reply is not lost to a reset.
  socket.resume()
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function judge(error: Error, headerBytes: number): Refusal {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return refusal(
        'headers_too_large',
        'limits.headerBytes',
        `the headers are longer than ${headerBytes} bytes`,
        {
          allowed: `headers up to ${headerBytes} bytes`,
        },
      )
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return refusal('body_too_large', 'http.chunk_extensions', 'the chunk extensions are too long')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusal('request_timeout', 'limits.requestTimeout', 'the request took too long to arrive')
    default:
      return refusal('invalid_request', 'http.syntax', 'this is not a valid HTTP request')
  }
}
