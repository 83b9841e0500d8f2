import { type Kysely, sql, type Transaction } from 'kysely'
import { Fault } from '../lib/fault.ts'
import type { StoreKind } from './kind.ts'
import { migrations } from './migrations/index.ts'
import type { Migration } from './migrations/migration.ts'
import type { StoreSchema } from './schema.ts'

/** A fixed number of our own, so that PostgreSQL's advisory lock meets only other Posterns. */
const POSTGRES_LOCK_KEY = 7_067_203_311

/** The newest schema version that this Postern knows. */
export const LATEST_VERSION = migrations.at(-1)?.version ?? 0

/**
 * Applies what is missing, all of it in one transaction. Of several processes that start at once the
 * first one migrates; the others wait for the lock and then find nothing to do.
 *
 * @throws Fault `store_newer` when the store was written by a newer Postern
 */
export async function migrate(
  db: Kysely<StoreSchema>,
  kind: StoreKind,
  steps: readonly Migration[] = migrations,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await lockMigrations(trx, kind)
    await migrateWithin(trx, kind, steps)
  })
}

/** Until the end of the transaction nobody else changes the schema. SQLite has the write lock for it. */
export async function lockMigrations(trx: Transaction<StoreSchema>, kind: StoreKind): Promise<void> {
  if (kind === 'postgres') await sql`select pg_advisory_xact_lock(${sql.lit(POSTGRES_LOCK_KEY)})`.execute(trx)
}

/** The same within a transaction that has the lock. */
export async function migrateWithin(
  trx: Transaction<StoreSchema>,
  kind: StoreKind,
  steps: readonly Migration[] = migrations,
): Promise<void> {
  await sql`create table if not exists schema_migrations (
      version integer primary key,
      name text not null
    )`.execute(trx)
  const current = await currentVersion(trx)
  const latest = steps.at(-1)?.version ?? 0
  if (current > latest) throw newerStore(current, latest)
  for (const step of steps) {
    if (step.version <= current) continue
    await step.up(trx, kind)
    await sql`insert into schema_migrations (version, name) values (${step.version}, ${step.name})`.execute(
      trx,
    )
  }
}

export function newerStore(current: number, latest = LATEST_VERSION): Fault {
  return new Fault(
    'store_newer',
    `the store has schema version ${current}, this Postern knows versions up to ${latest}: ` +
      'start the newer Postern that wrote it, or restore a backup from before the upgrade',
  )
}

/** The schema version of a store that may have none yet: 0. */
export async function readVersion(db: Kysely<StoreSchema>, kind: StoreKind): Promise<number> {
  const { rows } = await (
    kind === 'sqlite'
      ? sql`select 1 from sqlite_master where name = 'schema_migrations'`
      : sql`select 1 where to_regclass('schema_migrations') is not null`
  ).execute(db)
  return rows.length === 0 ? 0 : await currentVersion(db)
}

async function currentVersion(db: Kysely<StoreSchema>): Promise<number> {
  const { rows } = await sql<{
    version: number | null
  }>`select max(version) as version from schema_migrations`.execute(db)
  return rows[0]?.version ?? 0
}
