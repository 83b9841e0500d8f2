import { linkEntries } from '../../src/audit/chain.ts'
import { entryText } from '../../src/audit/entry-text.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { insertAuditRows, reserveAuditSeqs } from '../../src/store/audit-rows.ts'
import { openStore, type StoreOptions } from '../../src/store/open.ts'

/** Puts so many entries into the record of a store that nobody else uses, each of some 500 bytes. */
export async function fillRecord(options: StoreOptions, entries: number): Promise<void> {
  const store = await openStore(options, { clock: systemClock, observe: () => {} })
  try {
    for (let left = entries; left > 0; left -= 5_000) {
      await store.db.transaction().execute(async (trx) => {
        const count = Math.min(5_000, left)
        const head = await reserveAuditSeqs(trx, count)
        const unlinked = Array.from({ length: count }, (_, index) => {
          const at = Date.now()
          const entry = entryText({
            kind: 'execution',
            outcome: 'done',
            at,
            principal: `principal ${index % 100}`,
            credentialId: `tok_${index % 1_000}`,
            tenant: 'default',
            wire: 'rest',
            action: 'sql',
            target: 'x'.repeat(256),
          })
          return { at, entry }
        })
        await insertAuditRows(trx, linkEntries(unlinked, head))
      })
    }
  } finally {
    await store.close()
  }
}
