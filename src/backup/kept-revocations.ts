import { sql, type Transaction } from 'kysely'
import type { StoreSchema } from '../store/schema.ts'
import type { StoredTable } from '../store/tables-at.ts'

/** Credentials that the store before had ended, and that would have come back to life. */
export interface KeptRevocations {
  readonly tokens: number
  readonly users: number
  readonly tenants: number
}

/** What marks the rows that are changed. */
export interface Revisions {
  readonly tokens: number
  readonly users: number
  readonly tenants: number
  readonly upstreamCredentials: number
}

/**
 * Sets aside, within the transaction, which credentials were ended. Only what is written there counts: a token that the
 * store does not know may have been lost with it.
 *
 * @param tables of the store that is replaced: none, or from before there were users
 */
export async function setRevocationsAside(
  trx: Transaction<StoreSchema>,
  tables: readonly StoredTable[],
): Promise<void> {
  const has = (name: string, column = 'id'): boolean =>
    tables.some((table) => table.name === name && table.columns.includes(column))
  await sql`create temporary table ended_tokens
    (id text primary key, revoked_at bigint, expires_at bigint)`.execute(trx)
  await sql`create temporary table ended_users
    (id text primary key, deleted_at bigint, disabled_at bigint)`.execute(trx)
  await sql`create temporary table ended_tenants
    (id text primary key, created_at bigint, deleted_at bigint)`.execute(trx)
  if (has('tokens'))
    await sql`insert into ended_tokens select id, revoked_at, expires_at from tokens
      where revoked_at is not null or expires_at is not null`.execute(trx)
  if (has('users'))
    await sql`insert into ended_users select id, deleted_at, disabled_at from users
      where deleted_at is not null or disabled_at is not null`.execute(trx)
  if (has('tenants', 'deleted_at'))
    await sql`insert into ended_tenants select id, created_at, deleted_at from tenants
      where deleted_at is not null`.execute(trx)
}

/**
 * Ends in the restored store what was ended in the one before, so that going back to a backup brings no removed token, no
 * deleted user and no deleted tenant back to life.
 */
export async function keepRevocations(
  trx: Transaction<StoreSchema>,
  revisions: Revisions,
): Promise<KeptRevocations> {
  const tenants = await keepTenants(trx, revisions)
  const tokens = await keepTokens(trx, revisions.tokens)
  const users = await keepUsers(trx, revisions.users)
  for (const table of ['ended_tokens', 'ended_users', 'ended_tenants'])
    await sql`drop table ${sql.table(table)}`.execute(trx)
  return { tokens, users, tenants }
}

/** Also one that the backup does not know: the id of a deleted tenant is never taken again. */
async function keepTenants(trx: Transaction<StoreSchema>, revisions: Revisions): Promise<number> {
  await sql`insert into tenants (id, created_at, deleted_at, revision)
    select e.id, e.created_at, e.deleted_at, ${sql.lit(revisions.tenants)} from ended_tenants as e
    where e.id not in (select id from tenants)`.execute(trx)
  const deleted = await sql`update tenants set revision = ${revisions.tenants},
      deleted_at = (select e.deleted_at from ended_tenants as e where e.id = tenants.id)
    where deleted_at is null and id in (select e.id from ended_tenants as e)`.execute(trx)
  await sql`update tokens set revision = ${revisions.tokens},
      revoked_at = (select e.deleted_at from ended_tenants as e where e.id = tokens.tenant)
    where revoked_at is null and tenant in (select e.id from ended_tenants as e)`.execute(trx)
  await sql`update users set revision = ${revisions.users}, name_shape = null, email = null, password_hash = '',
      deleted_at = (select e.deleted_at from ended_tenants as e where e.id = users.tenant)
    where deleted_at is null and tenant in (select e.id from ended_tenants as e)`.execute(trx)
  await sql`update upstream_credentials set revision = ${revisions.upstreamCredentials}, sealed = null
    where sealed is not null and tenant in (select e.id from ended_tenants as e)`.execute(trx)
  return Number(deleted.numAffectedRows ?? 0)
}

async function keepTokens(trx: Transaction<StoreSchema>, revision: number): Promise<number> {
  const revoked = await sql`update tokens set revision = ${revision},
      revoked_at = (select e.revoked_at from ended_tokens as e where e.id = tokens.id)
    where revoked_at is null
      and id in (select e.id from ended_tokens as e where e.revoked_at is not null)`.execute(trx)
  // A rotation with a grace brings the end of a token forward.
  await sql`update tokens set revision = ${revision},
      expires_at = (select e.expires_at from ended_tokens as e where e.id = tokens.id)
    where exists (select 1 from ended_tokens as e where e.id = tokens.id
      and e.expires_at < coalesce(tokens.expires_at, e.expires_at + 1))`.execute(trx)
  return Number(revoked.numAffectedRows ?? 0)
}

async function keepUsers(trx: Transaction<StoreSchema>, revision: number): Promise<number> {
  const deleted = await sql`update users set revision = ${revision},
      name_shape = null, email = null, password_hash = '',
      deleted_at = (select e.deleted_at from ended_users as e where e.id = users.id)
    where deleted_at is null
      and id in (select e.id from ended_users as e where e.deleted_at is not null)`.execute(trx)
  const disabled = await sql`update users set revision = ${revision},
      disabled_at = (select e.disabled_at from ended_users as e where e.id = users.id)
    where deleted_at is null and disabled_at is null
      and id in (select e.id from ended_users as e where e.disabled_at is not null)`.execute(trx)
  return Number(deleted.numAffectedRows ?? 0) + Number(disabled.numAffectedRows ?? 0)
}
