import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock, type ManualClock } from '../../test/support/clock.ts'
import { rawUpstream, type RawUpstream, type Received } from '../../test/support/raw-upstream.ts'
import { soon } from '../../test/support/soon.ts'
import { Secret } from '../lib/secret.ts'
import { Direct } from './direct.ts'
import type { DirectReceiver, DirectRequest } from './direct-route.ts'
import { type HttpAgent, openAgent } from './http/agent.ts'
import { openTokenSource, type TokenSource } from './http/client-credentials.ts'
import { ownHeaders } from './http/own-headers.ts'
import type { UpstreamLimits } from './options.ts'
import { RunningRequests } from './running-requests.ts'

const LIMITS: UpstreamLimits = {
  timeoutMs: 10_000,
  connectTimeoutMs: 5_000,
  messageBytes: 100_000,
  concurrency: 4,
  conversations: 3,
  idleMs: 60_000,
}

const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

interface Stage {
  readonly upstream: RawUpstream
  readonly agent: HttpAgent
  readonly direct: Direct
  readonly running: RunningRequests
  readonly streams: RunningRequests
  readonly clock: ManualClock
  refused: number
}

async function stage(
  answer: (request: Received, response: ServerResponse) => void,
  options: { readonly tokens?: TokenSource; readonly limits?: Partial<UpstreamLimits> } = {},
): Promise<Stage> {
  const upstream = await rawUpstream(answer)
  const agent = openAgent(upstream.origin, { connectTimeoutMs: 2_000, calls: 4, streams: 3 })
  const clock = manualClock()
  opened.push(
    () => upstream.close(),
    () => agent.close(),
  )
  const limits = { ...LIMITS, ...options.limits }
  const running = new RunningRequests('raw', limits.concurrency, clock)
  const streams = new RunningRequests('raw', limits.conversations, clock, 'always')
  const built: Stage = {
    upstream,
    running,
    streams,
    agent,
    clock,
    refused: 0,
    direct: new Direct({
      peer: 'MCP server "raw"',
      agent,
      clock,
      path: '/mcp?x=1',
      tokens: options.tokens ?? null,
      limits,
      running,
      streams,
      revisionRefused() {
        built.refused += 1
      },
    }),
  }
  return built
}

class Collector implements DirectReceiver {
  control: Parameters<DirectReceiver['started']>[0] | undefined
  status = 0
  headersSeen: Readonly<Record<string, string | readonly string[] | undefined>> = {}
  text = ''
  bytes = 0
  outcome: 'open' | 'ended' | Error = 'open'
  hold = false
  started(control: Parameters<DirectReceiver['started']>[0]): void {
    this.control = control
  }
  headers(status: number, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void {
    this.status = status
    this.headersSeen = headers
  }
  chunk(bytes: Buffer): boolean {
    this.bytes += bytes.length
    if (this.bytes < 10_000) this.text += bytes.toString('utf8')
    return !this.hold
  }
  ended(): void {
    this.outcome = 'ended'
  }
  failed(fault: Error): void {
    this.outcome = fault
  }
}

const OWN = ownHeaders({ 'X-Key': new Secret('k-1'), 'Content-Type': new Secret('text/evil') }, null, null)

function send(on: Stage, request: Partial<DirectRequest> = {}): Collector {
  const receiver = new Collector()
  on.direct.route('2025-11-25', new Set(['2025-11-25']), OWN).send({
    method: 'POST',
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    headers: { accept: 'application/json, text/event-stream' },
    credentialId: 'a',
    ...request,
    receiver,
  })
  return receiver
}

const faultOf = (collector: Collector): unknown =>
  collector.outcome instanceof Error && 'code' in collector.outcome
    ? collector.outcome.code
    : collector.outcome

describe('the direct route', () => {
  it('passes a request and its response through', async () => {
    const on = await stage((_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' })
        .end('{"ok":true}')
    })
    const receiver = send(on, { trace: { traceparent: '00-1-2-01', tracestate: 'a=b' } })
    await soon(() => receiver.outcome).toBe('ended')
    expect(receiver.status).toBe(200)
    expect(receiver.text).toBe('{"ok":true}')
    expect(receiver.headersSeen['mcp-session-id']).toBe('s1')
    const [got] = on.upstream.received
    expect(got).toMatchObject({
      method: 'POST',
      url: '/mcp?x=1',
      body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    })
    expect(got?.headers).toMatchObject({
      'content-type': 'application/json',
      traceparent: '00-1-2-01',
      tracestate: 'a=b',
    })
    expect([on.running.count, on.streams.count]).toEqual([0, 0])
  })

  it("F11 sends the upstream's own credential and nothing that a client could have meant for Postern", async () => {
    const on = await stage((_request, response) => response.end())
    const receiver = send(on, {
      headers: {
        accept: 'application/json',
        authorization: 'Bearer pst_client',
        cookie: 'a=b',
        'x-key': 'client',
        'x-forwarded-for': '1.2.3.4',
        'mcp-method': 'tools/call',
        'mcp-param-region': 'eu',
      },
    })
    await soon(() => receiver.outcome).toBe('ended')
    const headers = on.upstream.received[0]?.headers ?? {}
    expect(headers).toMatchObject({ 'x-key': 'k-1', 'mcp-method': 'tools/call', 'mcp-param-region': 'eu' })
    expect(headers['authorization']).toBeUndefined()
    expect(headers['cookie']).toBeUndefined()
    expect(headers['x-forwarded-for']).toBeUndefined()
    expect(JSON.stringify(on.upstream.received)).not.toContain('pst_client')
  })

  it.each([
    [302, 'upstream_invalid'],
    [401, 'upstream_unavailable'],
    [403, 'upstream_unavailable'],
    [429, 'upstream_busy'],
    [500, 'upstream_invalid'],
    [502, 'upstream_invalid'],
    [503, 'upstream_unavailable'],
    [504, 'upstream_timeout'],
  ])('turns the status %i into the fault %s, and follows nothing', async (status, code) => {
    const on = await stage((_request, response) => {
      response
        .writeHead(status, { location: '/elsewhere', 'www-authenticate': 'Bearer', 'retry-after': '7' })
        .end()
    })
    const receiver = send(on)
    await soon(() => faultOf(receiver)).toBe(code)
    expect(on.upstream.received.length).toBe(1)
    expect(receiver.status).toBe(0)
    if (status === 429) expect(receiver.outcome).toMatchObject({ retryAfterS: 7 })
  })

  it.each([400, 404, 405, 406])('passes the status %i on: it is the answer of the server', async (status) => {
    const on = await stage((_request, response) => response.writeHead(status).end('{"jsonrpc":"2.0"}'))
    const receiver = send(on)
    await soon(() => receiver.outcome).toBe('ended')
    expect([receiver.status, receiver.text, on.refused]).toEqual([status, '{"jsonrpc":"2.0"}', 0])
  })

  it('notices that the server refused the revision', async () => {
    const on = await stage((_request, response) =>
      response.writeHead(400).end('{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no"}}'),
    )
    const receiver = send(on)
    await soon(() => receiver.outcome).toBe('ended')
    expect(on.refused).toBe(1)
  })

  it('gives up a request whose time is over, also one whose body never ends', async () => {
    const on = await stage((request, response) => {
      if (request.url.length > 0 && on.upstream.received.length === 2) {
        response.writeHead(200, { 'content-type': 'application/json' }).write('{"half":')
      }
    })
    const silent = send(on)
    await soon(() => on.upstream.received.length).toBe(1)
    const half = send(on)
    await soon(() => half.text).toBe('{"half":')
    on.clock.advance(9_900)
    expect([silent.outcome, half.outcome]).toEqual(['open', 'open'])
    on.clock.advance(300)
    expect([faultOf(silent), faultOf(half)]).toEqual(['upstream_timeout', 'upstream_timeout'])
    await soon(() => on.upstream.connections).toBe(0)
    expect([on.running.count, on.clock.waiting]).toEqual([0, 0])
  })

  it('lets a stream live on after its first headers, and does not wait for them for ever', async () => {
    const on = await stage((_request, response) => {
      if (on.upstream.received.length === 1) {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      }
    })
    const open = send(on, { method: 'GET', body: null })
    await soon(() => open.text).toBe('data: 1\n\n')
    const silent = send(on, { method: 'GET', body: null })
    await soon(() => on.upstream.received.length).toBe(2)
    on.clock.advance(60_000)
    expect([open.outcome, faultOf(silent)]).toEqual(['open', 'upstream_timeout'])
    open.control?.abort(new Error('gone'))
    await soon(() => on.upstream.connections).toBe(0)
    expect(open.outcome).toBe('open')
  })

  it('refuses what is more than the server may have at once, and frees the places', async () => {
    const held: ServerResponse[] = []
    const on = await stage((_request, response) => void held.push(response))
    const calls = Array.from({ length: 4 }, () => send(on))
    await soon(() => held.length).toBe(4)
    expect(faultOf(send(on))).toBe('upstream_busy')
    const streams = ['a', 'a', 'b'].map((credentialId) =>
      send(on, { method: 'GET', body: null, credentialId }),
    )
    await soon(() => held.length).toBe(7)
    expect(faultOf(send(on, { headers: { 'mcp-method': 'subscriptions/listen' } }))).toBe('upstream_busy')
    for (const response of held) response.end()
    for (const one of [...calls, ...streams]) await soon(() => one.outcome).toBe('ended')
    expect([on.running.count, on.streams.count]).toEqual([0, 0])
    const next = send(on)
    await soon(() => held.length).toBe(8)
    held[7]?.end()
    await soon(() => next.outcome).toBe('ended')
  })

  it('stops reading while its receiver takes nothing, and goes on when told', async () => {
    const chunk = Buffer.alloc(65_536, 'x')
    let sent = 0
    const on = await stage((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const more = (): void => {
        while (sent < 400 && response.write(chunk)) sent += 1
        if (sent < 400) response.once('drain', () => ((sent += 1), more()))
        else response.end()
      }
      more()
    })
    const receiver = new Collector()
    receiver.hold = true
    on.direct
      .route('2025-11-25', new Set(), OWN)
      .send({ method: 'GET', body: null, headers: {}, credentialId: 'a', receiver })
    await soon(() => receiver.bytes).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(receiver.bytes).toBeLessThan(200_000)
    expect(sent).toBeLessThan(390)
    receiver.hold = false
    receiver.control?.resume()
    await soon(() => receiver.outcome).toBe('ended')
    expect(receiver.bytes).toBe(400 * 65_536)
  })

  it('refuses a message that is too large, too many headers, and compressed bytes', async () => {
    const on = await stage((_request, response) => {
      const count = on.upstream.received.length
      if (count === 1)
        response.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(100_001))
      else if (count === 2) {
        for (let i = 0; i < 101; i++) response.setHeader(`x-${i}`, '1')
        response.end()
      } else if (count === 3) response.writeHead(200, { 'x-large': 'x'.repeat(20_000) }).end()
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')
    })
    for (let i = 0; i < 4; i++) {
      const receiver = send(on)
      await soon(() => faultOf(receiver)).toBe('upstream_invalid')
    }
  })

  it('refuses a message that says beforehand that it is too large, before anything of it is passed on', async () => {
    const on = await stage((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100001' }).write('{')
    })
    const receiver = send(on)
    await soon(() => faultOf(receiver)).toBe('upstream_invalid')
    expect(receiver.status).toBe(0)
  })

  it('reports a server that is away, and one that breaks the connection', async () => {
    const on = await stage((_request, response) => void response.socket?.destroy())
    const broken = send(on)
    await soon(() => faultOf(broken)).toBe('upstream_unavailable')
    await on.upstream.close()
    const away = send(on)
    await soon(() => faultOf(away)).toBe('upstream_unavailable')
    expect((away.outcome as Error).message).not.toContain('127.0.0.1')
  })

  it('can be given up before there is a connection', async () => {
    const held: ServerResponse[] = []
    const on = await stage((_request, response) => void held.push(response), { limits: { concurrency: 100 } })
    const running = Array.from({ length: 4 }, () => send(on))
    await soon(() => held.length).toBe(4)
    const waiting = send(on)
    waiting.control?.abort(new Error('gone'))
    held[0]?.end()
    const next = send(on)
    await soon(() => held.length).toBe(5)
    held.forEach((response) => response.end())
    for (const one of [...running, next]) await soon(() => one.outcome).toBe('ended')
    expect(waiting.outcome).toBe('open')
    expect(on.upstream.received.length).toBe(5)
  })

  it('fetches a bearer token, and another one when the first is refused', async () => {
    const issuer = await rawUpstream((_request, response) => {
      const token = `t-${issuer.received.length}`
      response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 }))
    })
    const tokens = openTokenSource(
      {
        tokenUrl: `${issuer.origin}/token`,
        clientId: 'c',
        clientSecret: new Secret('s'),
        scopes: [],
        resource: null,
      },
      { server: 'raw', clock: manualClock(), timeoutMs: 2_000 },
    )
    opened.push(
      () => issuer.close(),
      () => tokens.close(),
    )
    const on = await stage(
      (request, response) => {
        if (request.headers['authorization'] === 'Bearer t-2') response.end('yes')
        else response.writeHead(401).end('no')
      },
      { tokens },
    )
    const first = send(on)
    await soon(() => first.outcome).toBe('ended')
    expect([first.status, first.text]).toEqual([200, 'yes'])
    const second = send(on)
    await soon(() => second.outcome).toBe('ended')
    expect(on.upstream.received.map(({ headers }) => headers['authorization'])).toEqual([
      'Bearer t-1',
      'Bearer t-2',
      'Bearer t-2',
    ])
    expect(issuer.received.length).toBe(2)
  })
})
