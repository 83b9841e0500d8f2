import type { ServerResponse } from 'node:http'
import { rawUpstream, type RawUpstream, type Received } from '../raw-upstream.ts'

export interface RawMessage {
  readonly id?: number
  readonly method: string
  readonly params: Record<string, unknown>
}

export interface RawMcp extends RawUpstream {
  readonly url: string
  /** The messages of all POSTs, in order. */
  readonly messages: readonly (RawMessage & { readonly headers: Received['headers'] })[]
}

/** Answers true when it answered, or will; otherwise the server does what its revision says. */
export type Script = (message: RawMessage, response: ServerResponse, request: Received) => boolean

export const json = (response: ServerResponse, body: unknown, status = 200): true => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  return true
}

export const result = (response: ServerResponse, { id }: RawMessage, value: unknown): true =>
  json(response, { jsonrpc: '2.0', id, result: value })

export const failure = (
  response: ServerResponse,
  { id }: RawMessage,
  error: { readonly code: number; readonly message: string; readonly data?: unknown },
  status = 200,
): true => json(response, { jsonrpc: '2.0', id, error }, status)

/** Begins an event stream; events follow as `event` writes them. */
export const events = (response: ServerResponse): ServerResponse => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  return response
}

export const event = (data: unknown, more = ''): string => `${more}data: ${JSON.stringify(data)}\n\n`

async function rawMcp(
  serve: (message: RawMessage | null, response: ServerResponse, request: Received) => void,
) {
  const messages: (RawMessage & { readonly headers: Received['headers'] })[] = []
  const upstream = await rawUpstream((request, response) => {
    let message: RawMessage | null = null
    if (request.method === 'POST' && request.headers['content-type'] === 'application/json') {
      const { params = {}, ...rest } = JSON.parse(request.body) as Partial<RawMessage> & { method: string }
      message = { ...rest, params }
      messages.push({ ...message, headers: request.headers })
    }
    serve(message, response, request)
  })
  return Object.assign(upstream, { url: `${upstream.origin}/mcp`, messages }) satisfies RawMcp
}

export interface SessionOptions {
  readonly session?: string
  readonly revision?: string
  /** Takes GET and DELETE; otherwise they are not offered. */
  readonly other?: (response: ServerResponse, request: Received) => boolean
}

/** Streamable HTTP with sessions, as small as can be; the script comes first. */
export function rawSessionMcp(script: Script, options: SessionOptions = {}): Promise<RawMcp> {
  return rawMcp((message, response, request) => {
    if (!message) {
      if (options.other?.(response, request) !== true) response.writeHead(405).end()
      return
    }
    if (script(message, response, request)) return
    switch (message.method) {
      case 'initialize':
        if (options.session !== undefined) response.setHeader('mcp-session-id', options.session)
        result(response, message, {
          protocolVersion: options.revision ?? '2025-11-25',
          capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
          serverInfo: { name: 'raw', version: '1' },
        })
        return
      case 'server/discover':
        json(
          response,
          { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Bad Request: no session' } },
          400,
        )
        return
      default:
        if (message.id === undefined) response.writeHead(202).end()
        else result(response, message, {})
    }
  })
}

/** The stateless revision, as small as can be; the script comes first. */
export function rawStatelessMcp(script: Script): Promise<RawMcp> {
  return rawMcp((message, response, request) => {
    if (!message) response.writeHead(405).end()
    else if (script(message, response, request)) return
    else if (message.method === 'server/discover') {
      result(response, message, {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
        instructions: 'Be kind.',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'raw', version: '2' } },
      })
    } else failure(response, message, { code: -32601, message: 'Method not found' }, 404)
  })
}
