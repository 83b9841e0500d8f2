import { uuidv7 } from 'uuidv7'
import { err, ok, type Result } from '../../lib/result.ts'
import { hasTenant, insertTenant, isDeletedTenant } from '../../store/tenants.ts'
import { findTakenBy, insertUser, type UserRow } from '../../store/users.ts'
import { refuseActing } from './acting.ts'
import { hashNewPassword } from './new-password.ts'
import { refuseTenantId, takenTenant } from './tenant-id.ts'
import { LEVEL_OF_ROLE, type NewUser, type Users } from './user.ts'
import { readEmail, readUserName, type UserName } from './user-name.ts'
import { userOfRow } from './user-of-row.ts'
import type { UserPlaces } from './user-places.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'

export function addUser(places: UserPlaces): Users['add'] {
  const { store, clock } = places
  return async (input, acting, { withTenant = false } = {}) => {
    const read = readNames(input)
    if (!read.ok) return read
    const { name, shape, email } = read.value
    const wrongTenant = refuseTenantId(input.tenant)
    if (wrongTenant) return err(wrongTenant)
    const hash = await hashNewPassword(places, input.password, [name, email ?? ''], acting.address)
    if (!hash.ok) return hash
    const now = clock.now()
    const written = await store.change(
      'users',
      async (trx, revision): Promise<Result<UserRow, UserRefusal>> => {
        const refused = await refuseActing(trx, acting)
        if (refused) return err(refused)
        if (withTenant) {
          if (!(await insertTenant(trx, { id: input.tenant, createdAt: now }))) {
            return err(takenTenant(input.tenant, await isDeletedTenant(trx, input.tenant)))
          }
        } else if (!(await hasTenant(trx, input.tenant))) {
          return err(
            userRefusal('not_found', 'tenant.id', `there is no tenant "${input.tenant}"`, {
              allowed: 'make it first: postern tenant add, or POST /api/v1/admin/tenants',
            }),
          )
        }
        const taken = await findTakenBy(trx, input.tenant, { name, nameShape: shape, email })
        if (taken) return err(takenBy(taken, read.value))
        const row: UserRow = {
          id: uuidv7(),
          tenant: input.tenant,
          name,
          nameShape: shape,
          email,
          level: LEVEL_OF_ROLE[input.role],
          passwordHash: hash.value,
          epoch: 1,
          createdAt: now,
          disabledAt: null,
          deletedAt: null,
          revision,
        }
        await insertUser(trx, row)
        return ok(row)
      },
    )
    return written.ok ? ok(userOfRow(written.value)) : written
  }
}

interface Names extends UserName {
  readonly email: string | null
}

function readNames(input: Pick<NewUser, 'name' | 'email'>): Result<Names, UserRefusal> {
  const name = readUserName(input.name)
  if (!name.ok) return err(userRefusal('invalid_arguments', 'user.name', name.error))
  if (input.email === undefined) return ok({ ...name.value, email: null })
  const email = readEmail(input.email)
  if (!email.ok) return err(userRefusal('invalid_arguments', 'user.email', email.error))
  return ok({ ...name.value, email: email.value })
}

/** Tells of names of the tenant to its own administrators only, who can list them. */
export function takenBy(taken: Pick<UserRow, 'name' | 'nameShape'>, { name, shape }: UserName): UserRefusal {
  if (taken.name === name) {
    return userRefusal('invalid_arguments', 'user.name_taken', `the user name "${name}" is taken`, {
      allowed: 'another name; the user of this one stays as they are',
    })
  }
  return taken.nameShape === shape
    ? userRefusal(
        'invalid_arguments',
        'user.name_taken',
        `the user name "${name}" looks like "${taken.name}", which is taken`,
      )
    : userRefusal(
        'invalid_arguments',
        'user.email_taken',
        'the name or the e-mail address is that of another user',
      )
}
