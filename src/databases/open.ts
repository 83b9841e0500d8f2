import type { Databases } from './database.ts'
import type { DatabaseStatus } from './status.ts'

export type { DatabaseContext, DatabaseLimits, DatabaseOptions } from './options.ts'
export type { DatabaseStatus } from './status.ts'

/** One row of Postern's own catalogue queries, by column name; values as in `Rows`. */
export type CatalogueRow = Readonly<Record<string, unknown>>

/** The databases, open for use. */
export interface OpenDatabases extends Databases {
  /** In the order of configuration. */
  status(): DatabaseStatus[]
  /**
   * Runs a query that Postern itself wrote on its own read-only connection; never text from a caller.
   * Throws `Fault` (`database_unavailable`) when the database is away.
   */
  catalogueQuery(database: string, sql: string, params?: readonly unknown[]): Promise<CatalogueRow[]>
  /** Ends every connection, running statements included. */
  close(): Promise<void>
}
