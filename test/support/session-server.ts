import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type RawUpstream, rawUpstream, type Received } from './raw-upstream.ts'

/** A request of a client as the server sees it. */
export interface Asked {
  readonly id?: string | number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
}

export interface SessionServer extends RawUpstream {
  /** Sessions that were opened and not ended. */
  readonly open: ReadonlySet<string>
  /** GET streams that are open, oldest first. */
  readonly streams: readonly ServerResponse[]
}

export const json = (response: ServerResponse, body: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const result = (id: Asked['id'], value: unknown): unknown => ({ jsonrpc: '2.0', id, result: value })

export const TOOLS = [
  { name: 'echo', inputSchema: { type: 'object' } },
  { name: 'secret', inputSchema: { type: 'object' } },
]

/** A server over Streamable HTTP that keeps sessions, and answers calls as a test wants. */
export async function sessionServer(
  call: (asked: Asked, response: ServerResponse, request: Received) => void,
): Promise<SessionServer> {
  const open = new Set<string>()
  const streams: ServerResponse[] = []
  const upstream = await rawUpstream((request, response) => {
    const session = String(request.headers['mcp-session-id'] ?? '')
    const stateless = request.headers['mcp-protocol-version'] === '2026-07-28'
    const asked = request.body === '' ? {} : (JSON.parse(request.body) as Asked)
    if (asked.method === 'initialize') {
      const id = randomUUID()
      open.add(id)
      response.setHeader('mcp-session-id', id)
      const capabilities = { tools: { listChanged: true }, tasks: { list: {} } }
      json(
        response,
        result(asked.id, {
          protocolVersion: asked.params?.['protocolVersion'],
          capabilities,
          serverInfo: { name: 'behind', version: '1.0.0' },
        }),
      )
    } else if (!stateless && !open.has(session)) {
      json(
        response,
        { jsonrpc: '2.0', id: null, error: { code: -32_001, message: 'Session not found' } },
        404,
      )
    } else if (request.method === 'DELETE') {
      open.delete(session)
      response.writeHead(204).end()
    } else if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      streams.push(response)
      response.on('close', () => streams.splice(streams.indexOf(response), 1))
    } else if (asked.id === undefined || asked.method === undefined) {
      response.writeHead(202).end()
    } else {
      call(asked, response, request)
    }
  })
  return {
    get origin() {
      return upstream.origin
    },
    get received() {
      return upstream.received
    },
    get connections() {
      return upstream.connections
    },
    drop: () => upstream.drop(),
    close: () => upstream.close(),
    open,
    streams,
  }
}
