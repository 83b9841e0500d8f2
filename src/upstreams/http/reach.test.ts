import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../../test/acceptance/pgedge/certificate.ts'
import { rawUpstream, type Received } from '../../../test/support/raw-upstream.ts'
import { soon } from '../../../test/support/soon.ts'
import { httpUpstream } from '../../../test/support/upstreams/http-upstreams.ts'
import {
  event,
  events,
  failure,
  json,
  rawSessionMcp,
  rawStatelessMcp,
  result,
} from '../../../test/support/upstreams/raw-mcp.ts'
import {
  call,
  callerOf,
  callText,
  CLIENT,
  converse,
  openTestUpstreams,
  type TestUpstreams,
  testInbox,
} from '../../../test/support/upstreams/stdio-upstreams.ts'
import { Fault } from '../../lib/fault.ts'
import { Secret } from '../../lib/secret.ts'
import type { HttpReach, UpstreamLimits, UpstreamOptions } from '../options.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function open(
  url: string,
  reach: Partial<HttpReach> = {},
  more: { readonly limits?: Partial<UpstreamLimits>; readonly options?: Partial<UpstreamOptions> } = {},
): TestUpstreams {
  const upstreams = openTestUpstreams([httpUpstream('raw', { url, ...reach }, more)])
  closing.push(() => upstreams.close())
  return upstreams
}

async function serving<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const server = await starting
  closing.push(() => server.close())
  return server
}

const statusOf = ({ upstreams }: TestUpstreams) => upstreams.find('raw')?.status()

const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const outcome = await promise.then(
    () => 'nothing failed',
    (error: unknown) => error,
  )
  expect(outcome).toBeInstanceOf(Fault)
  return outcome as Fault
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] })

/** The event stream of HTTP+SSE, which answers `initialize` and one tool. */
function sse(endpoint: (request: Received) => string, begun?: (stream: ServerResponse) => void) {
  let stream: ServerResponse | undefined
  return rawUpstream((request, response) => {
    if (request.method === 'GET' && request.url.startsWith('/sse')) {
      stream = events(response)
      stream.write(`event: endpoint\ndata: ${endpoint(request)}\n\n`)
      return
    }
    if (request.method !== 'POST' || !request.url.startsWith('/message')) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<p>Cannot do that</p>')
      return
    }
    response.writeHead(202).end()
    const message = JSON.parse(request.body) as { id?: number; method: string }
    if (message.id === undefined) {
      if (stream && message.method === 'notifications/initialized') begun?.(stream)
      return
    }
    const answer =
      message.method === 'initialize'
        ? { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: {} }
        : text('over sse')
    stream?.write(event({ jsonrpc: '2.0', id: message.id, result: answer }))
  })
}

describe('what is spoken at a URL', () => {
  it('F5 finds a stateless server by one request', async () => {
    const server = await serving(rawStatelessMcp(() => false))
    const upstreams = open(server.url)
    const before = Date.now()
    const conversation = await converse(upstreams, 'raw')
    expect(conversation.about).toMatchObject({
      revision: '2026-07-28',
      serverInfo: { name: 'raw', version: '2' },
      instructions: 'Be kind.',
    })
    const status = statusOf(upstreams)
    expect(status).toMatchObject({ transport: 'stateless', revision: '2026-07-28', state: 'up' })
    expect(status?.probedAt).toBeGreaterThanOrEqual(before)
    expect(server.messages.map(({ method }) => method)).toEqual(['server/discover', 'server/discover'])
  })

  it('F5 finds a server with sessions by how it refuses, and probes once for all that come at once', async () => {
    const server = await serving(rawSessionMcp(() => false, { session: 's1' }))
    const upstreams = open(server.url)
    await Promise.all([converse(upstreams, 'raw'), converse(upstreams, 'raw', { caller: callerOf('b') })])
    await converse(upstreams, 'raw')
    expect(statusOf(upstreams)).toMatchObject({ transport: 'streamable', revision: '2025-11-25' })
    expect(server.messages.filter(({ method }) => method === 'server/discover').length).toBe(1)
    expect(server.messages.filter(({ method }) => method === 'initialize').length).toBe(3)
  })

  it('asks with initialize where the refusal says nothing, and ends that session', async () => {
    const ended: unknown[] = []
    const server = await serving(
      rawSessionMcp(
        (message, response) => {
          if (message.method !== 'server/discover') return false
          response.writeHead(404, { 'content-type': 'text/plain' }).end('no such thing')
          return true
        },
        {
          session: 's1',
          other(response, request) {
            if (request.method !== 'DELETE') return false
            ended.push(request.headers['mcp-session-id'])
            response.end()
            return true
          },
        },
      ),
    )
    const upstreams = open(server.url)
    await converse(upstreams, 'raw')
    expect(statusOf(upstreams)).toMatchObject({ transport: 'streamable' })
    await soon(() => ended).toEqual(['s1'])
  })

  it.each(['/sse', '/other'])('F5 finds HTTP+SSE at %s', async (path) => {
    const server = await serving(
      rawUpstream((request, response) => {
        if (request.method === 'GET') {
          stream = events(response)
          stream.write('event: endpoint\ndata: /message?id=1\n\n')
        } else if (request.url === '/message?id=1') {
          const message = JSON.parse(request.body) as { id?: number }
          response.writeHead(202).end('Accepted')
          const answer = { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: {} }
          if (message.id !== undefined)
            stream?.write(event({ jsonrpc: '2.0', id: message.id, result: answer }))
        } else response.writeHead(404, { 'content-type': 'text/html' }).end('<p>Cannot POST</p>')
      }),
    )
    let stream: ServerResponse | undefined
    const upstreams = open(`${server.origin}${path}`)
    const conversation = await converse(upstreams, 'raw')
    expect(conversation.about.revision).toBe('2024-11-05')
    expect(statusOf(upstreams)).toMatchObject({ transport: 'sse', revision: '2024-11-05' })
    const posts = server.received.filter(({ method, url }) => method === 'POST' && url === path)
    expect(posts.length).toBe(path === '/sse' ? 0 : 2)
  })

  it('does not ask where the configuration says it', async () => {
    const server = await serving(rawSessionMcp(() => false))
    const upstreams = open(server.url, { transport: 'streamable' })
    expect(statusOf(upstreams)).toMatchObject({ transport: 'streamable', revision: null, probedAt: null })
    await converse(upstreams, 'raw')
    expect(server.messages[0]?.method).toBe('initialize')
  })

  it('says when nothing at the address speaks MCP', async () => {
    const server = await serving(
      rawUpstream((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')
      }),
    )
    const fault = await faultOf(converse(open(server.origin), 'raw'))
    expect([fault.code, fault.message]).toEqual([
      'upstream_invalid',
      'MCP server "raw" does not speak MCP at its address.',
    ])
  })

  it('says when a server speaks only what nobody knows yet', async () => {
    const server = await serving(
      rawStatelessMcp((message, response) =>
        failure(
          response,
          message,
          { code: -32022, message: 'Unsupported', data: { supported: ['2031-01-01'] } },
          400,
        ),
      ),
    )
    const fault = await faultOf(converse(open(server.url), 'raw'))
    expect([fault.code, fault.message]).toEqual([
      'upstream_invalid',
      'MCP server "raw" speaks no protocol revision that Postern knows.',
    ])
  })

  it('finds out anew when a server has become another, before anybody notices', async () => {
    let before = true
    const server = await serving(
      rawSessionMcp(
        (message, response) => {
          if (before) return message.method === 'server/discover' && answerDiscover(message, response)
          return message.method === 'server/discover'
            ? json(
                response,
                { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'No session' } },
                400,
              )
            : false
        },
        { session: 's1' },
      ),
    )
    const answerDiscover = (
      message: { readonly id?: number; method: string; params: Record<string, unknown> },
      response: ServerResponse,
    ) => result(response, message, { supportedVersions: ['2026-07-28'], capabilities: {} })
    const upstreams = open(server.url)
    const first = await converse(upstreams, 'raw')
    expect(first.about.revision).toBe('2026-07-28')
    before = false
    const second = await converse(upstreams, 'raw')
    expect(second.about.revision).toBe('2025-11-25')
    expect(statusOf(upstreams)).toMatchObject({ transport: 'streamable', revision: '2025-11-25' })
  })

  it('ends a stateless conversation whose server refuses the revision, so that the next one is another', async () => {
    let refusing = false
    const server = await serving(
      rawStatelessMcp((message, response) => {
        if (!refusing) return false
        return failure(
          response,
          message,
          { code: -32022, message: 'Unsupported', data: { supported: ['2025-11-25'] } },
          400,
        )
      }),
    )
    const upstreams = open(server.url)
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'raw', { inbox })
    refusing = true
    const fault = await faultOf(call(conversation, 'x'))
    expect(fault.code).toBe('upstream_unavailable')
    expect(inbox.endings.length).toBe(1)
    expect(statusOf(upstreams)).toMatchObject({ transport: 'unknown', revision: null, probedAt: null })
  })
})

describe('what an upstream is sent', () => {
  it('F11 its configured headers and nothing of the caller', async () => {
    const server = await serving(rawSessionMcp(() => false, { session: 's1' }))
    const upstreams = open(server.url, {
      headers: { 'X-Api-Key': new Secret('k'), 'Mcp-Session-Id': new Secret('evil') },
    })
    const conversation = await converse(upstreams, 'raw')
    await call(conversation, 'x', {}, { trace: { traceparent: '00-a-b-01', tracestate: 'v=1' } })
    for (const { headers } of server.received) {
      expect(headers['x-api-key']).toBe('k')
      expect(headers['user-agent']).toBe('postern')
      expect(headers['mcp-session-id']).not.toBe('evil')
      expect(headers['authorization']).toBeUndefined()
    }
    const last = server.messages.at(-1)
    expect(last?.headers).toMatchObject({
      accept: 'application/json, text/event-stream',
      'mcp-session-id': 's1',
      'mcp-protocol-version': '2025-11-25',
      traceparent: '00-a-b-01',
      tracestate: 'v=1',
    })
    expect(last?.params['_meta']).toEqual({ traceparent: '00-a-b-01', tracestate: 'v=1' })
  })

  it("F11 the caller's own credential for it, in the place that was configured", async () => {
    const server = await serving(
      rawStatelessMcp(
        (message, response) => message.method === 'tools/call' && result(response, message, {}),
      ),
    )
    const secrets = new Map([
      ['a', new Secret('of-a')],
      ['b', new Secret('of-b')],
    ])
    const upstreams = openTestUpstreams(
      [
        httpUpstream(
          'raw',
          { url: server.url, headers: { Authorization: new Secret('Bearer shared') } },
          {
            options: {
              userCredential: { kind: 'header', header: 'Authorization', prefix: 'Bearer ', required: true },
            },
          },
        ),
      ],
      {
        credentials: {
          known: (caller) => secrets.get(caller.principal.id),
          find: (caller) => Promise.resolve(secrets.get(caller.principal.id)),
        },
      },
    )
    closing.push(() => upstreams.close())
    await call(await converse(upstreams, 'raw', { caller: callerOf('a') }), 'x')
    await call(await converse(upstreams, 'raw', { caller: callerOf('b') }), 'x')
    const sent = server.messages
      .filter(({ method }) => method === 'tools/call')
      .map(({ headers }) => headers['authorization'])
    expect(sent).toEqual(['Bearer of-a', 'Bearer of-b'])
  })

  it('F11 a token of its client credentials, fetched once and again when it is refused', async () => {
    let valid = 't-1'
    const issuer = await serving(
      rawUpstream((_request, response) => {
        json(response, {
          access_token: `t-${issuer.received.length}`,
          token_type: 'bearer',
          expires_in: 3600,
        })
      }),
    )
    const server = await serving(
      rawSessionMcp((_message, response, request) => {
        if (request.headers['authorization'] === `Bearer ${valid}`) return false
        response.writeHead(401).end()
        return true
      }),
    )
    const upstreams = open(server.url, {
      headers: { authorization: new Secret('Bearer configured') },
      clientCredentials: {
        tokenUrl: `${issuer.origin}/token`,
        clientId: 'id:1',
        clientSecret: new Secret('se cret'),
        scopes: ['a', 'b'],
        resource: 'https://mcp.example/mcp',
      },
    })
    const conversation = await converse(upstreams, 'raw')
    valid = 't-2'
    await Promise.all([call(conversation, 'x'), call(conversation, 'y')])
    expect(issuer.received.length).toBe(2)
    const [asked] = issuer.received
    expect(asked?.headers['authorization']).toBe(`Basic ${Buffer.from('id%3A1:se+cret').toString('base64')}`)
    expect(Object.fromEntries(new URLSearchParams(asked?.body))).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
      resource: 'https://mcp.example/mcp',
    })
    expect(JSON.stringify(server.received)).not.toContain('configured')
  })
})

describe('an upstream that does not do what it should', () => {
  const away = 'http://127.0.0.1:9'
  it.each([
    ['refuses the connection', away, 'upstream_unavailable', 'cannot be reached'],
    ['has no address', 'http://nowhere.invalid/mcp', 'upstream_unavailable', 'cannot be reached'],
  ])('F10 %s', async (_name, url, code, said) => {
    const upstreams = open(url)
    const fault = await faultOf(converse(upstreams, 'raw'))
    expect(fault.code).toBe(code)
    expect(fault.message).toContain(said)
    expect(fault.message).not.toMatch(/127|nowhere/)
    expect(statusOf(upstreams)).toMatchObject({ state: 'failing', transport: 'unknown' })
  })

  it.each([
    [301, 'upstream_invalid'],
    [401, 'upstream_unavailable'],
    [403, 'upstream_unavailable'],
    [429, 'upstream_busy'],
    [500, 'upstream_invalid'],
    [503, 'upstream_unavailable'],
    [504, 'upstream_timeout'],
  ])('F10 answers %i', async (status, code) => {
    const server = await serving(
      rawUpstream((request, response) => {
        response
          .writeHead(status, { location: `http://127.0.0.1${request.url}/else`, 'retry-after': '30' })
          .end()
      }),
    )
    const upstreams = open(`${server.origin}/mcp`)
    const fault = await faultOf(converse(upstreams, 'raw'))
    expect(fault.code).toBe(code)
    // What the server says, where that is said with this status; otherwise the second that Postern waits itself.
    expect(fault.retryAfterS).toBe(status === 429 || status === 503 ? 30 : 1)
    expect(server.received.map(({ url }) => url)).toEqual(['/mcp'])
    if (status === 401) expect(statusOf(upstreams)?.problem).toContain('Check `headers`, `clientCredentials`')
  })

  it('F10 has a certificate that nobody vouches for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-tls-'))
    closing.push(() => rm(folder, { recursive: true }))
    await makeCertificate(folder)
    const [cert, key] = await Promise.all(['cert.pem', 'key.pem'].map((name) => readFile(join(folder, name))))
    const tls = createTlsServer({ cert, key }, (_request, response) => response.end())
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve))
    closing.push(async () => {
      tls.closeAllConnections()
      await new Promise((resolve) => tls.close(resolve))
    })
    const upstreams = open(`https://127.0.0.1:${(tls.address() as AddressInfo).port}/mcp`)
    expect((await faultOf(converse(upstreams, 'raw'))).code).toBe('upstream_unavailable')
    expect(statusOf(upstreams)?.problem).toContain('certificate')
  })

  const broken: readonly [string, (response: ServerResponse, id: number | undefined) => void, string][] = [
    [
      'with a page',
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      'upstream_invalid',
    ],
    [
      'with nothing',
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(),
      'upstream_invalid',
    ],
    [
      'with broken JSON',
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc"'),
      'upstream_invalid',
    ],
    ['with JSON that is no message', (response) => json(response, { hello: 'world' }), 'upstream_invalid'],
    [
      'to another request',
      (response) => json(response, { jsonrpc: '2.0', id: 'other', result: {} }),
      'upstream_invalid',
    ],
    ['with 202', (response) => response.writeHead(202).end(), 'upstream_invalid'],
    [
      'with an event that is no message',
      (response) => events(response).end('data: nonsense\n\n'),
      'upstream_invalid',
    ],
    [
      'with half an event',
      (response, id) => events(response).end(`data: {"jsonrpc":"2.0","id":${id}`),
      'upstream_unavailable',
    ],
    ['with an empty stream', (response) => events(response).end(), 'upstream_unavailable'],
    [
      'by breaking off',
      (response) => events(response).write(': hi\n\n', () => response.socket?.destroy()),
      'upstream_unavailable',
    ],
    ['by closing', (response) => void response.socket?.destroy(), 'upstream_unavailable'],
    [
      'with broken chunks',
      (response) =>
        void response.socket?.end(
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n',
        ),
      'upstream_invalid',
    ],
    [
      'with no HTTP',
      (response) => void response.socket?.end('220 mail.example ESMTP\r\n'),
      'upstream_invalid',
    ],
    [
      'with fewer bytes than it says',
      (response) =>
        void response.socket?.end(
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}',
        ),
      'upstream_unavailable',
    ],
    [
      'with too many headers',
      (response) => {
        for (let i = 0; i < 120; i++) response.setHeader(`x-${i}`, 'y')
        json(response, {})
      },
      'upstream_invalid',
    ],
    [
      'compressed',
      (response) =>
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('x'),
      'upstream_invalid',
    ],
    [
      'with 400 and a page',
      (response) => response.writeHead(400, { 'content-type': 'text/html' }).end('<p>'),
      'upstream_invalid',
    ],
  ]
  it.each(broken)('F10 answers a call %s', async (_name, answer, code) => {
    const server = await serving(
      rawSessionMcp((message, response) => {
        if (message.method !== 'tools/call' || message.params['name'] === 'fine') return false
        answer(response, message.id)
        return true
      }),
    )
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw')
    const fault = await faultOf(call(conversation, 'x'))
    expect([fault.code, fault.message.includes('{')]).toEqual([code, false])
    expect(await call(conversation, 'fine')).toEqual({ kind: 'result', result: {} })
  })

  it('F10 sends a line of 100 MB, of which little is read', async () => {
    let written = 0
    const server = await serving(
      rawSessionMcp((message, response) => {
        if (message.method !== 'tools/call') return false
        const stream = events(response)
        stream.write('data: "')
        const chunk = 'x'.repeat(65_536)
        const more = (): void => {
          while (written < 1_600 && !stream.destroyed) {
            written += 1
            if (!stream.write(chunk)) {
              stream.once('drain', more)
              return
            }
          }
        }
        more()
        return true
      }),
    )
    const upstreams = open(server.url, { transport: 'streamable' }, { limits: { messageBytes: 1_000_000 } })
    const conversation = await converse(upstreams, 'raw')
    const fault = await faultOf(call(conversation, 'x'))
    expect([fault.code, fault.message]).toEqual([
      'upstream_invalid',
      'MCP server "raw" sent a message that is too large.',
    ])
    expect(written).toBeLessThan(200)
  })

  it('F10 never answers: the call ends with its time, and so does the connection', async () => {
    const server = await serving(rawSessionMcp((message) => message.method === 'tools/call'))
    const upstreams = open(server.url, { transport: 'streamable' }, { limits: { timeoutMs: 200 } })
    const conversation = await converse(upstreams, 'raw')
    expect((await faultOf(call(conversation, 'x'))).code).toBe('upstream_timeout')
    await soon(() => server.messages.map(({ method }) => method)).toContain('notifications/cancelled')
    expect(server.messages.at(-1)?.params['requestId']).toBe(
      server.messages.find(({ method }) => method === 'tools/call')?.id,
    )
  })

  it('F10 never begins: who wants to converse is told in time', async () => {
    const server = await serving(rawUpstream(() => undefined))
    const upstreams = open(server.origin, { transport: 'stateless' }, { limits: { connectTimeoutMs: 200 } })
    expect((await faultOf(converse(upstreams, 'raw'))).code).toBe('upstream_timeout')
    await soon(() => server.connections).toBe(0)
  })

  it('F10 names another origin for messages: nothing is sent there', async () => {
    const thief = await serving(rawUpstream((_request, response) => void response.writeHead(202).end()))
    for (const endpoint of [
      `${thief.origin}/message`,
      `//${new URL(thief.origin).host}/message`,
      'http://[',
      'javascript:1',
    ]) {
      const server = await serving(sse(() => endpoint))
      const upstreams = open(`${server.origin}/sse`, {
        transport: 'sse',
        headers: { 'x-key': new Secret('k') },
      })
      const fault = await faultOf(converse(upstreams, 'raw'))
      expect(fault.code).toBe('upstream_invalid')
      expect(server.received.filter(({ method }) => method === 'POST')).toEqual([])
      await soon(() => server.connections).toBe(0)
    }
    expect(thief.received).toEqual([])
  })

  it.each(['streamable', 'sse'] as const)(
    'F10 floods over %s: it is slowed down, and another server stays fast',
    async (transport) => {
      let written = 0
      const flood = (response: ServerResponse): void => {
        const many = event({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }).repeat(100)
        const more = (): void => {
          while (!response.destroyed) {
            written += 100
            if (!response.write(many)) {
              response.once('drain', more)
              return
            }
          }
        }
        more()
      }
      const flooding =
        transport === 'sse'
          ? await serving(sse(() => '/message', flood))
          : await serving(
              rawSessionMcp(() => false, {
                other(response, { method }) {
                  if (method !== 'GET') return false
                  flood(events(response))
                  return true
                },
              }),
            )
      const calm = await serving(rawSessionMcp(() => false))
      const upstreams = openTestUpstreams([
        httpUpstream('raw', {
          url: transport === 'sse' ? `${flooding.origin}/sse` : `${flooding.origin}/mcp`,
          transport,
        }),
        httpUpstream('calm', { url: calm.url }),
      ])
      closing.push(() => upstreams.close())
      const inbox = testInbox()
      const loud = await converse(upstreams, 'raw', { inbox })
      await loud.listen({ toolsListChanged: true })
      const conversation = await converse(upstreams, 'calm')
      const startedAt = performance.now()
      let worst = 0
      while (performance.now() - startedAt < 1_500) {
        const before = performance.now()
        await call(conversation, 'x')
        worst = Math.max(worst, performance.now() - before)
      }
      expect(worst).toBeLessThan(500)
      const seconds = (performance.now() - startedAt) / 1_000
      expect(inbox.notified.length).toBeGreaterThan(2_000)
      expect(inbox.notified.length).toBeLessThan(2_500 + 2_000 * (seconds + 1))
      // What was not read lies in the sockets.
      expect(written - inbox.notified.length).toBeLessThan(100_000)
    },
  )

  it('F10 gives a session id that no header may hold', async () => {
    for (const session of ['a b', 'x'.repeat(2_000)]) {
      const server = await serving(rawSessionMcp(() => false, { session }))
      const upstreams = open(server.url, { transport: 'streamable' })
      expect((await faultOf(converse(upstreams, 'raw'))).code).toBe('upstream_invalid')
    }
  })

  it('F10 ends the event stream of HTTP+SSE: its conversation is over, and the next one works', async () => {
    const server = await serving(sse(() => 'message?session=1'))
    const upstreams = open(`${server.origin}/sse`)
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'raw', { inbox })
    expect(await callText(conversation, 'x')).toBe('over sse')
    await server.drop()
    await soon(() => inbox.endings.length).toBe(1)
    expect(inbox.endings[0]).toMatchObject({ code: 'upstream_unavailable' })
    expect((await faultOf(call(conversation, 'x'))).code).toBe('upstream_unavailable')
    expect(await callText(await converse(upstreams, 'raw'), 'x')).toBe('over sse')
  })
})

describe('a session over Streamable HTTP', () => {
  it.each([
    ['404', (response: ServerResponse) => response.writeHead(404).end()],
    [
      '400 and the word session',
      (response: ServerResponse) =>
        json(
          response,
          {
            jsonrpc: '2.0',
            id: null,
            error: { code: -32000, message: 'Bad Request: No valid session ID provided' },
          },
          400,
        ),
    ],
  ])(
    'is over when the server says so with %s; the next conversation is another session',
    async (_name, refuse) => {
      let known = true
      const server = await serving(
        rawSessionMcp(
          (message, response) => {
            if (known || message.method === 'initialize' || message.id === undefined) return false
            refuse(response)
            return true
          },
          { session: 's1' },
        ),
      )
      const upstreams = open(server.url, { transport: 'streamable' })
      const inbox = testInbox()
      const conversation = await converse(upstreams, 'raw', { inbox })
      known = false
      const fault = await faultOf(call(conversation, 'x'))
      expect([fault.code, fault.message]).toEqual([
        'upstream_unavailable',
        'MCP server "raw" ended the session. Try again.',
      ])
      expect(inbox.endings).toEqual([fault])
      known = true
      await call(await converse(upstreams, 'raw'), 'x')
      expect(server.messages.filter(({ method }) => method === 'initialize').length).toBe(2)
    },
  )

  it('is ended at the server when it is closed, also when everything closes', async () => {
    const ended: unknown[] = []
    const server = await serving(
      rawSessionMcp(() => false, {
        session: 's1',
        other(response, request) {
          if (request.method === 'DELETE') ended.push(request.headers['mcp-session-id'])
          return false
        },
      }),
    )
    const upstreams = openTestUpstreams([httpUpstream('raw', { url: server.url, transport: 'streamable' })])
    const conversation = await converse(upstreams, 'raw')
    conversation.close()
    await soon(() => ended).toEqual(['s1'])
    await converse(upstreams, 'raw')
    await upstreams.close()
    expect(ended).toEqual(['s1', 's1'])
    await soon(() => server.connections).toBe(0)
  })

  it('takes up an answer that was broken off where it was, after the time the server asked for', async () => {
    const resumed: unknown[] = []
    let callId: number | undefined
    const server = await serving(
      rawSessionMcp(
        (message, response) => {
          if (message.method !== 'tools/call') return false
          callId = message.id
          const stream = events(response)
          stream.write('id: e1\nretry: 60\ndata:\n\n')
          stream.write(
            event(
              { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } },
              'id: e2\n',
            ),
          )
          setTimeout(() => stream.socket?.destroy(), 10)
          return true
        },
        {
          session: 's1',
          other(response, { method, headers }) {
            const last = headers['last-event-id']
            if (method !== 'GET' || last === undefined) return false
            resumed.push([last, headers['mcp-session-id'], headers['mcp-protocol-version'], Date.now()])
            const stream = events(response)
            if (resumed.length === 1) stream.end('id: e3\ndata:\n\n')
            else stream.end(event({ jsonrpc: '2.0', id: callId, result: text('resumed') }, 'id: e4\n'))
            return true
          },
        },
      ),
    )
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw')
    const notified: unknown[] = []
    const startedAt = Date.now()
    const answer = await callText(
      conversation,
      'x',
      {},
      { onNotification: (method) => notified.push(method) },
    )
    expect(answer).toBe('resumed')
    expect(notified).toEqual(['notifications/message'])
    expect(resumed.map((one) => (one as unknown[]).slice(0, 3))).toEqual([
      ['e2', 's1', '2025-11-25'],
      ['e3', 's1', '2025-11-25'],
    ])
    expect((resumed[0] as number[])[3]! - startedAt).toBeGreaterThanOrEqual(60)
    expect(Date.now() - startedAt).toBeLessThan(1_500)
  })

  it('hears what belongs to no request, again after the stream broke, from where it was', async () => {
    const streams: [ServerResponse, unknown][] = []
    const server = await serving(
      rawSessionMcp(() => false, {
        session: 's1',
        other(response, { method, headers }) {
          if (method !== 'GET') return false
          streams.push([events(response), headers['last-event-id']])
          response.write('retry: 20\n\n')
          return true
        },
      }),
    )
    const inbox = testInbox()
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw', { inbox })
    await conversation.listen({ toolsListChanged: true })
    await soon(() => streams.length).toBe(1)
    const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }
    streams[0]?.[0].write(event(changed, 'id: n1\n'))
    await soon(() => inbox.notified.length).toBe(1)
    streams[0]?.[0].destroy()
    await soon(() => streams.length).toBe(2)
    expect(streams[1]?.[1]).toBe('n1')
    streams[1]?.[0].write('data: garbage\n\n')
    streams[1]?.[0].write(event(changed))
    await soon(() => inbox.notified.length).toBe(2)
    conversation.close()
    await soon(() => streams[1]?.[0].closed).toBe(true)
  })

  it('sends nothing before the server has taken notice that it begins', async () => {
    const order: string[] = []
    const server = await serving(
      rawSessionMcp((message, response) => {
        if (message.method === 'notifications/initialized') {
          setTimeout(() => {
            order.push('accepted')
            response.writeHead(202).end()
          }, 50)
          return true
        }
        order.push(message.method)
        return false
      }),
    )
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw')
    await call(conversation, 'x')
    expect(order).toEqual(['initialize', 'accepted', 'tools/call'])
  })

  it('uses its connections again, also after answers in streams', async () => {
    const ports = new Set<unknown>()
    const server = await serving(
      rawSessionMcp((message, response, request) => {
        ports.add(request.port)
        if (message.method !== 'tools/call') return false
        const stream = events(response)
        stream.write(event({ jsonrpc: '2.0', id: message.id, result: {} }))
        setTimeout(() => stream.end(), 2)
        return true
      }),
    )
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw')
    for (let i = 0; i < 20; i++) {
      await call(conversation, 'x')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(ports.size).toBeLessThan(4)
  })

  it('is told of an error of the server as it is', async () => {
    const server = await serving(
      rawSessionMcp(
        (message, response) =>
          message.method === 'tools/call' &&
          failure(response, message, { code: -32602, message: 'no', data: [1] }, 400),
      ),
    )
    const conversation = await converse(open(server.url, { transport: 'streamable' }), 'raw')
    expect(await call(conversation, 'x')).toEqual({
      kind: 'error',
      error: { code: -32602, message: 'no', data: [1] },
    })
  })

  it('offers the way for messages that need no translation, once the revision is known', async () => {
    const server = await serving(rawSessionMcp(() => false, { revision: '2025-06-18' }))
    const upstreams = open(server.url)
    const upstream = upstreams.upstreams.find('raw')
    expect(upstream?.direct(callerOf('a'), 'session')).toBeUndefined()
    await converse(upstreams, 'raw')
    const route = upstream?.direct(callerOf('a'), 'session')
    expect([route?.revision, [...(route?.spoken ?? [])]]).toEqual(['2025-06-18', ['2025-06-18']])
    expect(upstream?.direct(callerOf('b'), 'session')).toBe(route)
    expect(upstream?.direct(callerOf('a'), 'stateless')).toBeUndefined()
    await converse(upstreams, 'raw', { client: { ...CLIENT, revision: '2024-11-05' } })
  })
})
