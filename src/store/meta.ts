import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export async function readMeta(db: Kysely<StoreSchema>, key: string): Promise<string | undefined> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
  return row?.value
}

/**
 * Sets a key unless it is set, and answers whether this call did. Of several at once exactly one is told
 * yes: the others wait for its transaction to end.
 */
export async function claimMeta(db: Kysely<StoreSchema>, key: string, value: string): Promise<boolean> {
  const row = await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .returning('key')
    .executeTakeFirst()
  return row !== undefined
}
