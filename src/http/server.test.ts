import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, createServer as createTcpServer, type Server as NetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import {
  callerOf,
  controlParts,
  levelCallers,
  mapAuthenticator,
  TOKENS,
} from '../../test/support/http-parts.ts'
import { type ManualClock, manualClock } from '../../test/support/clock.ts'
import { head, type RawReply, sendRaw } from '../../test/support/raw-http.ts'
import { testTool } from '../../test/support/tools.ts'
import { stoppedBy, stopRefusal } from '../access/stop-refusal.ts'
import { Lifelines } from '../identity/lifelines.ts'
import { DAY_MS } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { ok } from '../lib/result.ts'
import type { McpEndpoint, McpExchange } from '../mcp/endpoint.ts'
import { createHttpServer, type HttpServer, type HttpServerOptions } from './server.ts'

const BEARER = `Authorization: Bearer ${TOKENS['read-only']}`
const JSON_TYPE = 'Content-Type: application/json'

interface Started extends ReturnType<typeof controlParts> {
  readonly port: number
  readonly url: string
  readonly server: HttpServer
  readonly clock: ManualClock
  readonly exchanges: McpExchange[]
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that are really held: without a collection first, what was thrown away would count, too. */
function heldBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

const running: HttpServer[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close(0)))
})

/** An MCP endpoint that repeats the message it was given. */
const repeat = async ({ response, body, path }: McpExchange): Promise<void> => {
  const text = JSON.stringify({ path, body: body ?? null })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
  await Promise.resolve()
}

async function start(
  options: Partial<HttpServerOptions> & { handle?: McpEndpoint['handle']; clock?: ManualClock } = {},
): Promise<Started> {
  const { handle = repeat, ...rest } = options
  const clock = options.clock ?? manualClock()
  const parts = controlParts(clock)
  const exchanges: McpExchange[] = []
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    baseUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    limits: { bodyBytes: 1_000_000, jsonDepth: 64, headerBytes: 16_384, requestTimeoutMs: 30_000 },
    authenticator: mapAuthenticator(levelCallers()),
    lifelines: new Lifelines(),
    audit: parts.audit,
    observe: parts.observe,
    mcp: {
      locate: () => ok(null),
      handle: async (exchange) => {
        exchanges.push(exchange)
        await handle(exchange)
      },
      close: () => {
        for (const { response } of exchanges) response.end()
      },
    },
    control: parts.app,
    ...rest,
    clock,
  })
  running.push(server)
  const { url, port } = await server.listen()
  return { ...parts, url, port, server, clock, exchanges }
}

const error = (reply: RawReply): Record<string, unknown> => {
  expect(reply.head).toMatch(/content-type: application\/json/i)
  return JSON.parse(reply.body) as Record<string, unknown>
}

const post = (path: string, body: string, headers: readonly string[] = [BEARER, JSON_TYPE]): string =>
  `${head(`POST ${path}`, [...headers, `Content-Length: ${Buffer.byteLength(body)}`])}${body}`

describe('C1 credentials', () => {
  it.each([
    ['missing', []],
    ['lower-case scheme', [`Authorization: bearer ${TOKENS.admin}`]],
    ['two spaces', [`Authorization: Bearer  ${TOKENS.admin}`]],
    ['extra words', [`Authorization: Bearer ${TOKENS.admin} more`]],
    ['bare token', [`Authorization: ${TOKENS.admin}`]],
    ['no token', ['Authorization: Bearer']],
    ['empty', ['Authorization:']],
    ['basic', ['Authorization: Basic YTpi']],
    ['unknown', ['Authorization: Bearer pst_unknown']],
    ['a tab', [`Authorization: Bearer\t${TOKENS.admin}`]],
    ['a comma', [`Authorization: Bearer ${TOKENS.admin},Bearer x`]],
    ['twice', [`Authorization: Bearer ${TOKENS.admin}`, `authorization: Bearer ${TOKENS.admin}`]],
    ['twice, wrong first', ['Authorization: Bearer x', `Authorization: Bearer ${TOKENS.admin}`]],
    ['proxy header', [`Proxy-Authorization: Bearer ${TOKENS.admin}`]],
  ])('refuses %s alike on every plane', async (_, headers) => {
    const { port, events, exchanges } = await start()
    const replies = await Promise.all(
      [
        '/mcp',
        '/mcp/v1',
        '/_mcp/',
        '/sse',
        '/mcp/tools',
        '/api/v1/admin/tokens',
        '/nothing',
        '//',
        '/mcp/../health',
      ].map((path) => sendRaw(port, head(`GET ${path}`, [...headers, 'Connection: close']))),
    )
    for (const reply of replies) {
      expect(reply.status).toBe(401)
      const { request_id, ...body } = error(reply)
      expect(body).toEqual({
        error: 'unauthorized',
        code: 'unauthorized',
        message: 'a valid credential is needed: send it as "Authorization: Bearer <token>"',
      })
      expect(request_id).toMatch(/^[0-9a-f-]{36}$/)
      expect(reply.head).toMatch(/www-authenticate: Bearer realm="postern", resource_metadata="http/i)
      const shown = headers.some((one) => one.startsWith('Authorization'))
      expect(reply.head.includes('error="invalid_token"')).toBe(shown)
    }
    expect(exchanges).toEqual([])
    expect(events).toHaveLength(replies.length)
    expect(events[0]).toMatchObject({ kind: 'authentication', outcome: 'refuse', remoteAddress: '127.0.0.1' })
  })

  it('takes no token from the query and logs no URL', async () => {
    const { port, observations, events } = await start()
    const reply = await sendRaw(port, head(`GET /mcp?access_token=${TOKENS.admin}&token=${TOKENS.admin}`, []))
    expect(reply.status).toBe(401)
    const good = await sendRaw(port, head(`GET /mcp/tools/x-${TOKENS.admin}`, [BEARER]))
    expect(good.status).toBe(405)
    expect(JSON.stringify([observations, events])).not.toContain(TOKENS.admin)
    expect(observations).toContainEqual(
      expect.objectContaining({ kind: 'request', route: '/mcp/tools/{tool}', status: 405 }),
    )
  })

  it('answers the public list without a credential, and also with a bad one', async () => {
    const { port } = await start()
    for (const path of [
      '/health',
      '/health/',
      '/api/v1/health',
      '/.well-known/oauth-protected-resource/mcp',
    ]) {
      expect((await sendRaw(port, head(`GET ${path}`, ['Connection: close']))).status).toBe(200)
      const bad = ['Authorization: Bearer wrong', 'Connection: close']
      expect((await sendRaw(port, head(`GET ${path}`, bad))).status).toBe(200)
    }
    expect((await sendRaw(port, head('GET /.well-known/oauth-authorization-server'))).status).toBe(404)
  })

  it('waits for an authenticator that has to look the credential up', async () => {
    const slow = mapAuthenticator(levelCallers())
    const { port } = await start({
      authenticator: { authenticate: async (header) => await Promise.resolve(slow.authenticate(header)) },
    })
    expect((await sendRaw(port, head('GET /mcp/tools', [BEARER]))).status).toBe(200)
    expect((await sendRaw(port, head('GET /mcp/tools', []))).status).toBe(401)
  })

  it('a failing look-up is a fault, never a way in', async () => {
    const { port, observations } = await start({
      authenticator: { authenticate: () => Promise.reject(new Error('store is gone')) },
    })
    const reply = await sendRaw(port, head('GET /mcp', [BEARER]))
    expect([reply.status, reply.body.includes('store is gone')]).toEqual([500, false])
    expect(observations).toContainEqual(expect.objectContaining({ kind: 'fault', where: 'http' }))
  })

  it('says that the store is away, and leaves to the log which one and why', async () => {
    const fault = new Fault('store_unavailable', 'the store /srv/postern/store.db: the disk is full')
    const { port, observations } = await start({
      authenticator: { authenticate: () => Promise.reject(fault) },
    })
    const reply = await sendRaw(port, head('GET /mcp', [BEARER]))
    expect([reply.status, reply.body.includes('srv')]).toEqual([503, false])
    expect(observations).toContainEqual(
      expect.objectContaining({ kind: 'fault', error: fault, requestId: error(reply)['request_id'] }),
    )
  })

  it('records a flood of refusals as counts, so that nobody can fill the disk', async () => {
    const clock = manualClock()
    const { port, events, observations } = await start({ clock })
    const flood = head('GET /mcp').repeat(400)
    const reply = await sendRaw(port, flood, { quietMs: 1_000 })
    expect(reply.all.match(/HTTP\/1\.1 401/g)).toHaveLength(400)
    expect(events).toHaveLength(20)
    clock.advance(60_000)
    expect(events).toHaveLength(21)
    expect(events[20]).toMatchObject({ rule: 'credential.flood', count: 380, remoteAddress: '127.0.0.1' })
    const seen = observations.filter(({ kind }) => kind === 'authentication.refused')
    expect(seen).toHaveLength(21)
    await sendRaw(port, head('GET /mcp'))
    expect(events).toHaveLength(22)
  })

  it('tells the age of a token that should be replaced', async () => {
    const clock = manualClock()
    const at = (level: 'read-only' | 'admin', days: number) =>
      callerOf(level, { createdAt: clock.now() - days * DAY_MS })
    const callers = new Map([
      ['old', at('read-only', 91)],
      ['fresh', at('read-only', 90)],
      ['admin', at('admin', 15)],
    ])
    const { port } = await start({ clock, authenticator: mapAuthenticator(callers) })
    const age = async (token: string) =>
      /postern-token-age: (\d+)/.exec(
        (await sendRaw(port, head('GET /mcp', [`Authorization: Bearer ${token}`]))).head,
      )?.[1]
    expect([await age('old'), await age('fresh'), await age('admin')]).toEqual(['91', undefined, '15'])
  })
})

describe('addresses', () => {
  it.each([
    ['/mcp', 'streamable'],
    ['/mcp/', 'streamable'],
    ['/mcp/v1', 'streamable'],
    ['/mcp/v1/', 'streamable'],
    ['/_mcp', 'streamable'],
    ['/_mcp/', 'streamable'],
    ['/message?sessionId=1', 'message'],
  ])('%s is the %s address', async (path, kind) => {
    const { port, exchanges } = await start()
    const reply = await sendRaw(port, post(path, '{"a":[1]}'))
    expect(JSON.parse(reply.body)).toEqual({ path: kind, body: { a: [1] } })
    expect(exchanges[0]?.url.pathname).toBe(path.replace(/\/?(\?.*)?$/, ''))
    expect(exchanges[0]?.caller.credential.id).toBe('tok_read-only')
  })

  it.each([
    '//mcp',
    '/mcp//',
    '/mcp/.',
    '/mcp/../mcp',
    '/x/../mcp',
    '/%6dcp/%2e%2e',
    '/MCP',
    '/mcp/V1',
    '/mcp%2f',
    '/mcp;x',
    '/mcp\\',
    '*',
  ])('%s is no address', async (path) => {
    const { port, exchanges } = await start()
    expect((await sendRaw(port, post(path, '{}'))).status).toBe(404)
    expect(exchanges).toEqual([])
  })

  it('takes an absolute-form target whose authority is the Host', async () => {
    const { port } = await start()
    expect((await sendRaw(port, head('GET http://localhost/health', ['Host: localhost']))).status).toBe(200)
    expect((await sendRaw(port, head('GET http://evil.example/health', ['Host: localhost']))).status).toBe(
      400,
    )
    expect((await sendRaw(port, head('GET http://evil.example/health', ['Host: evil.example']))).status).toBe(
      403,
    )
    expect(
      (await sendRaw(port, head('GET http://u:p@localhost/health', ['Host: u:p@localhost']))).status,
    ).toBe(400)
  })

  it('names the methods that an address takes', async () => {
    const { port } = await start()
    const reply = await sendRaw(port, head('PUT /mcp', [BEARER]))
    expect([reply.status, reply.head.includes('allow: POST, GET, DELETE')]).toEqual([405, true])
    expect((await sendRaw(port, head('POST /sse', [BEARER]))).status).toBe(405)
    expect((await sendRaw(port, head('TRACE /health', [BEARER]))).status).toBe(405)
  })
})

describe('browsers', () => {
  it.each([
    ['Host: evil.example.com'],
    ['Host: localhost.evil.example.com'],
    ['Host: localhost', 'Origin: http://evil.example.com'],
    ['Host: localhost', 'Origin: null'],
    ['Host: evil.example.com', 'Origin: http://evil.example.com'],
    ['Host: localhost', 'X-Forwarded-Host: localhost', 'Origin: https://localhost.evil.example.com'],
  ])('refuses %s %s', async (...headers) => {
    const { port, exchanges, events } = await start()
    for (const path of ['/mcp', '/health']) {
      const reply = await sendRaw(port, post(path, '{}', [...headers, BEARER, JSON_TYPE]))
      expect([reply.status, error(reply)['error']]).toEqual([403, 'forbidden'])
    }
    expect([exchanges, events]).toEqual([[], []])
  })

  it.each([
    ['no Host', `GET /health HTTP/1.1\r\n\r\n`],
    ['no Host in HTTP/1.0', `GET /health HTTP/1.0\r\n\r\n`],
    ['two Hosts', head('GET /health', ['Host: localhost', 'Host: evil.example'])],
    ['two Origins', head('GET /health', ['Origin: http://localhost', 'Origin: http://evil.example'])],
  ])('refuses %s', async (_, bytes) => {
    const { port } = await start()
    const reply = await sendRaw(port, bytes)
    expect([reply.status, error(reply)['code']]).toEqual([400, 'invalid_request'])
  })

  it('serves HTTP/1.0 with a Host and closes', async () => {
    const { port } = await start()
    const reply = await sendRaw(port, 'GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n')
    expect([reply.status, reply.closed]).toEqual([200, true])
  })

  it('lets pages of this machine call over loopback, without reading', async () => {
    const { port } = await start()
    const reply = await sendRaw(
      port,
      post('/mcp', '{}', ['Origin: http://localhost:6274', BEARER, JSON_TYPE]),
    )
    expect([reply.status, reply.head.includes('access-control')]).toEqual([200, false])
    const preflight = head('OPTIONS /mcp', [
      'Origin: http://localhost:6274',
      'Access-Control-Request-Method: POST',
    ])
    expect((await sendRaw(port, preflight)).status).toBe(401)
  })

  it('answers the preflight of a configured origin, and opens the reply to it', async () => {
    const { port, events } = await start({ allowedOrigins: ['https://app.example.org'] })
    const origin = 'Origin: https://app.example.org'
    const asked = [
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: authorization, mcp-name',
    ]
    const preflight = await sendRaw(port, head('OPTIONS /mcp', [origin, ...asked]))
    expect(preflight.status).toBe(204)
    expect(preflight.head).toContain('access-control-allow-headers: authorization, mcp-name')
    expect(events).toEqual([])
    const reply = await sendRaw(port, post('/mcp', '{}', [origin, BEARER, JSON_TYPE]))
    expect(reply.head).toContain('access-control-allow-origin: https://app.example.org')
    const unauthorized = await sendRaw(port, post('/mcp', '{}', [origin, JSON_TYPE]))
    expect(unauthorized.head).toContain('access-control-allow-origin: https://app.example.org')
    expect(unauthorized.status).toBe(401)
  })

  it('sends the security headers and no product name', async () => {
    const { port } = await start()
    const reply = await sendRaw(port, head('GET /mcp/tools', [BEARER]))
    expect(reply.head).toMatch(/x-content-type-options: nosniff/i)
    expect(reply.head).toMatch(/cache-control: no-store/i)
    expect(reply.head).toMatch(/x-request-id: [0-9a-f-]{36}/i)
    expect(reply.head).not.toMatch(/^(server|x-powered-by):/im)
    const asked = await sendRaw(port, head('GET /health', ['X-Request-Id: mine']))
    expect(asked.head).not.toContain('mine')
  })
})

describe('C6 bodies', () => {
  it.each([
    ['malformed', '{"jsonrpc":', 400, -32_700],
    ['duplicate keys', '{"method":"ping","method":"tools/call"}', 400, -32_700],
    ['100,000 deep', '['.repeat(100_000), 400, -32_700],
    ['empty', '', 400, -32_700],
  ])('refuses a body that is %s in the shape of JSON-RPC', async (_, body, status, code) => {
    const { port, exchanges } = await start()
    const reply = await sendRaw(port, post('/mcp', body))
    expect(reply.status).toBe(status)
    expect(error(reply)).toMatchObject({ jsonrpc: '2.0', id: null, error: { code } })
    expect(exchanges).toEqual([])
  })

  it.each([
    ['no type', [BEARER]],
    ['a form', [BEARER, 'Content-Type: application/x-www-form-urlencoded']],
    ['plain text', [BEARER, 'Content-Type: text/plain']],
    ['another charset', [BEARER, 'Content-Type: application/json; charset=utf-16']],
    ['gzip', [BEARER, JSON_TYPE, 'Content-Encoding: gzip']],
  ])('refuses %s with 415', async (_, headers) => {
    const { port } = await start()
    expect((await sendRaw(port, post('/mcp', '{}', headers))).status).toBe(415)
  })

  it('refuses bytes that are not UTF-8', async () => {
    const { port } = await start()
    const bytes = Buffer.from([0x22, 0xff, 0xfe, 0x22])
    const reply = await sendRaw(port, [head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 4']), bytes])
    expect([reply.status, reply.body.includes('UTF-8')]).toEqual([400, true])
  })

  it('refuses 100 MB before the first byte, and the client reads why', async () => {
    const { port } = await start()
    const announced = head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 104857600'])
    const startedAt = performance.now()
    const reply = await sendRaw(port, [announced, ...Array<Buffer>(100).fill(Buffer.alloc(1_048_576, 0x20))])
    expect(reply.status).toBe(413)
    expect(error(reply)).toMatchObject({ error: { data: { code: 'body_too_large' } } })
    expect(reply.head).toMatch(/connection: close/i)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  it.each([
    ['no more than the limit', 1_000_000, 100, '413', 0, 10_000_000],
    // The same measure must see a server that does hold the body, or it would prove nothing.
    ['a body that fits', 40_000_000, 30, '400', 25_000_000, Infinity],
  ])('of a chunked flood holds %s', async (_, bodyBytes, megabytes, status, atLeast, below) => {
    const limits = { bodyBytes, jsonDepth: 64, headerBytes: 16_384, requestTimeoutMs: 30_000 }
    const { port } = await start({ limits })
    const before = heldBytes()
    let most = 0
    const watch = setInterval(() => (most = Math.max(most, heldBytes() - before)), 10)
    const client = fileURLToPath(new URL('../../test/support/flood-client.ts', import.meta.url))
    const flood = promisify(execFile)(process.execPath, [
      client,
      String(port),
      TOKENS['read-only'],
      String(megabytes),
    ])
    const { stdout } = await flood
    clearInterval(watch)
    expect(stdout).toBe(status)
    expect(most).toBeGreaterThanOrEqual(atLeast)
    expect(most).toBeLessThan(below)
  })

  it('does not read the body of somebody unknown', async () => {
    const { port } = await start()
    const reply = await sendRaw(port, head('POST /mcp', [JSON_TYPE, 'Content-Length: 900000']))
    expect([reply.status, /connection: close/i.test(reply.head)]).toEqual([401, true])
    const small = await sendRaw(port, `${post('/mcp', '{}', [JSON_TYPE])}${head('GET /health')}`, {
      quietMs: 500,
    })
    expect(small.all.match(/HTTP\/1\.1 (401|200)/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200'])
  })

  it('answers a client that waits before it sends', async () => {
    const { port } = await start()
    const ask = (length: number, token = BEARER): Promise<RawReply> =>
      sendRaw(port, [
        head('POST /mcp', [token, JSON_TYPE, 'Expect: 100-continue', `Content-Length: ${length}`]),
        ...(length === 2 ? ['{}'] : []),
      ])
    expect((await ask(2)).all).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/)
    expect((await ask(2_000_000)).all).toMatch(/^HTTP\/1\.1 413/)
    expect((await ask(900_000, 'X-None: 1')).all).toMatch(/^HTTP\/1\.1 401/)
  })

  it('gives a slow body its time and no more', async () => {
    const clock = manualClock()
    const { port, exchanges } = await start({ clock })
    const waiting = clock.waiting
    const sent = sendRaw(port, `${head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 100'])}{"a"`)
    await expect.poll(() => clock.waiting).toBe(waiting + 1)
    clock.advance(30_000)
    const reply = await sent
    expect(reply.status).toBe(408)
    expect(error(reply)).toMatchObject({ error: { data: { code: 'request_timeout' } } })
    clock.advance(1_000)
    expect(exchanges).toEqual([])
  })

  it('survives a client that goes away in the middle of its body', async () => {
    const { port, observations } = await start()
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write(`${head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 100'])}{"a"`)
    await expect.poll(() => observations.length + 1).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.destroy()
    await expect.poll(() => observations.some(({ kind }) => kind === 'request')).toBe(true)
    expect((await sendRaw(port, head('GET /health'))).status).toBe(200)
    expect(observations.filter(({ kind }) => kind === 'fault')).toEqual([])
  })
})

describe('connections', () => {
  it('answers a header of 1 MB in JSON', async () => {
    const { port, observations } = await start()
    const reply = await sendRaw(port, head('GET /mcp', [BEARER, `X-Long: ${'a'.repeat(1_048_576)}`]))
    expect([reply.status, reply.closed]).toEqual([431, true])
    expect(error(reply)).toMatchObject({ error: 'too_large', code: 'headers_too_large' })
    expect(observations).toContainEqual(expect.objectContaining({ kind: 'request', status: 431 }))
  })

  it('looks at every header, however many there are', async () => {
    const { port } = await start({
      limits: { bodyBytes: 1_000, jsonDepth: 8, headerBytes: 65_536, requestTimeoutMs: 30_000 },
    })
    const many = Array.from({ length: 3_000 }, () => 'a: b')
    const reply = await sendRaw(port, head('GET /mcp', [BEARER, ...many, 'Authorization: Bearer other']))
    expect(reply.status).toBe(401)
  })

  it.each([
    ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
    [
      'both lengths',
      head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 2', 'Transfer-Encoding: chunked']) + '0\r\n\r\n',
    ],
    ['two lengths', head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: 2', 'Content-Length: 3']) + '{} '],
    ['a signed length', head('POST /mcp', [BEARER, JSON_TYPE, 'Content-Length: +2']) + '{}'],
    ['an odd coding', head('POST /mcp', [BEARER, JSON_TYPE, 'Transfer-Encoding: xchunked']) + '0\r\n\r\n'],
    ['a folded header', `GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\n b\r\n\r\n`],
    ['a space before the colon', 'GET /mcp HTTP/1.1\r\nHost : localhost\r\n\r\n'],
    ['a bare line feed', 'GET /mcp HTTP/1.1\nHost: localhost\n\n'],
    [
      'a bad chunk',
      head('POST /mcp', [BEARER, JSON_TYPE, 'Transfer-Encoding: chunked']) + 'zz\r\n{}\r\n0\r\n\r\n',
    ],
    ['a NUL in a header', 'GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n'],
  ])('answers %s with 400 and closes', async (_, bytes) => {
    const { port, exchanges } = await start()
    const reply = await sendRaw(port, Buffer.from(bytes, 'latin1'))
    expect([reply.status, reply.closed]).toEqual([400, true])
    expect(error(reply)).toMatchObject({ error: 'bad_request', code: 'invalid_request' })
    expect(exchanges).toEqual([])
  })

  it('does not let garbage behind a request garble its reply', async () => {
    let finish: (() => void) | undefined
    const { port } = await start({
      handle: async ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/plain' })
        response.write('begin ')
        await new Promise<void>((resolve) => (finish = resolve))
        response.end('end')
      },
    })
    const sent = sendRaw(port, `${post('/mcp', '{}')}garbage\r\n\r\n`)
    const reply = await sent
    finish?.()
    expect(reply.all).not.toContain('HTTP/1.1 400')
    expect((await sendRaw(port, head('GET /health'))).status).toBe(200)
  })

  it('answers headers that never end', async () => {
    const { port } = await start({
      limits: { bodyBytes: 1_000, jsonDepth: 8, headerBytes: 16_384, requestTimeoutMs: 300 },
    })
    const reply = await sendRaw(port, 'GET /mcp HTTP/1.1\r\nHost: localhost\r\n')
    expect([reply.status, reply.closed, error(reply)['code']]).toEqual([408, true, 'request_timeout'])
  })

  it('cuts off a client that never reads, and no other', async () => {
    const clock = manualClock()
    const piece = Buffer.alloc(65_536, 0x61)
    const { port, exchanges } = await start({
      clock,
      handle: async ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        // Far more than the kernel buffers of both ends take.
        for (let n = 0; n < 400; n += 1) response.write(piece)
        await Promise.resolve()
      },
    })
    const stuck = connect({ port, host: '127.0.0.1' }).pause()
    stuck.on('error', () => {})
    stuck.write(head('GET /sse', [BEARER]))
    const quiet = connect({ port, host: '127.0.0.1' })
    quiet.resume().write(head('GET /sse', [BEARER]))
    await expect.poll(() => exchanges.length).toBe(2)
    const of = (socket: { localPort?: number | undefined }) =>
      exchanges.find(({ request }) => request.socket.remotePort === socket.localPort)?.response
    await expect.poll(() => of(quiet)?.writableLength).toBe(0)
    // The kernel takes what it can within moments; after that nothing moves.
    await new Promise((resolve) => setTimeout(resolve, 200))
    clock.advance(10_000)
    clock.advance(10_000)
    expect(of(stuck)?.destroyed).toBe(false)
    clock.advance(10_000)
    await expect.poll(() => of(stuck)?.destroyed).toBe(true)
    clock.advance(60_000)
    expect(of(quiet)?.destroyed).toBe(false)
    stuck.destroy()
    quiet.destroy()
  })

  it('tells the control plane when the client went away', async () => {
    const signals: AbortSignal[] = []
    const { port } = await start({
      control: {
        fetch: (_request, { signal }) => {
          signals.push(signal)
          return new Promise<Response>((resolve) => {
            signal.addEventListener('abort', () => resolve(new Response(null)))
          })
        },
      },
    })
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write(head('GET /api/v1/x', [BEARER]))
    await expect.poll(() => signals.length).toBe(1)
    socket.destroy()
    await expect.poll(() => signals[0]?.aborted).toBe(true)
  })

  it('observes each request with its route, never its URL', async () => {
    const { port, observations } = await start()
    await sendRaw(port, post('/mcp/tools/echo?x=1', '{}'))
    await sendRaw(port, head('GET /secret-path', [BEARER]))
    await expect.poll(() => observations.filter(({ kind }) => kind === 'request').length).toBe(2)
    expect(observations.filter(({ kind }) => kind === 'request')).toMatchObject([
      {
        route: '/mcp/tools/{tool}',
        method: 'POST',
        status: 400,
        tokenName: 'read-only note',
        code: 'invalid_request',
      },
      { route: '(none)', status: 404, credentialId: 'tok_read-only', code: 'not_found' },
    ])
    expect(JSON.stringify(observations)).not.toContain('secret-path')
  })

  it('waits for the audit to have room, and adds nothing to a record that is full', async () => {
    const parts = controlParts(manualClock())
    let makeRoom: (() => void) | undefined
    const full = new Promise<void>((resolve) => (makeRoom = resolve))
    let asked = 0
    const room = (): Promise<void> => {
      asked += 1
      return full
    }
    const { port, exchanges } = await start({ audit: { record: parts.audit.record, room } })
    const sent = sendRaw(port, post('/mcp', '{}'))
    await expect.poll(() => asked).toBe(1)
    expect([exchanges, parts.events]).toEqual([[], []])
    expect((await sendRaw(port, head('GET /health'))).status).toBe(200)
    makeRoom?.()
    expect((await sent).status).toBe(200)
    expect(parts.events).toMatchObject([{ kind: 'authentication', outcome: 'allow' }])
  })

  it.each([
    ['changed', 503, 'credential_changed'],
    ['revoked', 401, 'unauthorized'],
    ['expired', 401, 'unauthorized'],
    ['shutdown', 503, 'shutting_down'],
  ] as const)(
    'answers a request whose credential ends (%s) on its way in with %i',
    async (reason, status, code) => {
      for (const path of ['/mcp', '/api/v1/query']) {
        const lifelines = new Lifelines()
        const { port, exchanges } = await start({ lifelines })
        const socket = connect({ port, host: '127.0.0.1' })
        let reply = ''
        socket.on('data', (chunk: Buffer) => (reply += chunk.toString()))
        const whole = post(path, '{}')
        socket.write(whole.slice(0, -1))
        await expect.poll(() => lifelines.size).toBe(1)
        lifelines.end('tok_read-only', reason)
        socket.write(whole.slice(-1))
        await expect.poll(() => reply).toContain(`"code":"${code}"`)
        expect(reply).toContain(`HTTP/1.1 ${status} `)
        expect(/^retry-after: \d+\r$/im.test(reply)).toBe(status === 503)
        expect(exchanges).toEqual([])
        socket.destroy()
      }
    },
  )

  it('holds nothing for a client that went away while its credential was looked up', async () => {
    const lifelines = new Lifelines()
    const known = mapAuthenticator(levelCallers())
    let lookUp: (() => void) | undefined
    const { port, exchanges, observations } = await start({
      lifelines,
      authenticator: {
        authenticate: (header) =>
          new Promise((resolve) => {
            lookUp = () => resolve(known.authenticate(header))
          }),
      },
    })
    const socket = connect({ port, host: '127.0.0.1' })
    socket.write(head('GET /mcp', [BEARER]))
    await expect.poll(() => lookUp).toBeDefined()
    socket.destroy()
    await expect.poll(() => observations.filter(({ kind }) => kind === 'request').length).toBe(1)
    lookUp?.()
    await new Promise(setImmediate)
    expect([exchanges, lifelines.size]).toEqual([[], 0])
  })

  it('answers 401, not a conflict, when a credential ends while its REST call runs', async () => {
    const lifelines = new Lifelines()
    const stuck = testTool({
      name: 'stuck',
      run: (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve({ outcome: 'refused', refusal: stopRefusal(stoppedBy(signal)) })
          })
          lifelines.end(callerOf('read-only').credential.id, 'revoked')
        }),
    })
    const { app, events } = controlParts(manualClock(), [stuck])
    const { port } = await start({ lifelines, control: app })
    const reply = await sendRaw(port, post('/mcp/tools/stuck', '{}'))
    expect(reply.status).toBe(401)
    expect(reply.head).toMatch(/www-authenticate: Bearer .*error="invalid_token"/i)
    expect(events.at(-1)).toMatchObject({ kind: 'execution', outcome: 'refuse', rule: 'credential.revoked' })
  })
})

describe('start and end', () => {
  it('says that the port is in use', async () => {
    const { port } = await start()
    await expect(start({ port })).rejects.toMatchObject({
      code: 'address_in_use',
      message: `127.0.0.1, port ${port} is in use by another program: stop that one, or choose another port with --addr or server.addr`,
    })
    running.pop()
  })

  it('says that the machine has no such address', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'address_unusable' })
    running.pop()
  })

  it('says which TLS file cannot be used', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'postern-tls-'))
    const certFile = join(dir, 'cert.pem')
    await expect(start({ tls: { certFile, keyFile: certFile } })).rejects.toMatchObject({
      code: 'config_invalid',
      message: `the TLS certificate ${certFile} cannot be read`,
    })
    writeFileSync(certFile, 'nonsense')
    await expect(start({ tls: { certFile, keyFile: certFile } })).rejects.toMatchObject({
      code: 'config_invalid',
    })
    rmSync(dir, { recursive: true })
  })

  it('finishes what is open, turns away what is new, and frees the port', async () => {
    const clock = manualClock()
    let finish: (() => void) | undefined
    const { port, server, exchanges } = await start({
      clock,
      handle: async ({ request, response }) => {
        if (request.method === 'GET') {
          response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
          return
        }
        await new Promise<void>((resolve) => (finish = resolve))
        response.end('{"done":true}')
      },
    })
    const stream = sendRaw(port, head('GET /mcp', [BEARER]), { quietMs: 10_000 })
    const open = sendRaw(port, post('/mcp', '{}'))
    const kept = connect({ port, host: '127.0.0.1' })
    const answers: string[] = []
    kept.on('data', (chunk) => answers.push(chunk.toString()))
    kept.write(head('GET /health'))
    await expect.poll(() => answers.length).toBe(1)
    await expect.poll(() => exchanges.length).toBe(2)
    const closed = server.close(5_000)
    let over = false
    void closed.then(() => (over = true))
    await expect(sendRaw(port, head('GET /health'))).resolves.toMatchObject({ status: 0 })
    expect(over).toBe(false)
    finish?.()
    const reply = await open
    expect([reply.status, reply.body, /connection: close/i.test(reply.head)]).toEqual([
      200,
      expect.stringContaining('done'),
      true,
    ])
    await closed
    expect((await stream).closed).toBe(true)
    await new Promise<void>((resolve, reject) => {
      const probe = createTcpServer()
      probe.once('error', reject)
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve()))
    })
    kept.destroy()
  })

  it('outlives a reply that fails half-way while it drains', async () => {
    let fail: (() => void) | undefined
    const { port, server, observations } = await start({
      handle: async ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 10 })
        response.write('{')
        await new Promise((_, reject) => (fail = () => reject(new Error('half-way'))))
      },
    })
    const open = sendRaw(port, post('/mcp', '{}'))
    await expect.poll(() => fail).toBeDefined()
    const closed = server.close(5_000)
    fail?.()
    expect((await open).closed).toBe(true)
    await closed
    expect(observations).toContainEqual(expect.objectContaining({ kind: 'fault', where: 'http' }))
  })

  it('closes what does not finish when the time is over', async () => {
    const clock = manualClock()
    const { port, server, exchanges } = await start({ clock, handle: () => new Promise(() => {}) })
    const open = sendRaw(port, post('/mcp', '{}'))
    await expect.poll(() => exchanges.length).toBe(1)
    const closed = server.close(5_000)
    await Promise.resolve()
    clock.advance(5_000)
    await closed
    expect((await open).closed).toBe(true)
  })

  it('outlives a connection that it could not accept', async () => {
    const { port, exchanges, observations } = await start()
    await sendRaw(port, post('/mcp', '{}'))
    const socket = exchanges[0]?.request.socket as (Socket & { readonly server: NetServer }) | undefined
    expect(socket?.server.emit('error', new Error('accept EMFILE'))).toBe(true)
    expect(observations).toContainEqual(expect.objectContaining({ kind: 'fault', where: 'http.accept' }))
    expect((await sendRaw(port, head('GET /health'))).status).toBe(200)
  })

  it.runIf(hasOpenssl)(
    'serves HTTPS, and ends without waiting for a handshake that never comes',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'postern-tls-'))
      const tls = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') }
      const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
      const key = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        tls.keyFile,
      ]
      execFileSync('openssl', ['req', '-x509', ...key, '-out', tls.certFile, '-days', '2', ...name], {
        stdio: 'ignore',
      })
      const { port, url, server } = await start({ tls })
      expect(url).toBe(`https://127.0.0.1:${port}`)
      const status = await new Promise((resolve, reject) => {
        const options = { port, ca: readFileSync(tls.certFile), agent: false }
        httpsRequest('https://localhost/health', options, (response) => {
          response.resume().once('end', () => resolve(response.statusCode))
        })
          .once('error', reject)
          .end()
      })
      expect(status).toBe(200)
      const silent = connect({ port, host: '127.0.0.1' })
      const gone = new Promise((resolve) => silent.once('close', resolve))
      await new Promise((resolve) => silent.once('connect', resolve))
      await server.close(0)
      await gone
      rmSync(dir, { recursive: true })
    },
  )

  it('keeps a connection for many requests of an ordinary client', async () => {
    const { port, url } = await start()
    expect(url).toBe(`http://127.0.0.1:${port}`)
    for (let n = 0; n < 5; n += 1) {
      const response = await fetch(`${url}/mcp/tools/echo`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKENS['read-only']}`, 'content-type': 'application/json' },
        body: '{"n":1}',
      })
      expect(await response.json()).toEqual({ args: { n: 1 } })
    }
    const status = await new Promise((resolve) => {
      httpRequest(`${url}/health`, { method: 'HEAD' }, (response) => resolve(response.statusCode)).end()
    })
    expect(status).toBe(200)
  })
})
