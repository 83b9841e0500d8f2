import { Kysely } from 'kysely'
import { Pool, type PoolConfig } from 'pg'
import type { StoreSchema } from '../schema.ts'
import { postgresDialect } from './driver.ts'
import { postgresTypes } from './types.ts'

/**
 * A store in PostgreSQL on one connection, for one piece of work beside those that serve. Whoever opens it destroys it.
 *
 * @param name what `pg_stat_activity` shows
 */
export function openOnePostgres(
  url: string,
  name: string,
  options: Pick<PoolConfig, 'keepAlive' | 'statement_timeout'>,
): Kysely<StoreSchema> {
  const pool = new Pool({
    connectionString: url,
    application_name: name,
    max: 1,
    connectionTimeoutMillis: 5_000,
    types: postgresTypes,
    ...options,
  })
  // A connection that is lost is told to whoever runs a query on it.
  pool.on('error', () => undefined)
  return new Kysely<StoreSchema>({ dialect: postgresDialect(pool) })
}
