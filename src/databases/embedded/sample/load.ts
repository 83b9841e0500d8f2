import type { Client } from 'pg'
import { protectSample } from './protection.ts'
import { SAMPLE_ROWS } from './rows.ts'
import { SAMPLE_TABLES } from './tables.ts'
import { SAMPLE_VIEWS } from './views.ts'

/** Raised whenever the sample changes, so that a data directory of an older Postern is filled anew. */
export const SAMPLE_VERSION = 2

/**
 * Fills an empty database with the sample, in one transaction. Nobody but tenants and the superuser may read it.
 *
 * @param client connected as the superuser, who will own the tables
 */
export async function loadSample(client: Client): Promise<void> {
  await client.query(
    `SET search_path = public; SET timezone = 'UTC'; SET synchronous_commit = off; SET jit = off`,
  )
  await client.query('BEGIN')
  try {
    await client.query(SAMPLE_TABLES)
    // Checking 200,000 foreign keys one by one takes most of the time; a test checks that they all hold.
    await client.query('SET LOCAL session_replication_role = replica')
    await client.query(SAMPLE_ROWS)
    await client.query('SET LOCAL session_replication_role = origin')
    await client.query(SAMPLE_VIEWS)
    await protectSample(client)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
  await client.query('ANALYZE')
}
