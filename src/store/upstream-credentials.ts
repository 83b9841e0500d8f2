import type { Kysely, Selectable } from 'kysely'
import type { StoreSchema, UpstreamCredentialsTable } from './schema.ts'

/** Whose credential it is, and for which server. */
export interface UpstreamCredentialKey {
  readonly tenant: string
  readonly principal: string
  readonly server: string
}

export interface UpstreamCredentialRow extends UpstreamCredentialKey {
  /** `null` once it was removed. */
  readonly sealed: string | null
  readonly createdAt: number
  readonly updatedAt: number
  /** Of topic `upstream_credentials`, when the row was written last. */
  readonly revision: number
}

/** Writes a credential in place of the one before; the moment of the first one stays unless that was removed. */
export async function putUpstreamCredential(
  db: Kysely<StoreSchema>,
  key: UpstreamCredentialKey,
  sealed: string,
  now: number,
  revision: number,
): Promise<UpstreamCredentialRow> {
  const before = await findUpstreamCredential(db, key)
  const row = {
    ...key,
    sealed,
    createdAt: before && before.sealed !== null ? before.createdAt : now,
    updatedAt: now,
    revision,
  }
  const columns = toColumns(row)
  await db
    .insertInto('upstream_credentials')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['tenant', 'principal', 'server']).doUpdateSet(columns))
    .execute()
  return row
}

/** Takes the value away; answers whether there was one. */
export async function removeUpstreamCredential(
  db: Kysely<StoreSchema>,
  key: UpstreamCredentialKey,
  now: number,
  revision: number,
): Promise<boolean> {
  const row = await db
    .updateTable('upstream_credentials')
    .set({ sealed: null, updated_at: now, revision })
    .where('tenant', '=', key.tenant)
    .where('principal', '=', key.principal)
    .where('server', '=', key.server)
    .where('sealed', 'is not', null)
    .returning('server')
    .executeTakeFirst()
  return row !== undefined
}

/** The same for all of a tenant. */
export async function removeUpstreamCredentialsOfTenant(
  db: Kysely<StoreSchema>,
  tenant: string,
  now: number,
  revision: number,
): Promise<void> {
  await db
    .updateTable('upstream_credentials')
    .set({ sealed: null, updated_at: now, revision })
    .where('tenant', '=', tenant)
    .where('sealed', 'is not', null)
    .execute()
}

/** Also one that was removed. */
export async function findUpstreamCredential(
  db: Kysely<StoreSchema>,
  key: UpstreamCredentialKey,
): Promise<UpstreamCredentialRow | undefined> {
  const row = await db
    .selectFrom('upstream_credentials')
    .selectAll()
    .where('tenant', '=', key.tenant)
    .where('principal', '=', key.principal)
    .where('server', '=', key.server)
    .executeTakeFirst()
  return row && fromColumns(row)
}

/** Those that are there, in the order of server, tenant and principal. */
export async function listUpstreamCredentials(
  db: Kysely<StoreSchema>,
  filter: Partial<UpstreamCredentialKey>,
  limit: number,
): Promise<readonly UpstreamCredentialRow[]> {
  let query = db.selectFrom('upstream_credentials').selectAll().where('sealed', 'is not', null)
  for (const column of ['tenant', 'principal', 'server'] as const) {
    const value = filter[column]
    if (value !== undefined) query = query.where(column, '=', value)
  }
  const rows = await query.orderBy('server').orderBy('tenant').orderBy('principal').limit(limit).execute()
  return rows.map(fromColumns)
}

/** Up to `limit` rows written after a revision, by whatever process; removed ones, too. */
export async function readUpstreamCredentialsAfter(
  db: Kysely<StoreSchema>,
  revision: number,
  limit: number,
): Promise<readonly UpstreamCredentialRow[]> {
  const rows = await db
    .selectFrom('upstream_credentials')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

function toColumns(row: UpstreamCredentialRow): Selectable<UpstreamCredentialsTable> {
  return {
    tenant: row.tenant,
    principal: row.principal,
    server: row.server,
    sealed: row.sealed,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
    revision: row.revision,
  }
}

const fromColumns = (row: Selectable<UpstreamCredentialsTable>): UpstreamCredentialRow => ({
  tenant: row.tenant,
  principal: row.principal,
  server: row.server,
  sealed: row.sealed,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  revision: row.revision,
})
