/**
 * An MCP server over HTTP, in a process of its own, that does on command what servers should not. It is written
 * without an SDK, because an SDK would not let it. Arguments: `--kind streamable|stateless|sse`, `--port P`.
 * Says its URL on the first line of its output, then every request's headers, one JSON document a line.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Json = Record<string, unknown>

const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(name)
  return at === -1 ? undefined : process.argv[at + 1]
}
const kind = argument('--kind') ?? 'streamable'
const stateless = kind === 'stateless'
const CAPABILITIES = { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} }

/** One request, and where its answer goes. */
interface Exchange {
  readonly id: unknown
  readonly response: ServerResponse
  /** The event stream of the session, for HTTP+SSE. */
  readonly events: ServerResponse | undefined
}

/** Streams of sessions by their id, for HTTP+SSE. */
const streams = new Map<string, ServerResponse>()
/** Streams that no request belongs to. */
const standing = new Set<ServerResponse>()
/** How often each answer to a request of ours came. */
const answers: Json[] = []
let sessions = 0

const message = (more: Json): Json => ({ jsonrpc: '2.0', ...more })
const event = (data: string): string => `event: message\ndata: ${data}\n\n`

/** Where messages before the answer go: the stream of the answer, or that of the session. */
function stream({ response, events }: Exchange): ServerResponse {
  if (events) return events
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
  return response
}

function send(exchange: Exchange, answer: Json): void {
  const text = JSON.stringify(message({ id: exchange.id, ...answer }))
  const { response, events } = exchange
  if (events) events.write(event(text))
  else if (response.headersSent) response.end(event(text))
  else response.writeHead(200, { 'content-type': 'application/json' }).end(text)
}

const complete = (result: Json): Json => (stateless ? { resultType: 'complete', ...result } : result)

const reply = (exchange: Exchange, text: string): void => {
  send(exchange, { result: complete({ content: [{ type: 'text', text }] }) })
}

/** Writes as fast as the other side reads. */
function pour(to: ServerResponse, next: () => string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const more = (): void => {
      for (let chunk = next(); chunk !== undefined; chunk = next()) {
        if (to.destroyed) break
        if (!to.write(chunk)) {
          to.once('drain', more)
          return
        }
      }
      resolve()
    }
    more()
  })
}

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

/** Text of a result that holds so many bytes, in pieces: the whole of it is never in memory. */
function* bigResult(id: unknown, bytes: number): Generator<string> {
  const complete = stateless ? '"resultType":"complete",' : ''
  yield `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${complete}"content":[{"type":"text","text":"`
  const piece = 'x'.repeat(65_536)
  for (let left = bytes; left > 0; left -= piece.length) yield piece.slice(0, Math.min(left, piece.length))
  yield '"}]}}'
}

const tools: Record<string, (exchange: Exchange, args: Json) => void> = {
  echo: (exchange, args) => reply(exchange, JSON.stringify(args)),
  pid: (exchange) => reply(exchange, String(process.pid)),
  answers: (exchange) => reply(exchange, JSON.stringify(answers.length)),
  'list-from-now-on': (exchange, args) => {
    listing = args['how']
    reply(exchange, 'yes')
  },
  crash: () => process.exit(7),
  hang: () => undefined,
  slow: (exchange, args) => {
    setTimeout(() => reply(exchange, 'slow'), Number(args['ms']))
  },
  // Headers of an event stream, and nothing more.
  'hang-in-stream': (exchange) => {
    stream(exchange).write(':\n\n')
  },
  garbage: (exchange) => {
    if (exchange.events) exchange.events.write('event: message\ndata: this is no message\n\n')
    else exchange.response.writeHead(200, { 'content-type': 'application/json' }).end('this is no message')
  },
  'garbage-in-stream': (exchange) => {
    const to = stream(exchange)
    to.write('event: message\ndata: this is no message\n\n')
    if (!exchange.events) to.end()
  },
  half: (exchange) => {
    const { response, events } = exchange
    if (events) {
      events.write('event: message\ndata: {"jsonrpc":"2.0","id":')
      events.destroy()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
    response.write('{"jsonrpc":"2.0","id":')
    setTimeout(() => response.destroy(), 20)
  },
  'half-in-stream': (exchange) => {
    const to = stream(exchange)
    to.write('event: message\ndata: {"jsonrpc":"2.0","id":')
    setTimeout(() => to.destroy(), 20)
  },
  page: ({ response, events }) => {
    if (events) events.write('event: message\ndata: <html>upstream-page</html>\n\n')
    else response.writeHead(502, { 'content-type': 'text/html' }).end('<html>upstream-page</html>')
  },
  // An error that repeats what the server was shown.
  indiscreet: (exchange) => {
    const shown = JSON.stringify(exchange.response.req.headers)
    if (exchange.events) send(exchange, { error: { code: -32_000, message: shown } })
    else exchange.response.writeHead(500, { 'content-type': 'text/plain' }).end(shown)
  },
  'tells-in-error': (exchange) => {
    send(exchange, { error: { code: -32_000, message: JSON.stringify(exchange.response.req.headers) } })
  },
  big: (exchange, args) => {
    const pieces = bigResult(exchange.id, Number(args['bytes']))
    const inStream = args['stream'] === true || exchange.events !== undefined
    const to = inStream ? stream(exchange) : exchange.response
    if (inStream) to.write('event: message\ndata: ')
    else
      to.writeHead(200, {
        'content-type': 'application/json',
        ...(args['length'] === undefined ? {} : { 'content-length': Number(args['length']) }),
      })
    void pour(to, () => pieces.next().value as string | undefined).then(() => {
      if (inStream) to.write('\n\n')
      if (!exchange.events) to.end()
    })
  },
  flood: (exchange, args) => {
    let left = Number(args['count'])
    const lines = event(
      JSON.stringify(
        message({ method: 'notifications/message', params: { level: 'error', data: 'x'.repeat(100) } }),
      ),
    ).repeat(100)
    void pour(stream(exchange), () => ((left -= 100) >= 0 ? lines : undefined)).then(() =>
      reply(exchange, 'flooded'),
    )
  },
  deep: (exchange, args) => {
    const text = `{"jsonrpc":"2.0","id":${JSON.stringify(exchange.id)},"result":{${stateless ? '"resultType":"complete",' : ''}"content":[],"structuredContent":${nested(Number(args['depth']))}}}`
    if (exchange.events) exchange.events.write(event(text))
    else exchange.response.writeHead(200, { 'content-type': 'application/json' }).end(text)
  },
  // A request of the server's own each millisecond, for as long as it is told.
  'ask-often': (exchange, args) => {
    const to = stream(exchange)
    const until = Date.now() + Number(args['ms'])
    let asked = 0
    const timer = setInterval(() => {
      if (Date.now() > until || to.destroyed) {
        clearInterval(timer)
        reply(exchange, String(asked))
        return
      }
      for (let n = 0; n < 3; n += 1) {
        asked += 1
        to.write(event(JSON.stringify(message({ id: `ask-${asked}`, method: 'roots/list', params: {} }))))
      }
    }, 1)
  },
  // Asks a person, and tells what was answered.
  elicit: (exchange, args) => {
    const params = {
      message: 'Who?',
      requestedSchema: { type: 'object', properties: { who: { type: 'string' } }, required: ['who'] },
    }
    if (stateless) {
      const given = args['inputResponses']
      if (given !== undefined) reply(exchange, JSON.stringify(given))
      else
        send(exchange, {
          result: {
            resultType: 'input_required',
            inputRequests: { who: { method: 'elicitation/create', params } },
            requestState: 'the-state-of-the-server',
          },
        })
      return
    }
    const id = `elicit-${(elicited += 1)}`
    waiting.set(id, (answer) => reply(exchange, JSON.stringify(answer['result'] ?? answer['error'])))
    stream(exchange).write(event(JSON.stringify(message({ id, method: 'elicitation/create', params }))))
  },
}

const waiting = new Map<unknown, (answer: Json) => void>()
let elicited = 0

/** How the tools are listed from now on: `deep`, `heavy` (pages of 7 MB without an end), `endless` (empty pages). */
let listing: unknown

/** As many as a server can have in one list without being told off. */
const manyTools = Number(argument('--tools') ?? '0')

const methods: Record<string, (exchange: Exchange, params: Json) => void> = {
  initialize(exchange) {
    if (!exchange.events) exchange.response.setHeader('mcp-session-id', `session-${(sessions += 1)}`)
    const protocolVersion = kind === 'sse' ? '2024-11-05' : '2025-11-25'
    send(exchange, {
      result: { protocolVersion, capabilities: CAPABILITIES, serverInfo: { name: 'unruly', version: '1' } },
    })
  },
  ping: (exchange) => send(exchange, { result: {} }),
  'logging/setLevel': (exchange) => send(exchange, { result: {} }),
  'resources/subscribe': (exchange) => send(exchange, { result: {} }),
  'server/discover'(exchange) {
    if (!stateless) {
      exchange.response
        .writeHead(400, { 'content-type': 'application/json' })
        .end(JSON.stringify(message({ id: null, error: { code: -32_000, message: 'no session' } })))
      return
    }
    send(exchange, {
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: CAPABILITIES,
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'unruly', version: '2' } },
      },
    })
  },
  'subscriptions/listen'({ id, response }) {
    const _meta = { 'io.modelcontextprotocol/subscriptionId': id }
    const params = { notifications: { toolsListChanged: true }, _meta }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(
      event(JSON.stringify(message({ method: 'notifications/subscriptions/acknowledged', params }))),
    )
  },
  'tools/list'(exchange, params) {
    const page = Number(params['cursor'] ?? 0)
    if (listing === 'deep') {
      const more = stateless ? '"resultType":"complete","ttlMs":0,"cacheScope":"private",' : ''
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(exchange.id)},"result":{${more}"tools":[{"name":"deep","inputSchema":${nested(100_000)}}]}}`
      if (exchange.events) exchange.events.write(event(text))
      else exchange.response.writeHead(200, { 'content-type': 'application/json' }).end(text)
      return
    }
    if (listing === 'heavy' || listing === 'endless') {
      const heavy = {
        name: `heavy-${page}`,
        description: 'x'.repeat(7_000_000),
        inputSchema: { type: 'object' },
      }
      const result = { tools: listing === 'heavy' ? [heavy] : [], nextCursor: String(page + 1) }
      send(exchange, {
        result: complete({ ...result, ...(stateless ? { ttlMs: 0, cacheScope: 'private' } : {}) }),
      })
      return
    }
    const names = [...Object.keys(tools), ...Array.from({ length: manyTools }, (_, n) => `tool-${n}`)]
    send(exchange, {
      result: complete({
        tools: names.map((name) => ({
          name,
          description: `What ${name} does`,
          inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
        })),
        ...(stateless ? { ttlMs: 0, cacheScope: 'private' } : {}),
      }),
    })
  },
  'tools/call'(exchange, params) {
    const args = { ...((params['arguments'] ?? {}) as Json) }
    if (params['inputResponses'] !== undefined) args['inputResponses'] = params['inputResponses']
    tools[String(params['name'])]?.(exchange, args)
  },
}

function handle(body: Json, response: ServerResponse, events: ServerResponse | undefined): void {
  const { id, method } = body
  if (method === undefined) {
    answers.push(body)
    response.writeHead(202).end()
    waiting.get(id)?.(body)
    waiting.delete(id)
    return
  }
  if (id === undefined) {
    response.writeHead(202).end()
    return
  }
  if (events) response.writeHead(202).end()
  const known = methods[typeof method === 'string' ? method : '']
  const exchange = { id, response, events }
  if (known) known(exchange, (body['params'] ?? {}) as Json)
  else send(exchange, { error: { code: -32_601, message: 'Method not found' } })
}

function openStream(response: ServerResponse): void {
  if (stateless) {
    response.writeHead(405).end()
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (kind !== 'sse') {
    response.write(':\n\n')
    standing.add(response)
    response.on('close', () => standing.delete(response))
    return
  }
  const session = `session-${(sessions += 1)}`
  streams.set(session, response)
  response.on('close', () => streams.delete(session))
  response.write(`event: endpoint\ndata: /message?session=${session}\n\n`)
}

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const text = Buffer.concat(chunks).toString('utf8')
    process.stdout.write(
      `${JSON.stringify({ method: request.method, url: request.url, headers: request.rawHeaders, body: text.slice(0, 10_000) })}\n`,
    )
    if (request.method === 'GET') openStream(response)
    else if (request.method === 'DELETE') response.writeHead(200).end()
    else if (kind === 'sse' && url.pathname !== '/message') response.writeHead(404).end()
    else
      handle(
        JSON.parse(text) as Json,
        response,
        streams.get(url.searchParams.get('session') ?? '') ?? undefined,
      )
  })
})
server.listen(Number(argument('--port') ?? '0'), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`http://127.0.0.1:${port}/${kind === 'sse' ? 'sse' : 'mcp'}\n`)
})
