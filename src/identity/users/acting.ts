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
  { userId, tenant }: Acting,
): Promise<UserRefusal | undefined> {
  if (userId === null) return undefined
  const row = await findUserById(db, userId)
  const isThere = row !== undefined && row.deletedAt === null && row.disabledAt === null
  // A sign-in with a provider can have moved them to another tenant meanwhile.
  if (isThere && row.level === 'admin' && (tenant === undefined || row.tenant === tenant)) return undefined
  return userRefusal('level_too_low', 'level', 'level admin is needed, and this user has it no more')
}
