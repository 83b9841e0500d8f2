import type { Kysely } from 'kysely'
import { insertAuditRows, reserveAuditSeqs } from '../store/audit-rows.ts'
import type { StoreSchema } from '../store/schema.ts'
import { linkEntries, type UnlinkedEntry } from './chain.ts'

/** Puts entries at the end of the chain, all of them or none. */
export type Append = (entries: readonly UnlinkedEntry[]) => Promise<void>

/** Appends on the store's own connection: for PostgreSQL, which waits elsewhere, and for short commands. */
export function appendTo(db: Kysely<StoreSchema>): Append {
  return async (entries) => {
    await db.transaction().execute(async (trx) => {
      const head = await reserveAuditSeqs(trx, entries.length)
      await insertAuditRows(trx, linkEntries(entries, head))
    })
  }
}
