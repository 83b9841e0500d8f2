import type { MetricKey } from './catalogue.ts'

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

/** One value that was looked up. */
export interface Reading {
  /** Values of the labels, in their order. */
  readonly labels: readonly string[]
  readonly value: number
}

export type Readings = Partial<Record<MetricKey, readonly Reading[]>>

const STATES = ['idle', 'up', 'failing'] as const

/** Asks each source once, so that what is said of one server or database is of one moment. */
export function lookAt(sources: Partial<MetricSources>): Readings {
  const databases = sources.databases?.() ?? []
  const upstreams = sources.upstreams?.() ?? []
  const mcp = sources.mcp?.()
  const audit = sources.audit?.()
  const ofDatabase = (read: (one: (typeof databases)[number]) => number): readonly Reading[] =>
    databases.map((one) => ({ labels: [one.name], value: read(one) }))
  const ofUpstream = (read: (one: (typeof upstreams)[number]) => number): readonly Reading[] =>
    upstreams.map((one) => ({ labels: [one.name], value: read(one) }))
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

/** Of a metric without labels; none where nothing is known. */
export const single = (value: number | undefined): readonly Reading[] =>
  value === undefined ? [] : [{ labels: [], value }]
