import type { Observation, Observe } from '../observation.ts'
import { CATALOGUE, type MetricKey } from './catalogue.ts'
import { Counter } from './counter.ts'
import { chooseFormat, CONTENT_TYPES, exposition, type LabelledValue } from './exposition.ts'
import { Family } from './family.ts'
import { Histogram } from './histogram.ts'
import { watchProcess } from './process.ts'

/** What is looked up when somebody asks, each from the room that knows. */
export interface MetricSources {
  readonly databases: () => readonly {
    readonly name: string
    readonly state: string
    readonly connections: number
    readonly busy: number
    readonly waiting: number
  }[]
  readonly upstreams: () => readonly {
    readonly name: string
    readonly state: 'idle' | 'up' | 'failing'
    readonly conversations: number
    readonly running: number
    readonly processes: number
    readonly restarts: number
  }[]
  readonly mcp: () => { readonly sessions: number; readonly streams: number }
  readonly audit: () => { readonly waiting: number; readonly flushes: number; readonly written: number }
}

export interface Metrics {
  readonly observe: Observe
  /** Names where the rest is looked up; may be called once more as rooms open. */
  watch(sources: Partial<MetricSources>): void
  /** @param accept the header of the request: the Prometheus text format unless it names OpenMetrics */
  read(accept: string | undefined): Promise<{ readonly contentType: string; readonly text: string }>
  close(): void
}

/** The server's own tools are listed under this name. */
const OWN_SERVER = 'postern'

const STATES = ['idle', 'up', 'failing'] as const

/** What is counted of each kind of observation; most are only for the log. */
type Handlers = {
  readonly [K in Observation['kind']]?: (observation: Extract<Observation, { readonly kind: K }>) => void
}

/** Subscribes counters to the observations. Everything belongs to this value: nothing is global. */
export function openMetrics(options: { readonly version: string }): Metrics {
  const counters = {
    requests: counter('requests'),
    requestsByToken: counter('requestsByToken'),
    refusals: counter('refusals'),
    authenticationsRefused: counter('authenticationsRefused'),
    credentialsEnded: counter('credentialsEnded'),
    toolCalls: counter('toolCalls'),
    databaseDestroyed: counter('databaseDestroyed'),
    auditFailures: counter('auditFailures'),
    faults: counter('faults'),
    spansDropped: counter('spansDropped'),
  }
  const histograms = {
    requestSeconds: histogram('requestSeconds'),
    toolSeconds: histogram('toolSeconds'),
  }
  const counted: Partial<Record<MetricKey, Family<Counter> | Family<Histogram>>> = {
    ...counters,
    ...histograms,
  }
  const watched = watchProcess()
  let sources: Partial<MetricSources> = {}
  let feedUp = 1

  const on: Handlers = {
    request({ route, method, status, durationMs, tokenName, server, code }) {
      counters.requests.child(route, method, statusClass(status)).add()
      histograms.requestSeconds.child(route, method).observeMs(durationMs)
      if (tokenName !== undefined) counters.requestsByToken.child(tokenName, server ?? OWN_SERVER).add()
      if (code !== undefined) counters.refusals.child(code).add()
    },
    tool({ server = OWN_SERVER, tool, outcome, durationMs }) {
      counters.toolCalls.child(server, tool, outcome).add()
      histograms.toolSeconds.child(server, outcome).observeMs(durationMs)
    },
    'authentication.refused'({ reason, count = 1 }) {
      counters.authenticationsRefused.child(reason).add(count)
    },
    'credential.ended'({ reason }) {
      counters.credentialsEnded.child(reason).add()
    },
    'database.connection_destroyed'({ database }) {
      counters.databaseDestroyed.child(database).add()
    },
    'audit.flush_failed'() {
      counters.auditFailures.child().add()
    },
    'store.feed_lost'() {
      feedUp = 0
    },
    'store.feed_restored'() {
      feedUp = 1
    },
    'traces.export_failed'({ dropped }) {
      counters.spansDropped.child().add(dropped)
    },
    fault({ where }) {
      counters.faults.child(where).add()
    },
  }
  const observe: Observe = (observation) => {
    const handle = on[observation.kind] as ((observation: Observation) => void) | undefined
    handle?.(observation)
  }

  /** What is known at this moment, in place of what is counted. */
  const look = async (): Promise<Partial<Record<MetricKey, readonly LabelledValue[]>>> => {
    const usage = await watched.read()
    const alone = Object.entries(usage).map(([key, value]) => [key, [{ labels: [], value }]] as const)
    return {
      ...Object.fromEntries(alone),
      ...lookAt(sources),
      build: [{ labels: [options.version, process.versions.node], value: 1 }],
      feedUp: [{ labels: [], value: feedUp }],
    }
  }

  return {
    observe,
    watch(more) {
      sources = { ...sources, ...more }
    },
    async read(accept) {
      const looked = await look()
      const readings = (Object.keys(CATALOGUE) as MetricKey[]).map((key) => ({
        definition: CATALOGUE[key],
        values: looked[key] ?? (counted[key]?.children ?? []).map(valueOf),
      }))
      const format = chooseFormat(accept)
      return { contentType: CONTENT_TYPES[format], text: exposition(readings, format) }
    },
    close() {
      watched.close()
    },
  }
}

const counter = (key: MetricKey): Family<Counter> => new Family(CATALOGUE[key], () => new Counter())
const histogram = (key: MetricKey): Family<Histogram> => new Family(CATALOGUE[key], () => new Histogram())

const valueOf = (one: {
  readonly labels: readonly string[]
  readonly child: Counter | Histogram
}): LabelledValue => ({
  labels: one.labels,
  value: one.child instanceof Counter ? one.child.value : one.child,
})

const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const statusClass = (status: number): string => CLASSES[Math.floor(status / 100)] ?? '0xx'

function lookAt(sources: Partial<MetricSources>): Partial<Record<MetricKey, readonly LabelledValue[]>> {
  const databases = sources.databases?.() ?? []
  const upstreams = sources.upstreams?.() ?? []
  const mcp = sources.mcp?.()
  const audit = sources.audit?.()
  const ofDatabase = (read: (one: (typeof databases)[number]) => number): readonly LabelledValue[] =>
    databases.map((one) => ({ labels: [one.name], value: read(one) }))
  const ofUpstream = (read: (one: (typeof upstreams)[number]) => number): readonly LabelledValue[] =>
    upstreams.map((one) => ({ labels: [one.name], value: read(one) }))
  const single = (value: number | undefined): readonly LabelledValue[] =>
    value === undefined ? [] : [{ labels: [], value }]
  return {
    databaseUp: ofDatabase(({ state }) => (state === 'down' || state === 'refused' ? 0 : 1)),
    databaseConnections: ofDatabase(({ connections }) => connections),
    databaseBusy: ofDatabase(({ busy }) => busy),
    databaseWaiting: ofDatabase(({ waiting }) => waiting),
    upstreamUp: ofUpstream(({ state }) => (state === 'failing' ? 0 : 1)),
    upstreamState: upstreams.flatMap(({ name, state }) =>
      STATES.map((each) => ({ labels: [name, each], value: state === each ? 1 : 0 })),
    ),
    upstreamRestarts: ofUpstream(({ restarts }) => restarts),
    upstreamConversations: ofUpstream(({ conversations }) => conversations),
    upstreamRunning: ofUpstream(({ running }) => running),
    upstreamProcesses: ofUpstream(({ processes }) => processes),
    sessions: single(mcp?.sessions),
    streams: single(mcp?.streams),
    auditWaiting: single(audit?.waiting),
    auditFlushes: single(audit?.flushes),
    auditEntries: single(audit?.written),
  }
}
