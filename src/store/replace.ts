import BetterSqlite3 from 'better-sqlite3'
import { Kysely, sql, type Transaction } from 'kysely'
import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from '../lib/fault.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { StoreKind } from './kind.ts'
import { lockMigrations, readVersion } from './migrate.ts'
import type { StoreOptions } from './open.ts'
import { IN_USE_KEY } from './postgres/in-use.ts'
import { openOnePostgres } from './postgres/open-one.ts'
import type { StoreSchema } from './schema.ts'
import { makePrivateFile } from './sqlite/database.ts'
import { sqliteDialect } from './sqlite/driver.ts'
import { isBusy, sqliteFault } from './sqlite/faults.ts'

/** A store that nobody else uses, in a transaction that makes another one of it. */
export interface Replacement {
  readonly trx: Transaction<StoreSchema>
  readonly kind: StoreKind
  /** Of what is there now; 0 for nothing. */
  readonly version: number
}

/** A command that looks something up is gone by then; a gateway is not. */
const WAIT_FOR_OTHERS_MS = 2_000
const LOOK_EVERY_MS = 50

/**
 * Runs `work` in one transaction on a store that no other process has open, and keeps others out until it is over. Killed at
 * any moment, it leaves the store as it was, or as `work` made it.
 *
 * @returns `in_use` when a gateway or another command has it open
 * @throws Fault `store_unavailable`, `data_dir_unusable`
 */
export async function replaceStore<T>(
  options: StoreOptions,
  work: (replacement: Replacement) => Promise<T>,
): Promise<Result<T, 'in_use'>> {
  return options.kind === 'sqlite'
    ? await inSqlite(options.file, work)
    : await inPostgres(options.url.reveal(), work)
}

async function inSqlite<T>(
  file: string,
  work: (replacement: Replacement) => Promise<T>,
): Promise<Result<T, 'in_use'>> {
  makePrivateFile(file)
  const database = await openAlone(file)
  if (!database) return err('in_use')
  const db = new Kysely<StoreSchema>({ dialect: sqliteDialect(database, () => {}) })
  try {
    const version = await readVersion(db, 'sqlite')
    const value = await db.transaction().execute((trx) => work({ trx, kind: 'sqlite', version }))
    return ok(value)
  } finally {
    await db.destroy()
  }
}

/**
 * A connection in WAL mode holds a shared lock on the file for as long as it is open, and one in exclusive mode holds the
 * opposite (https://sqlite.org/wal.html#noshm): so this finds every other process, also an idle one, and the system
 * takes the lock from one that was killed.
 */
async function openAlone(file: string): Promise<BetterSqlite3.Database | undefined> {
  const giveUpAt = performance.now() + WAIT_FOR_OTHERS_MS
  for (;;) {
    const database = new BetterSqlite3(file, { timeout: 0 })
    try {
      database.pragma('locking_mode = EXCLUSIVE')
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = FULL')
      // Tables are dropped and made anew; what refers to what is checked when they are full.
      database.pragma('foreign_keys = OFF')
      database.exec('begin exclusive; commit')
      return database
    } catch (error) {
      database.close()
      if (!isBusy(error)) throw damaged(error, file)
      if (performance.now() > giveUpAt) return undefined
      await delay(LOOK_EVERY_MS)
    }
  }
}

function damaged(error: unknown, file: string): unknown {
  if (!(error instanceof BetterSqlite3.SqliteError) || !/^SQLITE_(NOTADB|CORRUPT)/.test(error.code))
    return sqliteFault(error, file)
  return new Fault(
    'store_unavailable',
    `the file ${file} is damaged, or no SQLite database, and cannot be replaced in one step: stop Postern, move the ` +
      `file and those beside it (${file}-wal, ${file}-shm) elsewhere, and restore again`,
    { cause: error },
  )
}

class InUse extends Error {}

async function inPostgres<T>(
  url: string,
  work: (replacement: Replacement) => Promise<T>,
): Promise<Result<T, 'in_use'>> {
  const db = openOnePostgres(url, 'postern-restore', { keepAlive: true })
  try {
    const value = await db.transaction().execute(async (trx) => {
      await waitForOthers(trx)
      // Of a session that does not know of the lock, such as somebody's psql.
      await sql`set local lock_timeout = '10s'`.execute(trx)
      await lockMigrations(trx, 'postgres')
      return await work({ trx, kind: 'postgres', version: await readVersion(trx, 'postgres') })
    })
    return ok(value)
  } catch (error) {
    if (error instanceof InUse) return err('in_use')
    throw error
  } finally {
    await db.destroy()
  }
}

async function waitForOthers(trx: Transaction<StoreSchema>): Promise<void> {
  const giveUpAt = performance.now() + WAIT_FOR_OTHERS_MS
  for (;;) {
    const { rows } = await sql<{ free: boolean }>`select
      pg_try_advisory_xact_lock(${sql.lit(IN_USE_KEY)}) as free`.execute(trx)
    if (rows[0]?.free === true) return
    if (performance.now() > giveUpAt) throw new InUse()
    await delay(LOOK_EVERY_MS)
  }
}
