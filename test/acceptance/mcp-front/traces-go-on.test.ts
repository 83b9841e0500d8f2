import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FixtureProcess, fixtureProcess } from '../../support/fixture-upstream.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type OtlpReceiver, startOtlpReceiver } from '../../support/otlp-receiver.ts'
import { ask } from '../../support/postern.ts'
import { type Asked, type Recorder, startRecorder } from '../../support/recorder.ts'
import { soon } from '../../support/soon.ts'

const token = 'trace-development-token-0123456789'

/** One server of each way to reach one; every message to it goes through a recorder. */
const KINDS = {
  early: { revision: '2024-11-05', transport: 'sse' },
  streamable: { revision: '2025-06-18', transport: 'http' },
  stateless: { revision: '2026-07-28', transport: 'http' },
} as const
type Kind = keyof typeof KINDS
const NAMES = Object.keys(KINDS) as readonly Kind[]

let fixtures: FixtureProcess[]
const recorders = new Map<Kind, Recorder>()
let collector: OtlpReceiver
/** One that makes spans, and one that only passes on what it is given. */
let tracing: RunningGateway
let plain: RunningGateway

beforeAll(async () => {
  collector = await startOtlpReceiver()
  fixtures = await Promise.all(NAMES.map((name) => fixtureProcess(KINDS[name])))
  for (const [at, name] of NAMES.entries()) {
    recorders.set(name, await startRecorder(fixtures[at]?.url ?? ''))
  }
  const configuration = {
    auth: { tokens: { development: { value: token, level: 'admin' } } },
    mcpServers: Object.fromEntries([...recorders].map(([name, { url }]) => [name, { url }])),
  }
  tracing = await startGateway({
    admin: token,
    configuration: { ...configuration, traces: { endpoint: collector.url } },
  })
  plain = await startGateway({ admin: token, configuration })
}, 120_000)
afterAll(async () => {
  await Promise.all([tracing?.close(), plain?.close()])
  for (const recorder of recorders.values()) await recorder.close()
  for (const fixture of fixtures ?? []) await fixture.stop()
  await collector?.close()
})

const newTrace = (): string => randomBytes(16).toString('hex')
const PARENT = 'b7ad6b7169203331'
const parentOf = (trace: string): string => `00-${trace}-${PARENT}-01`

const ACCEPT = { accept: 'application/json, text/event-stream' }
const CLIENT = { name: 'test', version: '1' }

/** Where a client says which trace it is in. */
type Carrier = 'header' | '_meta'
interface Carried {
  readonly headers?: Readonly<Record<string, string>>
  readonly meta?: Readonly<Record<string, string>>
}

/** Calls one tool as a client with a session does. */
async function callWithSession(url: string, server: Kind, trace: Carried): Promise<void> {
  const endpoint = `${url}/${server}/mcp`
  const begun = await ask(endpoint, token, {
    json: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: CLIENT },
    },
    headers: ACCEPT,
  })
  const headers = {
    ...ACCEPT,
    'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-06-18',
  }
  await ask(endpoint, token, { json: { jsonrpc: '2.0', method: 'notifications/initialized' }, headers })
  const called = await ask(endpoint, token, {
    json: {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { name: 'test_simple_text', arguments: {}, _meta: trace.meta },
    },
    headers: { ...headers, ...trace.headers },
  })
  expect([called.status, JSON.stringify(called.body)]).toEqual([200, expect.stringContaining('content')])
}

/** Calls one tool as a client of the stateless revision does. */
async function callStateless(url: string, server: Kind, trace: Carried): Promise<void> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
    ...trace.meta,
  }
  const called = await ask(`${url}/${server}/mcp`, token, {
    json: {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { name: 'test_simple_text', arguments: {}, _meta: meta },
    },
    headers: {
      ...ACCEPT,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'test_simple_text',
      ...trace.headers,
    },
  })
  expect([called.status, JSON.stringify(called.body)]).toEqual([200, expect.stringContaining('content')])
}

const carried = (trace: string, carrier: Carrier): Carried => {
  const named = { traceparent: parentOf(trace), tracestate: 'vendor=1' }
  return carrier === 'header' ? { headers: named } : { meta: named }
}

const callOf = (server: Kind, trace: string): Asked | undefined =>
  recorders
    .get(server)
    ?.asked.find(
      ({ message, headers }) =>
        (message as { method?: string } | null)?.method === 'tools/call' &&
        headers.traceparent?.includes(trace) === true,
    )
const metaOf = (one: Asked | undefined): Record<string, unknown> =>
  (one?.message as { params?: { _meta?: Record<string, unknown> } } | undefined)?.params?._meta ?? {}

const clients = { session: callWithSession, stateless: callStateless } as const
const pairs = (['session', 'stateless'] as const).flatMap((client) =>
  NAMES.flatMap((server) =>
    (['header', '_meta'] as const).map((carrier) => [client, server, carrier] as const),
  ),
)

describe('a trace goes on from the client to the server', () => {
  it.each(pairs)(
    '%s client, %s server, given in the %s: unchanged without a collector',
    async (client, server, carrier) => {
      const trace = newTrace()
      await clients[client](plain.url, server, carried(trace, carrier))
      const seen = callOf(server, trace)
      expect(seen?.headers).toMatchObject({ traceparent: parentOf(trace), tracestate: 'vendor=1' })
      // Where the message itself names a trace, it is the same one.
      expect([parentOf(trace), undefined]).toContain(metaOf(seen)['traceparent'])
    },
  )

  it.each(pairs)(
    '%s client, %s server, given in the %s: under the spans of Postern',
    async (client, server, carrier) => {
      const trace = newTrace()
      await clients[client](tracing.url, server, carried(trace, carrier))
      const seen = callOf(server, trace)
      await soon(() => collector.spans.filter(({ traceId }) => traceId === trace).length).toBe(2)
      const [inner, outer] = [3, 2].map((kind) =>
        collector.spans.find((span) => span.traceId === trace && span.kind === kind),
      )
      expect(outer).toMatchObject({
        name: 'tools/call test_simple_text',
        parentSpanId: PARENT,
        facts: { 'http.route': '/{server}/mcp', 'postern.server': server, 'mcp.method.name': 'tools/call' },
      })
      expect(inner).toMatchObject({ parentSpanId: outer?.spanId, facts: { 'postern.server': server } })
      const handed = `00-${trace}-${inner?.spanId}-01`
      expect(seen?.headers).toMatchObject({ traceparent: handed, tracestate: 'vendor=1' })
      expect([handed, undefined]).toContain(metaOf(seen)['traceparent'])
    },
  )

  it('carries nothing that is malformed', async () => {
    const before = recorders.get('streamable')?.asked.length ?? 0
    const endpoint = `${plain.url}/streamable/mcp`
    await ask(endpoint, token, {
      json: {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: CLIENT },
      },
      headers: { ...ACCEPT, traceparent: `00-${'0'.repeat(32)}-${PARENT}-01`, tracestate: 'x=1' },
    })
    const asked = recorders.get('streamable')?.asked.slice(before) ?? []
    expect(asked.length).toBeGreaterThan(0)
    for (const { headers } of asked) {
      expect(headers.traceparent).toBeUndefined()
      expect(headers['tracestate']).toBeUndefined()
    }
  })

  it.each([
    ['session', 'streamable', 'plain'],
    ['stateless', 'stateless', 'plain'],
    ['session', 'streamable', 'tracing'],
    ['stateless', 'stateless', 'tracing'],
  ] as const)(
    '%s client: messages that pass as they are carry no trace context that was not checked (%s, %s)',
    async (client, server, which) => {
      const { url } = which === 'plain' ? plain : tracing
      // The first call finds out what the server speaks; until then messages are translated.
      await clients[client](url, server, {})
      const { asked } = recorders.get(server) as Recorder
      const before = asked.length
      const malformed = { traceparent: `00-malformed-${PARENT}-01`, tracestate: '=', baggage: 'who=somebody' }
      await clients[client](url, server, { meta: malformed })
      const calls = asked
        .slice(before)
        .filter(({ message }) => (message as { method?: string } | null)?.method === 'tools/call')
      expect(calls).toHaveLength(1)
      const text = JSON.stringify(calls)
      for (const value of Object.values(malformed)) expect(text).not.toContain(JSON.stringify(value))
      expect(metaOf(calls[0])['baggage']).toBeUndefined()
    },
  )
})
