import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

/** Answers whether this call redeemed it: of two at once, on whatever replica, one does. */
export async function redeemState(
  db: Kysely<StoreSchema>,
  stateHash: string,
  expiresAt: number,
): Promise<boolean> {
  const row = await db
    .insertInto('redeemed_states')
    .values({ state_hash: stateHash, expires_at: expiresAt })
    .onConflict((conflict) => conflict.column('state_hash').doNothing())
    .returning('state_hash')
    .executeTakeFirst()
  return row !== undefined
}

export async function deleteRedeemedStatesBefore(db: Kysely<StoreSchema>, before: number): Promise<void> {
  await db.deleteFrom('redeemed_states').where('expires_at', '<', before).execute()
}
