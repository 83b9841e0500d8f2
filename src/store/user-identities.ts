import type { Kysely, Selectable } from 'kysely'
import type { StoreSchema, UserIdentitiesTable } from './schema.ts'

/** An account of a provider, as its issuer and its subject name it (OpenID Connect Core 1.0 §2, `sub`). */
export interface ProviderAccount {
  readonly issuer: string
  readonly subject: string
}

export interface UserIdentityRow extends ProviderAccount {
  /** Of a user who may be deleted, or gone altogether. */
  readonly userId: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

export async function findUserIdentity(
  db: Kysely<StoreSchema>,
  { issuer, subject }: ProviderAccount,
): Promise<UserIdentityRow | undefined> {
  const row = await db
    .selectFrom('user_identities')
    .selectAll()
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return row && fromColumns(row)
}

/** A page of all of them, or of those of one user, by issuer and subject. */
export async function listUserIdentities(
  db: Kysely<StoreSchema>,
  userId: string | undefined,
  limit: number,
): Promise<readonly UserIdentityRow[]> {
  let query = db.selectFrom('user_identities').selectAll()
  if (userId !== undefined) query = query.where('user_id', '=', userId)
  return (await query.orderBy('issuer').orderBy('subject').limit(limit).execute()).map(fromColumns)
}

/** @throws whatever the engine throws for an account that is linked: look first, inside `change('users')` */
export async function insertUserIdentity(db: Kysely<StoreSchema>, row: UserIdentityRow): Promise<void> {
  await db
    .insertInto('user_identities')
    .values({ issuer: row.issuer, subject: row.subject, user_id: row.userId, created_at: row.createdAt })
    .execute()
}

/** Answers whether there was one. */
export async function deleteUserIdentity(
  db: Kysely<StoreSchema>,
  { issuer, subject }: ProviderAccount,
): Promise<boolean> {
  const row = await db
    .deleteFrom('user_identities')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .returning('subject')
    .executeTakeFirst()
  return row !== undefined
}

const fromColumns = (row: Selectable<UserIdentitiesTable>): UserIdentityRow => ({
  issuer: row.issuer,
  subject: row.subject,
  userId: row.user_id,
  createdAt: row.created_at,
})
