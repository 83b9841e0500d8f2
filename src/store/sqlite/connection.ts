import { Kysely } from 'kysely'
import type { StoreSchema } from '../schema.ts'
import { openSqliteDatabase } from './database.ts'
import { sqliteDialect } from './driver.ts'

/** One more connection to a store that is open already, for a thread of its own. Brings no schema up to date. */
export function openSqliteConnection(file: string): Kysely<StoreSchema> {
  return new Kysely<StoreSchema>({ dialect: sqliteDialect(openSqliteDatabase(file), () => undefined) })
}
