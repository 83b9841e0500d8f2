import { Kysely, sql } from 'kysely'
import { Pool } from 'pg'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Observe } from '../../observe/observation.ts'
import { Announcer } from '../announcer.ts'
import { raiseRevision } from '../changes.ts'
import { migrate } from '../migrate.ts'
import type { Store } from '../store.ts'
import type { StoreSchema } from '../schema.ts'
import { postgresDialect } from './driver.ts'
import { isConflict } from './faults.ts'
import { CHANNEL, PostgresFeed } from './feed.ts'
import { postgresTypes } from './types.ts'

/** Few: the hot path is cached, and every replica takes this many from a server that others use, too. */
const POOL_CONNECTIONS = 4

const CHANGE_ATTEMPTS = 5

export async function openPostgresStore(url: Secret, clock: Clock, observe: Observe): Promise<Store> {
  const pool = new Pool({
    connectionString: url.reveal(),
    application_name: 'postern',
    max: POOL_CONNECTIONS,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
    keepAlive: true,
    types: postgresTypes,
  })
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined)
  const announcer = new Announcer(observe)
  const feed = new PostgresFeed(url, announcer, clock, observe)
  const guard = (): void => {
    if (!feed.restored) return
    throw new Fault('store_unavailable', 'a backup was restored into the store while it was in use: restart')
  }
  const db = new Kysely<StoreSchema>({ dialect: postgresDialect(pool, guard) })
  try {
    await migrate(db, 'postgres')
    await feed.start()
  } catch (error) {
    await db.destroy()
    throw error
  }
  return {
    db,
    kind: 'postgres',
    feed,
    async change(topic, work) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          let revision = 0
          const value = await db.transaction().execute(async (trx) => {
            revision = await raiseRevision(trx, topic)
            const result = await work(trx, revision)
            await sql`select pg_notify(${CHANNEL}, ${topic})`.execute(trx)
            return result
          })
          announcer.see([{ topic, revision }])
          return value
        } catch (error) {
          if (!isConflict(error) || attempt === CHANGE_ATTEMPTS) throw error
        }
      }
    },
    async ping() {
      await sql`select 1`.execute(db)
    },
    async close() {
      await feed.close()
      await db.destroy()
    },
  }
}
