import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export interface TenantRow {
  readonly id: string
  readonly createdAt: number
}

/** Answers whether this call made it: of two at once one does. The id of a deleted one is taken, too. */
export async function insertTenant(db: Kysely<StoreSchema>, { id, createdAt }: TenantRow): Promise<boolean> {
  const row = await db
    .insertInto('tenants')
    .values({ id, created_at: createdAt })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export async function hasTenant(db: Kysely<StoreSchema>, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('tenants')
    .select('id')
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return row !== undefined
}

export async function isDeletedTenant(db: Kysely<StoreSchema>, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('tenants')
    .select('id')
    .where('id', '=', id)
    .where('deleted_at', 'is not', null)
    .executeTakeFirst()
  return row !== undefined
}

/** A page in the order of ids. */
export async function listTenants(
  db: Kysely<StoreSchema>,
  afterId: string,
  limit: number,
): Promise<readonly TenantRow[]> {
  const rows = await db
    .selectFrom('tenants')
    .select(['id', 'created_at'])
    .where('id', '>', afterId)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ id: row.id, createdAt: row.created_at }))
}

/** Marks it as deleted, for ever; `undefined` where there is none, or none any more. */
export async function markTenantDeleted(
  db: Kysely<StoreSchema>,
  id: string,
  now: number,
  revision: number,
): Promise<TenantRow | undefined> {
  const row = await db
    .updateTable('tenants')
    .set({ deleted_at: now, revision })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returning(['id', 'created_at'])
    .executeTakeFirst()
  return row && { id: row.id, createdAt: row.created_at }
}

/** Tenants that were deleted after a revision of topic `tenants`, by whatever process. One of them has one row. */
export async function readDeletedTenantsAfter(
  db: Kysely<StoreSchema>,
  revision: number,
): Promise<readonly { readonly id: string; readonly revision: number }[]> {
  return await db
    .selectFrom('tenants')
    .select(['id', 'revision'])
    .where('revision', '>', revision)
    .where('deleted_at', 'is not', null)
    .orderBy('revision')
    .execute()
}
