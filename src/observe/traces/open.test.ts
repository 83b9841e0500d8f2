import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { type OtlpReceiver, startOtlpReceiver } from '../../../test/support/otlp-receiver.ts'
import { Secret } from '../../lib/secret.ts'
import type { Observation } from '../observation.ts'
import { readTraceContext } from '../read-trace-context.ts'
import type { Tracing } from '../tracing.ts'
import { openTraces, type TraceOptions } from './open.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = { traceparent: `00-${TRACE}-b7ad6b7169203331-01`, tracestate: 'vendor=a' }

let collector: OtlpReceiver
let tracing: Tracing
let observations: Observation[]
const clock = manualClock()

beforeEach(async () => {
  collector = await startOtlpReceiver()
  observations = []
})
afterEach(async () => {
  await tracing.close()
  await collector.close()
})

async function open(more: Partial<TraceOptions> = {}): Promise<void> {
  const options = {
    endpoint: collector.url,
    headers: {},
    ratio: 1,
    serviceName: 'gate',
    version: '1.2.3',
    ...more,
  }
  tracing = await openTraces(options, clock, (observation) => void observations.push(observation))
}

describe('traces', () => {
  it('reach a collector with their facts, under the trace of the client', async () => {
    await open({ headers: { 'X-Key': new Secret('abc') } })
    const startedAt = Date.now() - 5_000
    const server = tracing.begin({
      kind: 'server',
      name: 'POST /mcp',
      parent: PARENT,
      startedAt,
      facts: { 'http.route': '/mcp', 'url.scheme': undefined },
    })
    const client = tracing.begin({ kind: 'client', name: 'tools/call', parent: server.context, facts: {} })
    client.end({ error: 'upstream_timeout' })
    server.end({ facts: { 'http.response.status_code': 504 }, name: 'tools/call echo' })
    clock.advance(1_000)
    await vi.waitFor(() => expect(collector.spans).toHaveLength(2))
    const [inner, outer] = collector.spans
    expect(outer).toMatchObject({
      traceId: TRACE,
      parentSpanId: 'b7ad6b7169203331',
      name: 'tools/call echo',
      kind: 2,
      traceState: 'vendor=a',
      facts: { 'http.route': '/mcp', 'http.response.status_code': 504 },
    })
    expect(Math.abs(Number(outer?.startTimeUnixNano) / 1e6 - startedAt)).toBeLessThan(1)
    expect(inner).toMatchObject({
      traceId: TRACE,
      parentSpanId: outer?.spanId,
      kind: 3,
      status: { code: 2 },
      facts: { 'error.type': 'upstream_timeout' },
    })
    expect(collector.resource).toMatchObject({ 'service.name': 'gate', 'service.version': '1.2.3' })
    expect(collector.headers[0]).toMatchObject({ 'x-key': 'abc' })
  })

  it('hand on what readTraceContext takes: the same trace, their own span, the state of the client', async () => {
    await open()
    const { context } = tracing.begin({ kind: 'server', name: 'x', parent: PARENT, facts: {} })
    expect(readTraceContext(context ?? {})).toEqual(context)
    expect(context?.traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`))
    expect(context?.tracestate).toBe('vendor=a')
  })

  it('keep the decision of the client, and make their own where there is none', async () => {
    await open({ ratio: 0 })
    const unsampled = { traceparent: PARENT.traceparent.replace(/1$/, '0') }
    const begin = (parent: typeof unsampled | undefined): string | undefined => {
      const span = tracing.begin({ kind: 'server', name: 'x', parent, facts: {} })
      span.end()
      return span.context?.traceparent.slice(-2)
    }
    expect([begin(undefined), begin(unsampled), begin(PARENT)]).toEqual(['00', '00', '01'])
    clock.advance(1_000)
    await vi.waitFor(() => expect(collector.spans).toHaveLength(1))
  })

  it('cut what a caller could make long', async () => {
    await open()
    tracing.begin({ kind: 'server', name: 'x', parent: undefined, facts: { long: 'x'.repeat(9_999) } }).end()
    clock.advance(1_000)
    await vi.waitFor(() => expect(collector.spans).toHaveLength(1))
    expect(collector.spans[0]?.facts['long']).toHaveLength(256)
  })

  it('are lost, and said to be, when the collector refuses them', async () => {
    await open()
    collector.answer(400)
    tracing.begin({ kind: 'server', name: 'x', parent: undefined, facts: {} }).end()
    clock.advance(1_000)
    await vi.waitFor(() => expect(observations).toMatchObject([{ kind: 'traces.export_failed', dropped: 1 }]))
  })

  it('end with the last spans sent', async () => {
    await open()
    tracing.begin({ kind: 'server', name: 'last', parent: undefined, facts: {} }).end()
    await tracing.close()
    expect(collector.spans.map(({ name }) => name)).toEqual(['last'])
  })

  it('are only passed on where no collector is named', async () => {
    tracing = await openTraces(null, clock, () => undefined)
    expect(tracing.on).toBe(false)
    const span = tracing.begin({ kind: 'server', name: 'x', parent: PARENT, facts: {} })
    expect(span.context).toBe(PARENT)
    span.end()
    expect(tracing.begin({ kind: 'server', name: 'x', parent: undefined, facts: {} }).context).toBeUndefined()
  })
})
