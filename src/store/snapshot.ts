import { existsSync } from 'node:fs'
import { type Kysely, sql } from 'kysely'
import { Fault } from '../lib/fault.ts'
import type { StoreKind } from './kind.ts'
import { LATEST_VERSION, newerStore, readVersion } from './migrate.ts'
import type { StoreOptions } from './open.ts'
import { openOnePostgres } from './postgres/open-one.ts'
import type { StoreSchema } from './schema.ts'
import { openSqliteConnection } from './sqlite/connection.ts'

/** A store as it was at one moment, whoever writes to it meanwhile. */
export interface Snapshot {
  readonly db: Kysely<StoreSchema>
  readonly kind: StoreKind
  readonly version: number
}

/**
 * Lets `work` read everything as of one moment. Nothing is locked and nothing is migrated, so it also reads the store of
 * an older Postern that runs.
 *
 * @throws Fault `store_unavailable`, `store_newer`
 */
export async function withSnapshot<T>(
  options: StoreOptions,
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return options.kind === 'sqlite'
    ? await ofSqlite(options.file, work)
    : await ofPostgres(options.url.reveal(), work)
}

async function ofSqlite<T>(file: string, work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  if (!existsSync(file)) throw nothingThere()
  const db = openSqliteConnection(file)
  try {
    // Deferred: it takes no write lock. In WAL mode what it reads first fixes what it sees.
    await sql`begin`.execute(db)
    return await work(await snapshotOf(db, 'sqlite'))
  } finally {
    await db.destroy()
  }
}

async function ofPostgres<T>(url: string, work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  const db = openOnePostgres(url, 'postern-backup', { keepAlive: true })
  try {
    return await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute(async (trx) => work(await snapshotOf(trx, 'postgres')))
  } finally {
    await db.destroy()
  }
}

async function snapshotOf(db: Kysely<StoreSchema>, kind: StoreKind): Promise<Snapshot> {
  const version = await readVersion(db, kind)
  if (version === 0) throw nothingThere()
  if (version > LATEST_VERSION) throw newerStore(version)
  return { db, kind, version }
}

const nothingThere = (): Fault =>
  new Fault(
    'store_unavailable',
    'there is no store yet: check --config, --data-dir and `store`, or start Postern first',
  )
