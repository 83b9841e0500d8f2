import type { Kysely } from 'kysely'
import type { StoreSchema } from '../../store/open.ts'
import { findUserById } from '../../store/users.ts'
import type { Acting } from './user.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'

/**
 * Looks again, in the transaction that writes: of two administrators who delete each other at once, the one who came
 * second is none any more.
 */
export async function refuseActing(
  db: Kysely<StoreSchema>,
  { userId }: Acting,
): Promise<UserRefusal | undefined> {
  if (userId === null) return undefined
  const row = await findUserById(db, userId)
  if (row && row.deletedAt === null && row.disabledAt === null && row.level === 'admin') return undefined
  return userRefusal('level_too_low', 'level', 'level admin is needed, and this user has it no more')
}
