import { Kysely, sql } from 'kysely'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Observe } from '../../observe/observation.ts'
import { Announcer } from '../announcer.ts'
import { raiseRevision } from '../changes.ts'
import { migrate } from '../migrate.ts'
import type { Store } from '../store.ts'
import type { StoreSchema } from '../schema.ts'
import { openSqliteDatabase } from './database.ts'
import { sqliteDialect } from './driver.ts'
import { sqliteFault } from './faults.ts'
import { SqliteFeed } from './feed.ts'

export async function openSqliteStore(file: string, clock: Clock, observe: Observe): Promise<Store> {
  let feed: SqliteFeed | undefined
  const guard = (): void => {
    if (feed?.replaced) {
      throw new Fault(
        'store_unavailable',
        'the store file was replaced or deleted while it was in use: restart',
      )
    }
  }
  const database = openSqliteDatabase(file, { neverWaits: true })
  const db = new Kysely<StoreSchema>({ dialect: sqliteDialect(database, guard) })
  const announcer = new Announcer(observe)
  try {
    await migrate(db, 'sqlite')
    feed = new SqliteFeed(file, announcer, clock, observe)
  } catch (error) {
    await db.destroy()
    // The feed reads past the driver, which is what turns errors into faults: a damaged file shows there first.
    throw sqliteFault(error, file)
  }
  const opened = feed
  return {
    db,
    kind: 'sqlite',
    feed: opened,
    async change(topic, work) {
      let revision = 0
      const value = await db.transaction().execute(async (trx) => {
        revision = await raiseRevision(trx, topic)
        return await work(trx, revision)
      })
      announcer.see([{ topic, revision }])
      return value
    },
    async ping() {
      await sql`select 1`.execute(db)
    },
    async close() {
      opened.close()
      await db.destroy()
    },
  }
}
