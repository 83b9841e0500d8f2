import { sql, type Transaction } from 'kysely'
import type { StoreSchema } from '../store/schema.ts'

/** Credentials that the store before had ended, and that would have come back to life. */
export interface KeptRevocations {
  readonly tokens: number
  readonly users: number
}

/**
 * Sets aside, within the transaction, which credentials were ended. Only what is written there counts: a token that the
 * store does not know may have been lost with it.
 *
 * @param tables of the store that is replaced: none, or from before there were users
 */
export async function setRevocationsAside(
  trx: Transaction<StoreSchema>,
  tables: readonly { readonly name: string }[],
): Promise<void> {
  const has = (name: string): boolean => tables.some((table) => table.name === name)
  await sql`create temporary table ended_tokens
    (id text primary key, revoked_at bigint, expires_at bigint)`.execute(trx)
  await sql`create temporary table ended_users
    (id text primary key, deleted_at bigint, disabled_at bigint)`.execute(trx)
  if (has('tokens'))
    await sql`insert into ended_tokens select id, revoked_at, expires_at from tokens
      where revoked_at is not null or expires_at is not null`.execute(trx)
  if (has('users'))
    await sql`insert into ended_users select id, deleted_at, disabled_at from users
      where deleted_at is not null or disabled_at is not null`.execute(trx)
}

/**
 * Ends in the restored store what was ended in the one before, so that going back to a backup brings no removed token and
 * no deleted user back to life.
 */
export async function keepRevocations(
  trx: Transaction<StoreSchema>,
  revision: { readonly tokens: number; readonly users: number },
): Promise<KeptRevocations> {
  const tokens = await sql`update tokens set revision = ${revision.tokens},
      revoked_at = (select e.revoked_at from ended_tokens as e where e.id = tokens.id)
    where revoked_at is null
      and id in (select e.id from ended_tokens as e where e.revoked_at is not null)`.execute(trx)
  // A rotation with a grace brings the end of a token forward.
  await sql`update tokens set revision = ${revision.tokens},
      expires_at = (select e.expires_at from ended_tokens as e where e.id = tokens.id)
    where exists (select 1 from ended_tokens as e where e.id = tokens.id
      and e.expires_at < coalesce(tokens.expires_at, e.expires_at + 1))`.execute(trx)
  const deleted = await sql`update users set revision = ${revision.users},
      name_shape = null, email = null, password_hash = '',
      deleted_at = (select e.deleted_at from ended_users as e where e.id = users.id)
    where deleted_at is null
      and id in (select e.id from ended_users as e where e.deleted_at is not null)`.execute(trx)
  const disabled = await sql`update users set revision = ${revision.users},
      disabled_at = (select e.disabled_at from ended_users as e where e.id = users.id)
    where deleted_at is null and disabled_at is null
      and id in (select e.id from ended_users as e where e.disabled_at is not null)`.execute(trx)
  await sql`drop table ended_tokens`.execute(trx)
  await sql`drop table ended_users`.execute(trx)
  return {
    tokens: Number(tokens.numAffectedRows ?? 0),
    users: Number(deleted.numAffectedRows ?? 0) + Number(disabled.numAffectedRows ?? 0),
  }
}
