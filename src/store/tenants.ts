import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export interface TenantRow {
  readonly id: string
  readonly createdAt: number
}

/** Answers whether this call made it: of two at once one does. */
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
  const row = await db.selectFrom('tenants').select('id').where('id', '=', id).executeTakeFirst()
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
    .selectAll()
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ id: row.id, createdAt: row.created_at }))
}
