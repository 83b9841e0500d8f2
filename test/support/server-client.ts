import { type Answer, type Json, initialize, type McpHarness, request } from './mcp-harness.ts'

/** Requests to one server of a harness, written by hand. */
export interface ServerClient {
  post(body: unknown, headers?: Record<string, string>, name?: string): Promise<Answer>
  /** The response itself, for one that is a stream. */
  stream(body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  get(headers?: Record<string, string>): Promise<Response>
  /** Initializes a session of this revision; the headers of its requests. */
  open(
    version: string,
    capabilities?: Readonly<Record<string, unknown>>,
    name?: string,
  ): Promise<Record<string, string>>
}

export const BOTH = 'application/json, text/event-stream'

export function serverClient(mcp: McpHarness, server: string): ServerClient {
  const url = `${mcp.url}/${server}/mcp`
  const send = (
    body: unknown,
    headers: Record<string, string>,
    name: string,
    signal?: AbortSignal,
  ): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer token-${name}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal ? { signal } : {}),
    })
  const post: ServerClient['post'] = async (body, headers = {}, name = 'reader') => {
    const response = await send(body, headers, name)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: (isJson && text !== '' ? JSON.parse(text) : {}) as Json,
    }
  }
  return {
    post,
    stream: (body, headers = {}, signal) => send(body, { accept: BOTH, ...headers }, 'reader', signal),
    get: (headers = {}) =>
      fetch(url, {
        headers: { authorization: 'Bearer token-reader', accept: 'text/event-stream', ...headers },
      }),
    async open(version, capabilities = {}, name = 'reader') {
      const body = initialize(version) as { params: Record<string, unknown> }
      const answer = await post({ ...body, params: { ...body.params, capabilities } }, {}, name)
      const id = answer.headers.get('mcp-session-id')
      if (id === null) throw new Error(`no session: ${answer.status} ${answer.text}`)
      const headers = { 'mcp-session-id': id }
      await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers, name)
      return headers
    },
  }
}

/** A `tools/call` as JSON-RPC. */
export const toolCall = (name: string, args: unknown = {}, id: unknown = 1, meta?: unknown): unknown =>
  request('tools/call', { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) }, id)
