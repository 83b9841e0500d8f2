import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export interface RevokedJwtRow {
  readonly jti: string
  /** Milliseconds since the epoch: from then on the row is of no use. */
  readonly expiresAt: number
  readonly revision: number
}

/** Answers whether this call ended it: of two at once one does. */
export async function insertRevokedJwt(db: Kysely<StoreSchema>, row: RevokedJwtRow): Promise<boolean> {
  const written = await db
    .insertInto('revoked_jwts')
    .values({ jti: row.jti, expires_at: row.expiresAt, revision: row.revision })
    .onConflict((conflict) => conflict.column('jti').doNothing())
    .returning('jti')
    .executeTakeFirst()
  return written !== undefined
}

export async function isRevokedJwt(db: Kysely<StoreSchema>, jti: string): Promise<boolean> {
  const row = await db.selectFrom('revoked_jwts').select('jti').where('jti', '=', jti).executeTakeFirst()
  return row !== undefined
}

/** Up to `limit` of them written after a revision, by whatever process. */
export async function readRevokedJwtsAfter(
  db: Kysely<StoreSchema>,
  revision: number,
  limit: number,
): Promise<readonly RevokedJwtRow[]> {
  const rows = await db
    .selectFrom('revoked_jwts')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ jti: row.jti, expiresAt: row.expires_at, revision: row.revision }))
}

export async function deleteRevokedJwtsBefore(db: Kysely<StoreSchema>, before: number): Promise<void> {
  await db.deleteFrom('revoked_jwts').where('expires_at', '<', before).execute()
}
