import type { DatabaseContext, DatabaseOptions } from '../../src/databases/options.ts'
import { openDatabases, type OpenDatabases } from '../../src/databases/open.ts'
import type { Rows, Statement } from '../../src/databases/database.ts'
import type { Gate, Judged } from '../../src/databases/gate/judge.ts'
import type { Refusal } from '../../src/access/refusal.ts'
import type { Caller } from '../../src/identity/caller.ts'
import type { Level } from '../../src/identity/grant.ts'
import { Lifelines } from '../../src/identity/lifelines.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { ok, type Result } from '../../src/lib/result.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Observation } from '../../src/observe/observation.ts'

/**
 * A gate that lets everything through, so that the walls behind it are tested alone: what they hold, they
 * hold without the gate's help. A statement's comment says how it is to be judged:
 * `write`, `careful` (a read of which nothing is proven), otherwise a read that leaves nothing.
 */
export const openGate: Gate = {
  judge: (sql, _catalogue, options) => {
    const note = /\/\*(.*?)\*\//.exec(sql)?.[1]?.trim() ?? ''
    const write = note.startsWith('write') && options?.writes === true
    const judged: Judged = {
      statement: /ddl/.test(note) ? 'CreateStmt' : 'SelectStmt',
      access: write ? 'write' : 'read',
      explain: false,
      leavesNothing: note === '',
      sessionState: note.includes('session'),
      relations: [],
      sql,
    }
    return ok(judged)
  },
}

export const callerOf = (id: string, level: Level = 'read-only'): Caller => ({
  principal: { kind: 'service', id: `owner of ${id}`, name: id },
  credential: { id, kind: 'issued', name: id, createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level, scopes: 'all', servers: 'all', databases: 'all' },
})

export interface Harness {
  readonly databases: OpenDatabases
  readonly lifelines: Lifelines
  readonly observations: Observation[]
  run(caller: Caller, sql: string, more?: Partial<Statement>): Promise<Result<Rows, Refusal>>
  /** The rows; throws when the statement was refused. */
  rows(caller: Caller, sql: string, more?: Partial<Statement>): Promise<readonly (readonly unknown[])[]>
  /** The refusal; throws when there was none. */
  refusal(caller: Caller, sql: string, more?: Partial<Statement>): Promise<Refusal>
}

/** Database options from a URL, with limits that suit a test. */
export function optionsOf(url: string, more: Partial<DatabaseOptions> = {}): DatabaseOptions {
  const { hostname, port, pathname, username, password } = new URL(url)
  return {
    name: 'main',
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: username,
    password: new Secret(decodeURIComponent(password)),
    sslmode: 'disable',
    writer: null,
    allowSuperuser: false,
    maxConnectionsPerCredential: 4,
    maxConnections: 10,
    idleTimeoutMs: 60_000,
    acquireTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 10_000,
    ...more,
  }
}

export async function openHarness(
  options: readonly DatabaseOptions[],
  more: Partial<DatabaseContext> & { gate?: Gate } = {},
): Promise<Harness> {
  const lifelines = new Lifelines()
  const observations: Observation[] = []
  const databases = await openDatabases(options, {
    gate: openGate,
    lifelines,
    clock: systemClock,
    observe: (observation) => observations.push(observation),
    limits: {
      rows: 1_000,
      resultBytes: 1_000_000,
      streamRows: 0,
      streamTimeMs: 60_000,
      sessionsPerCredential: 3,
      sessionIdleMs: 60_000,
    },
    ...more,
  })
  const run: Harness['run'] = (caller, sql, statement = {}) =>
    databases.run({ caller, sql, signal: new AbortController().signal, ...statement })
  return {
    databases,
    lifelines,
    observations,
    run,
    async rows(caller, sql, statement) {
      const result = await run(caller, sql, statement)
      if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`)
      return result.value.rows
    },
    async refusal(caller, sql, statement) {
      const result = await run(caller, sql, statement)
      if (result.ok) throw new Error(`not refused: ${JSON.stringify(result.value)}`)
      return result.error
    },
  }
}
