import { setTimeout as delay } from 'node:timers/promises'
import type BetterSqlite3 from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { SqliteDatabase } from './database.ts'
import { isBusy, sqliteFault } from './faults.ts'

/** Statements kept prepared; more than the project has, so that only an accident empties the cache. */
const PREPARED_STATEMENTS = 500

/** How long a write waits for the write lock of another process before it is a fault. */
const LONGEST_LOCK_WAIT_MS = 10_000

/**
 * Kysely on better-sqlite3. Three things differ from the dialect that Kysely brings: transactions take
 * the write lock when they begin (a deferred one that reads first and then writes fails with SQLITE_BUSY
 * at once, whatever the timeout), waiting for that lock leaves the event loop free, and statements stay
 * prepared.
 */
export function sqliteDialect(database: SqliteDatabase, guard: () => void): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SqliteDriver(database, guard),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  readonly #database: SqliteDatabase

  constructor(database: SqliteDatabase, guard: () => void) {
    this.#database = database
    this.#connection = new SqliteConnection(database, guard)
  }

  async init(): Promise<void> {}

  /** Kysely queues callers: there is one connection, and `SqliteAdapter` says so. */
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk makes SQLite roll back by itself; a second rollback would hide the real fault.
    if (this.#database.inTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#database.close()
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: SqliteDatabase
  readonly #guard: () => void
  readonly #prepared = new Map<string, BetterSqlite3.Statement<unknown[], unknown>>()

  constructor(database: SqliteDatabase, guard: () => void) {
    this.#database = database
    this.#guard = guard
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    this.#guard()
    const giveUpAt = performance.now() + LONGEST_LOCK_WAIT_MS
    for (;;) {
      try {
        return this.#run<R>(query)
      } catch (error) {
        // Inside a transaction the lock is held already, so waiting could only make it worse.
        if (!isBusy(error) || this.#database.inTransaction || performance.now() > giveUpAt) {
          throw sqliteFault(error, this.#database.name)
        }
        await delay(2 + Math.random() * 8)
      }
    }
  }

  /** Not offered: a stream would hold the only connection while its reader is slow. Read pages by key. */
  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the store reads in pages, not in streams')
  }

  #run<R>(query: CompiledQuery): QueryResult<R> {
    const statement = this.#prepare(query.sql)
    if (statement.reader) return { rows: statement.all(...query.parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...query.parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  #prepare(text: string): BetterSqlite3.Statement<unknown[], unknown> {
    const known = this.#prepared.get(text)
    if (known) return known
    const statement = this.#database.prepare<unknown[], unknown>(text)
    if (this.#prepared.size >= PREPARED_STATEMENTS) this.#prepared.clear()
    this.#prepared.set(text, statement)
    return statement
  }
}
