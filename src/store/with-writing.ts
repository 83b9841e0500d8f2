import { Kysely } from 'kysely'
import { Pool } from 'pg'
import type { StoreOptions } from './open.ts'
import { postgresDialect } from './postgres/driver.ts'
import { postgresTypes } from './postgres/types.ts'
import type { StoreSchema } from './schema.ts'
import { openSqliteConnection } from './sqlite/connection.ts'

/** One connection to a store that is there, for a moment. Brings no schema up to date and follows no changes. */
export async function withWriting<T>(
  options: StoreOptions,
  work: (db: Kysely<StoreSchema>) => Promise<T>,
): Promise<T> {
  const db = options.kind === 'sqlite' ? openSqliteConnection(options.file) : openOne(options.url.reveal())
  try {
    return await work(db)
  } finally {
    await db.destroy()
  }
}

function openOne(url: string): Kysely<StoreSchema> {
  const pool = new Pool({
    connectionString: url,
    application_name: 'postern',
    max: 1,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
    types: postgresTypes,
  })
  pool.on('error', () => undefined)
  return new Kysely<StoreSchema>({ dialect: postgresDialect(pool) })
}
