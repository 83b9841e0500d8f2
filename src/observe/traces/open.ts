import type { AttributeValue, Context, Span as OtelSpan, SpanContext } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Clock } from '../../lib/clock.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Observe } from '../observation.ts'
import type { TraceContext } from '../trace-context.ts'
import { noTracing, type NewSpan, type Span, type SpanFacts, type Tracing } from '../tracing.ts'
import { type Send, SpanQueue } from './span-queue.ts'

export interface TraceOptions {
  /** OTLP over HTTP, the whole URL. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, Secret>>
  /** Part of the requests without a parent that is traced, 0 to 1; a parent's decision is kept. */
  readonly ratio: number
  readonly serviceName: string
  readonly version: string
}

/** How long the collector may take for one batch, the exporter's own tries included. */
const EXPORT_TIMEOUT_MS = 10_000

/** Longer values of facts are cut: some hold names that a caller chose. Characters. */
const LONGEST_FACT = 256

/**
 * Makes spans and sends them to a collector. The OpenTelemetry SDK is loaded here, and only when spans are wanted;
 * nothing is registered globally.
 */
export async function openTraces(
  options: TraceOptions | null,
  clock: Clock,
  observe: Observe,
): Promise<Tracing> {
  if (options === null) return noTracing
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const exporter = new OTLPTraceExporter({
    url: options.endpoint,
    headers: Object.fromEntries(
      Object.entries(options.headers).map(([name, value]) => [name, value.reveal()]),
    ),
    timeoutMillis: EXPORT_TIMEOUT_MS,
    concurrencyLimit: 1,
  })
  const send: Send<ReadableSpan> = (spans) =>
    new Promise((resolve, reject) => {
      exporter.export(spans, ({ error }) => {
        if (error === undefined) resolve()
        else reject(new Error(problemOf(error)))
      })
    })
  const queue = new SpanQueue(send, clock, observe)
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      'service.version': options.version,
    }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(options.ratio) }),
    spanLimits: { attributeValueLengthLimit: LONGEST_FACT, attributeCountLimit: 32 },
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span) => {
          queue.add(span)
        },
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  })
  const tracer = provider.getTracer('postern', options.version)
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT }

  const contextOf = (parent: TraceContext | undefined): Context => {
    const known = parent && spanContext(parent, api.createTraceState)
    return known ? api.trace.setSpanContext(api.ROOT_CONTEXT, known) : api.ROOT_CONTEXT
  }

  return {
    on: true,
    begin({ kind, name, parent, startedAt, facts }: NewSpan): Span {
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          attributes: known(facts),
          ...(startedAt === undefined ? {} : { startTime: startedAt }),
        },
        contextOf(parent),
      )
      return {
        context: handedOn(span.spanContext()),
        end({ facts: more = {}, error, name: better } = {}) {
          span.setAttributes(known(more))
          if (better !== undefined) span.updateName(better)
          if (error !== undefined) fail(span, error, api.SpanStatusCode.ERROR)
          span.end()
        },
      }
    },
    async close() {
      await queue.close()
      // Its connection; it has nothing more to send.
      await exporter.shutdown().catch(() => undefined)
    },
  }
}

function fail(span: OtelSpan, error: string, code: number): void {
  span.setAttribute('error.type', error)
  span.setStatus({ code })
}

function known(facts: SpanFacts): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = {}
  for (const [name, value] of Object.entries(facts)) if (value !== undefined) attributes[name] = value
  return attributes
}

/** What `readTraceContext` checked already. */
function spanContext(
  { traceparent, tracestate }: TraceContext,
  createTraceState: (text: string) => NonNullable<SpanContext['traceState']>,
): SpanContext | undefined {
  const [, traceId, spanId, flags] = traceparent.split('-')
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  }
}

function handedOn({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  const tracestate = traceState?.serialize() ?? ''
  return tracestate === '' ? { traceparent } : { traceparent, tracestate }
}

/** The exporter's errors repeat what the collector answered, which may be a page. */
const problemOf = (error: Error): string => (error.message || error.name).slice(0, 200)
