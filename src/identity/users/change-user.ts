import type { Kysely } from 'kysely'
import { err, ok, type Result } from '../../lib/result.ts'
import type { StoreSchema } from '../../store/open.ts'
import { listUserIdentities } from '../../store/user-identities.ts'
import { findTakenBy, findUserById, updateUser, type UserRow } from '../../store/users.ts'
import { refuseActing } from './acting.ts'
import { takenBy } from './add-user.ts'
import { hashNewPassword } from './new-password.ts'
import { type Acting, LEVEL_OF_ROLE, type UserChange, type Users } from './user.ts'
import { readEmail } from './user-name.ts'
import { userOfRow } from './user-of-row.ts'
import type { UserPlaces } from './user-places.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'

export const noSuchUser = (): UserRefusal =>
  userRefusal('not_found', 'user.id', 'there is no user with that id', {
    allowed: 'an id from the list of users',
  })

/** Oneself: an administrator who is none any more by mistake cannot take it back. */
const oneself = (what: string): UserRefusal =>
  userRefusal('invalid_arguments', 'user.oneself', `nobody can ${what} their own user`, {
    allowed: 'let another administrator do it, or use the command line',
  })

/** A second way in would stay open when the provider closes the first. */
const withProvider = (): UserRefusal =>
  userRefusal('conflict', 'user.provider', 'this user signs in with a provider, and has no password here', {
    allowed: 'take the account away first: postern user unlink',
  })

export function changeUser(places: UserPlaces): Users['change'] {
  return async (id, tenant, change, acting) => {
    const before = await findIn(places, id, tenant)
    if (!before) return err(noSuchUser())
    if (acting.userId === id && (change.role ?? 'admin') !== 'admin') return err(oneself('lower the role of'))
    if (acting.userId === id && change.disabled === true) return err(oneself('disable'))
    const email = readNewEmail(change)
    if (!email.ok) return email
    const names = [before.name, email.value ?? before.email ?? '']
    const hash = change.password && (await hashNewPassword(places, change.password, names, acting.address))
    if (hash?.ok === false) return hash
    const written = await writeUser(places, before, acting, async (row, trx, revision) => {
      if (hash && (await listUserIdentities(trx, id, 1)).length > 0) return err(withProvider())
      const next = apply(row, change, email.value, hash?.value, places.clock.now(), revision)
      if (next.email !== null && next.email !== row.email) {
        const taking = { name: row.name, nameShape: row.nameShape ?? '', email: next.email }
        const taken = await findTakenBy(trx, row.tenant, taking, id)
        if (taken) return err(takenBy(taken, { name: '', shape: '' }))
      }
      return ok(next)
    })
    return written.ok ? ok(userOfRow(written.value)) : written
  }
}

export function removeUser(places: UserPlaces): Users['remove'] {
  return async (id, tenant, acting) => {
    const before = await findIn(places, id, tenant)
    if (!before) return err(noSuchUser())
    if (acting.userId === id) return err(oneself('delete'))
    const written = await writeUser(places, before, acting, (row, _, revision) =>
      ok({
        ...row,
        nameShape: null,
        email: null,
        passwordHash: '',
        epoch: row.epoch + 1,
        deletedAt: places.clock.now(),
        revision,
      }),
    )
    return written.ok ? ok(userOfRow(before)) : written
  }
}

/** Writes what becomes of a user, unless the user or who acts is no more, and acts on it at once. */
async function writeUser(
  places: UserPlaces,
  { id, tenant }: UserRow,
  acting: Acting,
  become: (
    row: UserRow,
    trx: Kysely<StoreSchema>,
    revision: number,
  ) => Result<UserRow, UserRefusal> | Promise<Result<UserRow, UserRefusal>>,
): Promise<Result<UserRow, UserRefusal>> {
  const written = await places.store.change('users', async (trx, revision) => {
    const refused = await refuseActing(trx, acting)
    if (refused) return err(refused)
    const row = await findUserById(trx, id)
    // Of the tenant still in which the caller found them: a sign-in with a provider moves people.
    if (!row || row.deletedAt !== null || row.tenant !== tenant) return err(noSuchUser())
    const next = await become(row, trx, revision)
    if (next.ok) await updateUser(trx, next.value)
    return next
  })
  if (written.ok) await places.takeOver(written.value)
  return written
}

async function findIn(
  { store }: UserPlaces,
  id: string,
  tenant: string | undefined,
): Promise<UserRow | undefined> {
  const row = await findUserById(store.db, id)
  return row && row.deletedAt === null && (tenant === undefined || row.tenant === tenant) ? row : undefined
}

function readNewEmail({ email }: UserChange): Result<string | null | undefined, UserRefusal> {
  if (email === undefined || email === null) return ok(email)
  const read = readEmail(email)
  return read.ok ? read : err(userRefusal('invalid_arguments', 'user.email', read.error))
}

function apply(
  row: UserRow,
  { role, disabled }: UserChange,
  email: string | null | undefined,
  passwordHash: string | undefined,
  now: number,
  revision: number,
): UserRow {
  const level = role === undefined ? row.level : LEVEL_OF_ROLE[role]
  const disabledAt = disabled === undefined ? row.disabledAt : disabled ? (row.disabledAt ?? now) : null
  const ends =
    level !== row.level || passwordHash !== undefined || (disabledAt === null) !== (row.disabledAt === null)
  return {
    ...row,
    level,
    disabledAt,
    email: email === undefined ? row.email : email,
    passwordHash: passwordHash ?? row.passwordHash,
    epoch: ends ? row.epoch + 1 : row.epoch,
    revision,
  }
}
