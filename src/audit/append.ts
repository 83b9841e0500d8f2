import type { Kysely } from 'kysely'
import { insertAuditRows, reserveAuditSeqs } from '../store/audit-rows.ts'
import type { StoreSchema } from '../store/schema.ts'
import { linkEntries } from './chain.ts'
import { entriesOf, type EntryPage } from './entry-pages.ts'

/** Puts the entries of a page at the end of the chain, all of them or none. */
export type Append = (page: EntryPage) => Promise<void>

/** Appends on the store's own connection: for PostgreSQL, which waits elsewhere, and for short commands. */
export function appendTo(db: Kysely<StoreSchema>): Append {
  return async (page) => {
    await db.transaction().execute(async (trx) => {
      const head = await reserveAuditSeqs(trx, page.count)
      await insertAuditRows(trx, linkEntries(entriesOf(page), head))
    })
  }
}
