import { type Refusal, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Allowed } from '../identity/grant.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { CatalogueRow } from './catalogue-row.ts'
import type { Databases } from './database.ts'
import type { Gate } from './gate/judge.ts'
import type { DatabaseContext, DatabaseOptions } from './options.ts'
import { databaseReach } from './reach.ts'
import { ServedDatabase } from './served-database.ts'
import type { DatabaseStatus } from './status.ts'
import type { TenantView } from './tenancy/tenancy.ts'

export type { CatalogueRow } from './catalogue-row.ts'
export type { DatabaseContext, DatabaseLimits, DatabaseOptions } from './options.ts'
export type { DatabaseStatus } from './status.ts'

/** The databases, open for use. */
export interface OpenDatabases extends Databases {
  /** In the order of configuration. */
  status(): DatabaseStatus[]
  /** In a protected database, callers have the rights of these groups; `null`: those of the role of `catalogueQuery`. */
  tenantView(database: string): TenantView | null
  /**
   * Runs a query that Postern itself wrote on its own read-only connection; never text from a caller.
   * Throws `Fault` (`database_unavailable`) when the database is away.
   */
  catalogueQuery(database: string, sql: string, params?: readonly unknown[]): Promise<CatalogueRow[]>
  /** Ends every connection, running statements included. */
  close(): Promise<void>
}

/**
 * Opens the configured databases. Returns without waiting for them: one that is away is looked for in the
 * background, and calls to it are answered with a fault meanwhile.
 */
export function openDatabases(
  options: readonly DatabaseOptions[],
  context: DatabaseContext & { readonly gate: Gate },
): Promise<OpenDatabases> {
  const names = options.map(({ name }) => name)
  const served = new Map(options.map((each) => [each.name, new ServedDatabase(each, context.gate, context)]))
  for (const database of served.values()) database.start()

  const reach = databaseReach(options)
  const resolve = (caller: Caller, name: string | undefined): Result<string, Refusal> =>
    resolveDatabase(names, reach(caller.grant), name)

  return Promise.resolve({
    names,
    reach,
    resolve,
    async run(statement) {
      const name = resolve(statement.caller, statement.database)
      if (!name.ok) return name
      const database = served.get(name.value)
      return database === undefined ? err(notConfigured(name.value)) : database.run(statement)
    },
    async stream(statement) {
      const name = resolve(statement.caller, statement.database)
      if (!name.ok) return name
      const database = served.get(name.value)
      return database === undefined ? err(notConfigured(name.value)) : database.stream(statement)
    },
    status: () => [...served.values()].map((database) => database.status()),
    tenantView: (name) => served.get(name)?.tenantView ?? null,
    async catalogueQuery(name, sql, params) {
      const database = served.get(name)
      if (database === undefined) throw new TypeError(`there is no database "${name}"`)
      return database.catalogueQuery(sql, params)
    },
    async close() {
      await Promise.all([...served.values()].map((database) => database.close()))
    },
  })
}

const notConfigured = (name: string): Refusal =>
  refusal('not_found', 'database', `there is no database "${name}"`)

/** A name that the caller may not use is refused alike whether there is such a database or not. */
function resolveDatabase(
  names: readonly string[],
  reach: Allowed,
  name: string | undefined,
): Result<string, Refusal> {
  const allowed = reach === 'all' ? names : reach
  const wanted = name ?? allowed[0]
  if (wanted === undefined) {
    return err(
      names.length === 0
        ? refusal('not_found', 'database', 'no database is configured')
        : refusal('database_not_allowed', 'database', 'this credential may use no database'),
    )
  }
  if (reach !== 'all' && !allowed.includes(wanted)) {
    return err(
      refusal('database_not_allowed', 'database', `database "${wanted}" is not open to this credential`, {
        allowed: `databases ${allowed.join(', ')}`,
        candidates: allowed,
      }),
    )
  }
  if (names.includes(wanted)) return ok(wanted)
  return err({ ...notConfigured(wanted), candidates: allowed.filter((each) => names.includes(each)) })
}
