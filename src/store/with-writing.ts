import type { Kysely } from 'kysely'
import type { StoreOptions } from './open.ts'
import { openOnePostgres } from './postgres/open-one.ts'
import type { StoreSchema } from './schema.ts'
import { openSqliteConnection } from './sqlite/connection.ts'

/** One connection to a store that is there, for a moment. Brings no schema up to date and follows no changes. */
export async function withWriting<T>(
  options: StoreOptions,
  work: (db: Kysely<StoreSchema>) => Promise<T>,
): Promise<T> {
  const db =
    options.kind === 'sqlite'
      ? openSqliteConnection(options.file)
      : openOnePostgres(options.url.reveal(), 'postern', { statement_timeout: 30_000 })
  try {
    return await work(db)
  } finally {
    await db.destroy()
  }
}
