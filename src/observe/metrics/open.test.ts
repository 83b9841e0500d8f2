import { register } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import type { Observation } from '../observation.ts'
import { CATALOGUE } from './catalogue.ts'
import { type Metrics, openMetrics } from './open.ts'
import type { MetricSources } from './sources.ts'

let metrics: Metrics | undefined
afterEach(() => metrics?.close())

const request = (more: Partial<Extract<Observation, { kind: 'request' }>> = {}): Observation => ({
  kind: 'request',
  requestId: 'r1',
  method: 'POST',
  route: '/mcp',
  status: 200,
  durationMs: 1.2,
  tokenName: 'development',
  credentialId: 'static:development',
  ...more,
})

const SOURCES: MetricSources = {
  databases: () => [
    { name: 'shop', state: 'up', connections: 3, busy: 2, waiting: 1 },
    { name: 'away', state: 'down', connections: 0, busy: 0, waiting: 0 },
  ],
  upstreams: () => [
    { name: 'files', state: 'failing', conversations: 4, running: 2, processes: 1, restarts: 7 },
  ],
  mcp: () => ({ sessions: 5, streams: 6 }),
  audit: () => ({ waiting: 8, flushes: 9, written: 10 }),
}

const linesOf = async (): Promise<readonly string[]> => {
  const read = await metrics?.read()
  return read?.text.split('\n') ?? []
}

describe('metrics', () => {
  it('count requests by route, by token and by code', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    metrics.observe(request())
    metrics.observe(request({ server: 'files' }))
    metrics.observe(request({ status: 403, code: 'level_too_low', tokenName: 'ci' }))
    metrics.observe({
      kind: 'request',
      requestId: 'r',
      method: 'GET',
      route: '/health',
      status: 200,
      durationMs: 1,
    })
    expect(await linesOf()).toEqual(
      expect.arrayContaining([
        'postern_http_requests_total{route="/mcp",method="POST",status="2xx"} 2',
        'postern_http_requests_total{route="/mcp",method="POST",status="4xx"} 1',
        'postern_http_requests_total{route="/health",method="GET",status="2xx"} 1',
        'postern_http_request_duration_seconds_bucket{le="0.001",route="/mcp",method="POST"} 0',
        'postern_http_request_duration_seconds_bucket{le="0.0025",route="/mcp",method="POST"} 3',
        'postern_http_request_duration_seconds_count{route="/mcp",method="POST"} 3',
        'postern_token_requests_total{token_name="development",server="postern"} 1',
        'postern_token_requests_total{token_name="development",server="files"} 1',
        'postern_token_requests_total{token_name="ci",server="postern"} 1',
        'postern_http_refusals_total{code="level_too_low"} 1',
      ]),
    )
  })

  it('count what happens in the rooms', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    for (const observation of [
      { kind: 'tool', tool: 'query_database', outcome: 'done', durationMs: 3, database: 'shop' },
      { kind: 'tool', tool: 'read', server: 'files', outcome: 'failed', durationMs: 3 },
      { kind: 'authentication.refused', requestId: '', reason: 'flood', remoteAddress: '', count: 40 },
      { kind: 'authentication.refused', requestId: '', reason: 'unknown', remoteAddress: '' },
      { kind: 'credential.ended', credentialId: 'x', reason: 'revoked' },
      { kind: 'database.connection_destroyed', database: 'shop', reason: 'in doubt' },
      { kind: 'audit.flush_failed', message: 'disk full', waiting: 3 },
      { kind: 'traces.export_failed', message: 'away', dropped: 12 },
      { kind: 'fault', where: 'http', error: new Error('x') },
    ] satisfies Observation[])
      metrics.observe(observation)
    expect(await linesOf()).toEqual(
      expect.arrayContaining([
        'postern_tool_calls_total{server="postern",tool="query_database",outcome="done"} 1',
        'postern_tool_calls_total{server="files",tool="read",outcome="failed"} 1',
        'postern_tool_call_duration_seconds_count{server="files",outcome="failed"} 1',
        'postern_authentications_refused_total{reason="flood"} 40',
        'postern_authentications_refused_total{reason="unknown"} 1',
        'postern_credentials_ended_total{reason="revoked"} 1',
        'postern_database_connections_destroyed_total{database="shop"} 1',
        'postern_audit_flush_failures_total 1',
        'postern_trace_spans_dropped_total 12',
        'postern_faults_total{where="http"} 1',
        'postern_store_feed_up 1',
      ]),
    )
    metrics.observe({ kind: 'store.feed_lost', message: 'away' })
    expect(await linesOf()).toContain('postern_store_feed_up 0')
    metrics.observe({ kind: 'store.feed_restored' })
    expect(await linesOf()).toContain('postern_store_feed_up 1')
  })

  it('look up the rest when they are read', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    const unknown = (await linesOf()).filter((line) =>
      /^postern_(?:mcp|audit_(?:entries|flushes)|database_up|upstream)/.test(line),
    )
    expect(unknown).toEqual([])
    metrics.watch(SOURCES)
    const lines = await linesOf()
    expect(lines).toEqual(
      expect.arrayContaining([
        `postern_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
        'postern_database_up{database="shop"} 1',
        'postern_database_up{database="away"} 0',
        'postern_database_connections{database="shop"} 3',
        'postern_database_connections_busy{database="shop"} 2',
        'postern_database_calls_waiting{database="shop"} 1',
        'postern_upstream_up{server="files"} 0',
        'postern_upstream_state{server="files",state="failing"} 1',
        'postern_upstream_state{server="files",state="up"} 0',
        'postern_upstream_restarts_total{server="files"} 7',
        'postern_upstream_conversations{server="files"} 4',
        'postern_upstream_requests_running{server="files"} 2',
        'postern_upstream_processes{server="files"} 1',
        'postern_mcp_sessions 5',
        'postern_mcp_streams 6',
        'postern_audit_entries_waiting 8',
        'postern_audit_flushes_total 9',
        'postern_audit_entries_written_total 10',
      ]),
    )
    const value = (name: string): number =>
      Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1])
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(20e6)
    expect(value('nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6)
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(Math.abs(value('process_start_time_seconds') - Date.now() / 1_000)).toBeLessThan(3_600)
    if (process.platform === 'linux') expect(value('process_open_fds')).toBeGreaterThan(3)
  })

  it('notice an event loop that was held up', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    await new Promise((resolve) => setTimeout(resolve, 60))
    const until = performance.now() + 150
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60))
    const line = (await linesOf()).find((one) => one.startsWith('nodejs_eventloop_delay_p99_seconds '))
    expect(Number(line?.split(' ')[1])).toBeGreaterThan(0.08)
  })

  it('say nothing more of what is gone, and count on from what a source has counted', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    metrics.watch(SOURCES)
    await metrics.read()
    metrics.watch({ upstreams: () => [], audit: () => ({ waiting: 0, flushes: 11, written: 10 }) })
    const lines = await linesOf()
    expect(lines.filter((line) => line.startsWith('postern_upstream_'))).toEqual([])
    expect(lines).toEqual(
      expect.arrayContaining([
        'postern_audit_entries_waiting 0',
        'postern_audit_flushes_total 11',
        'postern_audit_entries_written_total 10',
        'postern_mcp_sessions 5',
      ]),
    )
  })

  it('are written in the text format 0.0.4, whatever stands in a name', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    metrics.observe(request({ tokenName: 'quo"te\n\\', server: 'files' }))
    const { contentType, text } = await metrics.read()
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text).toContain(
      [
        '# HELP postern_token_requests_total Authenticated requests by the name of the token and the server they were for.',
        '# TYPE postern_token_requests_total counter',
        'postern_token_requests_total{token_name="quo\\"te\\n\\\\",server="files"} 1',
        '',
      ].join('\n'),
    )
    expect(text.endsWith('\n')).toBe(true)
    expect((await metrics.read()).text).toContain('# TYPE postern_token_requests_total counter\n')
  })

  it('add buckets up', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    for (const durationMs of [0.5, 0.6, 1, 1_000, 60_000, 60_001]) metrics.observe(request({ durationMs }))
    const lines = await linesOf()
    const name = 'postern_http_request_duration_seconds'
    const of = 'route="/mcp",method="POST"'
    const bounds = { '0.0005': 1, '0.001': 3, '0.5': 3, '1': 4, '60': 5, '+Inf': 6 }
    const counts = Object.fromEntries(
      lines
        .filter((line) => line.startsWith(`${name}_bucket`))
        .map((line) => [/le="([^"]+)"/.exec(line)?.[1], Number(line.split(' ')[1])]),
    )
    expect(counts).toMatchObject(bounds)
    expect(lines).toContain(`${name}_count{${of}} 6`)
    const sum = lines.find((line) => line.startsWith(`${name}_sum{${of}} `))
    expect(Number(sum?.split(' ')[1])).toBeCloseTo(121.0031, 6)
  })

  it('belong to what opened them, and to nothing global', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    const other = openMetrics({ version: '1.2.3' })
    try {
      other.observe(request({ tokenName: 'elsewhere' }))
      expect((await linesOf()).join('\n')).not.toContain('elsewhere')
      expect(register.getMetricsAsArray()).toEqual([])
    } finally {
      other.close()
    }
  })

  it('cannot be made to grow without bounds', async () => {
    metrics = openMetrics({ version: '1.2.3' })
    for (let n = 0; n < 3_000; n += 1) metrics.observe(request({ tokenName: `token ${n}` }))
    const lines = (await linesOf()).filter((line) => line.startsWith('postern_token_requests_total'))
    expect(lines).toHaveLength(1_001)
    expect(lines).toContain('postern_token_requests_total{token_name="(other)",server="(other)"} 2000')
  })

  it('cost a request a few microseconds at most', () => {
    const measured = openMetrics({ version: '1.2.3' })
    metrics = measured
    const one = request({ server: 'files' })
    let best = Infinity
    for (let round = 0; round < 5; round += 1) {
      const startedAt = performance.now()
      for (let n = 0; n < 100_000; n += 1) measured.observe(one)
      best = Math.min(best, ((performance.now() - startedAt) * 1_000) / 100_000)
    }
    // About 0.9 measured; the rest is for a machine that does ten other things.
    expect(best).toBeLessThan(10)
  })

  it('have names that follow the conventions', () => {
    for (const { name, kind, labels, help } of Object.values(CATALOGUE)) {
      expect(name).toMatch(/^(?:postern|process|nodejs)_[a-z0-9_]+$/)
      expect(name.endsWith('_total'), name).toBe(kind === 'counter' || kind === 'read counter')
      if (kind === 'histogram') expect(name).toMatch(/_seconds$/)
      expect(labels.length).toBeLessThanOrEqual(3)
      expect(help).toMatch(/^[A-Z1].*\.$/)
    }
  })
})
