import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observation, Observe } from '../observation.ts'
import { CATALOGUE, type KeyOf } from './catalogue.ts'
import { Children } from './children.ts'
import { watchProcess } from './process.ts'
import { lookAt, type MetricSources, type Reading, type Readings, single } from './sources.ts'

export interface Metrics {
  readonly observe: Observe
  /** Names where the rest is looked up; may be called once more as rooms open. */
  watch(sources: Partial<MetricSources>): void
  /** The Prometheus text format 0.0.4. */
  read(): Promise<{ readonly contentType: string; readonly text: string }>
  close(): void
}

/** The server's own tools are listed under this name. */
const OWN_SERVER = 'postern'

/** Upper bounds in seconds: from a refusal that never left the process to a tool that thinks for a minute. */
const BUCKETS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** What is counted of each kind of observation; most are only for the log. */
type Handlers = {
  readonly [K in Observation['kind']]?: (observation: Extract<Observation, { readonly kind: K }>) => void
}

/** Subscribes counters to the observations. Everything belongs to this value: nothing is global. */
export function openMetrics(options: { readonly version: string }): Metrics {
  // Text only. For OpenMetrics prom-client 15 renames the counters it is asked for, in place, so that the next scraper
  // of the text would get other names; and it writes bounds of buckets in no canonical form.
  const registry = new Registry()
  const configured = (key: keyof typeof CATALOGUE) => {
    const { name, help, labels } = CATALOGUE[key]
    return { name, help, labelNames: labels, registers: [registry] }
  }
  const counter = (key: KeyOf<'counter'>): Children<Counter.Internal> => {
    const metric = new Counter(configured(key))
    return new Children(CATALOGUE[key].labels.length, (labels) => metric.labels(...labels))
  }
  const histogram = (key: KeyOf<'histogram'>): Children<Histogram.Internal<string>> => {
    const metric = new Histogram({ ...configured(key), buckets: BUCKETS_S })
    return new Children(CATALOGUE[key].labels.length, (labels) => metric.labels(...labels))
  }
  const requests = counter('requests')
  const requestSeconds = histogram('requestSeconds')
  const requestsByToken = counter('requestsByToken')
  const refusals = counter('refusals')
  const authenticationsRefused = counter('authenticationsRefused')
  const credentialsEnded = counter('credentialsEnded')
  const toolCalls = counter('toolCalls')
  const toolSeconds = histogram('toolSeconds')
  const databaseDestroyed = counter('databaseDestroyed')
  const auditFailures = counter('auditFailures')
  const faults = counter('faults')
  const spansDropped = counter('spansDropped')

  const lookedUp = LOOKED_UP.map(
    (key) =>
      [
        key,
        CATALOGUE[key].kind === 'gauge' ? new Gauge(configured(key)) : new Counter(configured(key)),
      ] as const,
  )
  const watched = watchProcess()
  let sources: Partial<MetricSources> = {}
  let feedUp = 1

  const on: Handlers = {
    request({ route, method, status, durationMs, tokenName, server, code }) {
      requests.child(route, method, statusClass(status)).inc()
      requestSeconds.child(route, method).observe(durationMs / 1_000)
      if (tokenName !== undefined) requestsByToken.child(tokenName, server ?? OWN_SERVER).inc()
      if (code !== undefined) refusals.child(code).inc()
    },
    tool({ server = OWN_SERVER, tool, outcome, durationMs }) {
      toolCalls.child(server, tool, outcome).inc()
      toolSeconds.child(server, outcome).observe(durationMs / 1_000)
    },
    'authentication.refused'({ reason, count = 1 }) {
      authenticationsRefused.child(reason).inc(count)
    },
    'credential.ended'({ reason }) {
      credentialsEnded.child(reason).inc()
    },
    'database.connection_destroyed'({ database }) {
      databaseDestroyed.child(database).inc()
    },
    'audit.flush_failed'() {
      auditFailures.child().inc()
    },
    'store.feed_lost'() {
      feedUp = 0
    },
    'store.feed_restored'() {
      feedUp = 1
    },
    'traces.export_failed'({ dropped }) {
      spansDropped.child().inc(dropped)
    },
    fault({ where }) {
      faults.child(where).inc()
    },
  }
  const observe: Observe = (observation) => {
    const handle = on[observation.kind] as ((observation: Observation) => void) | undefined
    handle?.(observation)
  }

  return {
    observe,
    watch(more) {
      sources = { ...sources, ...more }
    },
    async read() {
      const readings: Readings = {
        ...(await watched.read()),
        ...lookAt(sources),
        build: [{ labels: [options.version, process.versions.node], value: 1 }],
        feedUp: single(feedUp),
      }
      for (const [key, metric] of lookedUp) say(metric, readings[key] ?? [])
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
    close() {
      watched.close()
      registry.clear()
    },
  }
}

type LookedUpKey = KeyOf<'gauge' | 'read counter'>

const LOOKED_UP = (Object.keys(CATALOGUE) as (keyof typeof CATALOGUE)[]).filter(
  (key): key is LookedUpKey => CATALOGUE[key].kind === 'gauge' || CATALOGUE[key].kind === 'read counter',
)

/** Puts what was looked up in place of what was known before: a server that is gone is not said any more. */
function say(metric: Gauge | Counter, readings: readonly Reading[]): void {
  metric.reset()
  // Without labels there is a 0 after a reset, which would claim that there are none of what nobody knows.
  if (readings.length === 0) metric.remove({})
  for (const { labels, value } of readings) {
    if (metric instanceof Gauge) metric.labels(...labels).set(value)
    else metric.labels(...labels).inc(value)
  }
}

const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const statusClass = (status: number): string => CLASSES[Math.floor(status / 100)] ?? '0xx'
