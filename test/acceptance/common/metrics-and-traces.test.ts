import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../../src/observe/metrics/catalogue.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../../support/otlp-receiver.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { soon } from '../../support/soon.ts'

const word = (what: string): string => `${what}${randomBytes(12).toString('hex')}`
const admin = word('admin')
const scraper = word('scraper')
const developer = word('developer')
const collectorKey = word('collector')
/** A value that a statement holds, and that nothing may show. */
const value = word('value')

let database: TestDatabase
let collector: OtlpReceiver
let gateway: RunningGateway

beforeAll(async () => {
  collector = await startOtlpReceiver()
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  gateway = await startGateway({
    admin,
    env: { COLLECTOR_KEY: collectorKey },
    configuration: {
      auth: {
        tokens: {
          root: { value: admin, level: 'admin' },
          prometheus: { value: scraper, scopes: ['metrics:read'] },
          development: { value: developer },
        },
      },
      databases: [{ name: 'shop', url: database.readerUrl }],
      traces: { endpoint: collector.url, headers: { 'X-Key': '$env:COLLECTOR_KEY' }, serviceName: 'gate' },
    },
  })
}, 120_000)
afterAll(async () => {
  await gateway?.close()
  await database?.drop()
  await collector?.close()
})

async function send(
  path: string,
  token: string | null,
  init: { readonly json?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const { json, headers = {} } = init
  return await fetch(`${gateway.url}${path}`, {
    method: json === undefined ? 'GET' : 'POST',
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
}

const traceId = (): string => randomBytes(16).toString('hex')
const parentOf = (trace: string, flags = '01'): string => `00-${trace}-b7ad6b7169203331-${flags}`
const spansOf = (trace: string): readonly ReceivedSpan[] =>
  collector.spans.filter((span) => span.traceId === trace)

const query = (sql: string): { readonly sql: string; readonly params: readonly string[] } => ({
  sql,
  params: [value],
})

describe('traces', () => {
  it('go on from the client through the request to its statement, and the log names them', async () => {
    const trace = traceId()
    const answer = await send('/api/v1/query', developer, {
      json: query('SELECT $1::text'),
      headers: { traceparent: parentOf(trace) },
    })
    expect(answer.status).toBe(200)
    await soon(() => spansOf(trace).length).toBe(2)
    const request = spansOf(trace).find(({ kind }) => kind === 2)
    expect(request).toMatchObject({
      name: 'POST /api/v1/query',
      parentSpanId: 'b7ad6b7169203331',
      facts: {
        'http.request.method': 'POST',
        'http.route': '/api/v1/query',
        'http.response.status_code': 200,
        'url.scheme': 'http',
        'postern.request_id': answer.headers.get('x-request-id'),
        'postern.token_name': 'development',
      },
    })
    expect(spansOf(trace).find(({ kind }) => kind === 3)).toMatchObject({
      name: 'SELECT shop',
      parentSpanId: request?.spanId,
      facts: { 'db.system.name': 'postgresql', 'db.namespace': 'shop', 'db.operation.name': 'SELECT' },
    })
    expect(collector.resource).toMatchObject({ 'service.name': 'gate' })
    expect(collector.headers[0]).toMatchObject({ 'x-key': collectorKey })
    await soon(() => gateway.log().find((line) => line['trace_id'] === trace)).toMatchObject({
      msg: 'Authenticated request',
      token_name: 'development',
    })
  })

  it('are read from the message of an MCP call before the headers', async () => {
    const [inMeta, inHeader] = [traceId(), traceId()]
    const params = {
      name: 'count_rows',
      arguments: { table: 'customers' },
      _meta: { traceparent: parentOf(inMeta), tracestate: 'vendor=1' },
    }
    await send('/mcp', developer, {
      json: { jsonrpc: '2.0', id: 1, method: 'tools/call', params },
      headers: { traceparent: parentOf(inHeader), accept: 'application/json, text/event-stream' },
    })
    await soon(() => spansOf(inMeta).length).toBe(2)
    expect(spansOf(inHeader)).toEqual([])
    expect(spansOf(inMeta).find(({ kind }) => kind === 2)).toMatchObject({
      name: 'tools/call count_rows',
      traceState: 'vendor=1',
      facts: { 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'count_rows', 'http.route': '/mcp' },
    })
  })

  it('say which statement failed, by its code', async () => {
    const trace = traceId()
    const headers = { traceparent: parentOf(trace) }
    await send('/api/v1/query', developer, { json: { sql: 'SELECT 1 / 0' }, headers })
    await soon(() => spansOf(trace).length).toBe(2)
    expect(spansOf(trace).find(({ kind }) => kind === 3)).toMatchObject({
      status: { code: 2 },
      facts: { 'error.type': 'sql_failed', 'db.response.status_code': '22012' },
    })
    expect(spansOf(trace).find(({ kind }) => kind === 2)?.status).not.toMatchObject({ code: 2 })
  })

  it('are not made where the client said not to, nor for anybody without a credential', async () => {
    const [unsampled, stranger, public_, last] = [traceId(), traceId(), traceId(), traceId()]
    await send('/mcp/tools', developer, { headers: { traceparent: parentOf(unsampled, '00') } })
    await send('/mcp/tools', 'nobody', { headers: { traceparent: parentOf(stranger) } })
    await send('/health', null, { headers: { traceparent: parentOf(public_) } })
    await send('/mcp/tools', developer, { headers: { traceparent: parentOf(last) } })
    await soon(() => spansOf(last).length).toBe(1)
    expect([unsampled, stranger, public_].flatMap(spansOf)).toEqual([])
    // The request is still in the log under its trace.
    expect(gateway.log().some((line) => line['trace_id'] === unsampled)).toBe(true)
  })

  it('cost nothing but spans when the collector is away', async () => {
    collector.answer(503)
    const before = gateway.log().length
    for (let n = 0; n < 20; n += 1) {
      expect((await send('/mcp/tools', developer)).status).toBe(200)
    }
    collector.answer(400)
    await send('/mcp/tools', developer)
    const complaints = (): number =>
      gateway
        .log()
        .slice(before)
        .filter(({ msg }) => msg.startsWith('The trace collector takes no spans')).length
    await soon(complaints).toBe(1)
    collector.answer(200)
  })
})

describe('metrics', () => {
  it('show a scraper what happened, under names of tokens, routes, tools and databases', async () => {
    await send('/mcp/tools/count_rows', developer, { json: { table: 'customers' } })
    await send('/api/v1/query', developer, { json: { sql: 'DELETE FROM customers' } })
    await send('/mcp/tools', 'nobody')
    const answer = await send('/metrics', scraper)
    expect(answer.status).toBe(200)
    const text = await answer.text()
    for (const line of [
      /^postern_http_requests_total\{route="\/mcp\/tools\/\{tool\}",method="POST",status="2xx"\} \d+$/m,
      /^postern_token_requests_total\{token_name="development",server="postern"\} \d+$/m,
      /^postern_http_refusals_total\{code="sql_refused"\} \d+$/m,
      /^postern_authentications_refused_total\{reason="unknown"\} \d+$/m,
      /^postern_tool_calls_total\{server="postern",tool="count_rows",outcome="done"\} \d+$/m,
      /^postern_database_up\{database="shop"\} 1$/m,
      /^postern_database_connections\{database="shop"\} [1-9]\d*$/m,
      /^postern_mcp_sessions \d+$/m,
      /^postern_audit_flushes_total [1-9]\d*$/m,
      /^process_resident_memory_bytes \d+$/m,
    ]) {
      expect(text).toMatch(line)
    }
    const known = new Set<string>(Object.values(CATALOGUE).map(({ name }) => name))
    for (const [, name = ''] of text.matchAll(/^# TYPE (\S+) /gm)) expect(known).toContain(name)
  })

  it('hold no credential, no statement and no value; nor do traces and the log', async () => {
    const texts = [
      await (await send('/metrics', admin)).text(),
      JSON.stringify(collector.spans),
      gateway.serving.stderr(),
    ]
    for (const text of texts) {
      for (const secret of [admin, scraper, developer, collectorKey, value, 'SELECT $1', 'DELETE FROM']) {
        expect(text).not.toContain(secret)
      }
    }
  })

  it('are for administrators and scrapers only', async () => {
    expect((await send('/metrics', developer)).status).toBe(403)
    expect((await send('/metrics', null)).status).toBe(401)
  })
})
