import type { Kysely, Selectable } from 'kysely'
import type { StoreSchema, UsersTable } from './schema.ts'

/** A user as the identity room reads and writes it. Times are milliseconds since the epoch. */
export interface UserRow {
  readonly id: string
  readonly tenant: string
  readonly name: string
  /** `null` once deleted. */
  readonly nameShape: string | null
  readonly email: string | null
  readonly level: string
  readonly passwordHash: string
  readonly epoch: number
  readonly createdAt: number
  readonly disabledAt: number | null
  readonly deletedAt: number | null
  readonly revision: number
}

/** @throws whatever the engine throws for a taken id, shape or address: look first, inside `change('users')` */
export async function insertUser(db: Kysely<StoreSchema>, row: UserRow): Promise<void> {
  await db.insertInto('users').values(toColumns(row)).execute()
}

/** Also one that is deleted. */
export async function findUserById(db: Kysely<StoreSchema>, id: string): Promise<UserRow | undefined> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
  return row && fromColumns(row)
}

/** Everybody of all tenants who has this name, or had it until they were deleted, newest first: for the record. */
export async function findUsersEverNamed(
  db: Kysely<StoreSchema>,
  name: string,
  limit: number,
): Promise<readonly UserRow[]> {
  const rows = await db
    .selectFrom('users')
    .selectAll()
    .where('name', '=', name)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

/** Those whose name or address this is, oldest first; of one tenant or of all. */
export async function findUsersByName(
  db: Kysely<StoreSchema>,
  by: { readonly name: string } | { readonly email: string },
  tenant: string | undefined,
  limit: number,
): Promise<readonly UserRow[]> {
  let query = db.selectFrom('users').selectAll().where('deleted_at', 'is', null)
  query = 'name' in by ? query.where('name', '=', by.name) : query.where('email', '=', by.email)
  if (tenant !== undefined) query = query.where('tenant', '=', tenant)
  return (await query.orderBy('id').limit(limit).execute()).map(fromColumns)
}

/**
 * A user of a tenant who has that name's shape or that address already, or whose address is that name: who signs in
 * gives either.
 */
export async function findTakenBy(
  db: Kysely<StoreSchema>,
  tenant: string,
  { name, nameShape, email }: Pick<UserRow, 'name' | 'email'> & { readonly nameShape: string },
  exceptId = '',
): Promise<UserRow | undefined> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where('tenant', '=', tenant)
    .where('id', '!=', exceptId)
    .where('deleted_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('name_shape', '=', nameShape),
        eb('email', '=', name),
        ...(email === null ? [] : [eb('email', '=', email), eb('name', '=', email)]),
      ]),
    )
    .orderBy('id')
    .executeTakeFirst()
  return row && fromColumns(row)
}

/** True when somebody of a tenant may administer it. */
export async function hasAdministrator(db: Kysely<StoreSchema>, tenant: string): Promise<boolean> {
  const row = await db
    .selectFrom('users')
    .select('id')
    .where('tenant', '=', tenant)
    .where('level', '=', 'admin')
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** A page of those who are not deleted, in the order in which they were made. */
export async function listUsers(
  db: Kysely<StoreSchema>,
  tenant: string | undefined,
  afterId: string,
  limit: number,
): Promise<readonly UserRow[]> {
  let query = db.selectFrom('users').selectAll().where('deleted_at', 'is', null).where('id', '>', afterId)
  if (tenant !== undefined) query = query.where('tenant', '=', tenant)
  return (await query.orderBy('id').limit(limit).execute()).map(fromColumns)
}

/** Up to `limit` users written after a revision, by whatever process; deleted ones, too. */
export async function readUsersAfter(
  db: Kysely<StoreSchema>,
  revision: number,
  limit: number,
): Promise<readonly UserRow[]> {
  const rows = await db
    .selectFrom('users')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

/** Writes a row that was read in the same transaction. */
export async function updateUser(db: Kysely<StoreSchema>, row: UserRow): Promise<void> {
  await db.updateTable('users').set(toColumns(row)).where('id', '=', row.id).execute()
}

/** Puts the same password's hash with other parameters in place, unless the password was changed meanwhile. */
export async function replacePasswordHash(
  db: Kysely<StoreSchema>,
  id: string,
  before: string,
  after: string,
): Promise<void> {
  await db
    .updateTable('users')
    .set({ password_hash: after })
    .where('id', '=', id)
    .where('password_hash', '=', before)
    .execute()
}

/** What deleting a user writes, for all of a tenant; answers how many there were. */
export async function removeUsersOfTenant(
  db: Kysely<StoreSchema>,
  tenant: string,
  now: number,
  revision: number,
): Promise<number> {
  const updated = await db
    .updateTable('users')
    .set((eb) => ({
      name_shape: null,
      email: null,
      password_hash: '',
      epoch: eb('epoch', '+', 1),
      deleted_at: now,
      revision,
    }))
    .where('tenant', '=', tenant)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return Number(updated.numUpdatedRows)
}

export async function deleteUsersDeletedBefore(db: Kysely<StoreSchema>, before: number): Promise<void> {
  await db.deleteFrom('users').where('deleted_at', '<', before).execute()
}

function toColumns(row: UserRow): Selectable<UsersTable> {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    name_shape: row.nameShape,
    email: row.email,
    level: row.level,
    password_hash: row.passwordHash,
    epoch: row.epoch,
    created_at: row.createdAt,
    disabled_at: row.disabledAt,
    deleted_at: row.deletedAt,
    revision: row.revision,
  }
}

const fromColumns = (row: Selectable<UsersTable>): UserRow => ({
  id: row.id,
  tenant: row.tenant,
  name: row.name,
  nameShape: row.name_shape,
  email: row.email,
  level: row.level,
  passwordHash: row.password_hash,
  epoch: row.epoch,
  createdAt: row.created_at,
  disabledAt: row.disabled_at,
  deletedAt: row.deleted_at,
  revision: row.revision,
})
