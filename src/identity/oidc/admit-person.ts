import type { Kysely } from 'kysely'
import { uuidv7 } from 'uuidv7'
import { err, ok, type Result } from '../../lib/result.ts'
import type { StoreSchema } from '../../store/open.ts'
import { hasTenant, insertTenant } from '../../store/tenants.ts'
import { findUserIdentity, insertUserIdentity, type ProviderAccount } from '../../store/user-identities.ts'
import { findTakenBy, findUserById, insertUser, updateUser, type UserRow } from '../../store/users.ts'
import { LEVEL_OF_ROLE } from '../users/user.ts'
import { readUserName } from '../users/user-name.ts'
import type { UserPlaces } from '../users/user-places.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import type { Person } from './person.ts'
import type { OidcProvider } from './provider.ts'
import { settle, type Settled } from './settle.ts'

export interface AdmitParts extends Pick<UserPlaces, 'store' | 'clock' | 'takeOver'> {
  readonly tenantDefault: string
}

/** What came of it: the row that was written, and why the person stays outside all the same. */
interface Outcome {
  readonly row: UserRow
  readonly refused?: UserRefusal
}

/**
 * Lets in who a provider vouches for: as the user that the account is linked to, whose role and tenant become those of
 * today's groups, or as a new one. An account is never linked by a name or an address, which anybody can have elsewhere.
 */
export async function admitPerson(
  parts: AdmitParts,
  provider: OidcProvider,
  person: Person,
): Promise<Result<UserRow, UserRefusal>> {
  const { store, clock, takeOver } = parts
  const account = { issuer: provider.issuer, subject: person.subject }
  const settled = settle(person, provider, parts.tenantDefault)
  const identity = await findUserIdentity(store.db, account)
  if (identity) {
    const row = await findUserById(store.db, identity.userId)
    if (settled.ok && row && isCurrent(row, settled.value, person)) return ok(row)
  } else if (!settled.ok) return settled
  const written = await store.change(
    'users',
    async (trx, revision): Promise<Result<Outcome, UserRefusal>> => {
      const linked = await findUserIdentity(trx, account)
      if (linked) {
        const row = await findUserById(trx, linked.userId)
        if (!row || row.deletedAt !== null) return err(deleted(provider, person))
        if (row.disabledAt !== null) return err(disabled())
        return await refresh(trx, row, settled, provider, person, clock.now(), revision)
      }
      if (!settled.ok) return settled
      return await make(trx, account, settled.value, provider, person, clock.now(), revision)
    },
  )
  if (!written.ok) return written
  const { row, refused } = written.value
  await takeOver(row)
  return refused ? err(refused) : ok(row)
}

/** Nothing is to be written: the usual case. */
const isCurrent = (row: UserRow, { role, tenant }: Settled, { email }: Person): boolean =>
  row.deletedAt === null &&
  row.disabledAt === null &&
  row.tenant === tenant &&
  row.level === LEVEL_OF_ROLE[role] &&
  (email === null || row.email === email)

async function refresh(
  trx: Kysely<StoreSchema>,
  before: UserRow,
  settled: Result<Settled, UserRefusal>,
  provider: OidcProvider,
  person: Person,
  now: number,
  revision: number,
): Promise<Result<Outcome, UserRefusal>> {
  const placed = settled.ok ? await placeOf(trx, settled.value, provider, now) : settled
  if (!placed.ok) {
    // What was opened when the groups were others ends with this sign-in, too.
    const row = { ...before, epoch: before.epoch + 1, revision }
    await updateUser(trx, row)
    return ok({ row, refused: placed.error })
  }
  const { role, tenant } = placed.value
  const name = { name: before.name, nameShape: before.nameShape ?? '' }
  if (tenant !== before.tenant && (await findTakenBy(trx, tenant, { ...name, email: null }, before.id))) {
    const row = { ...before, epoch: before.epoch + 1, revision }
    await updateUser(trx, row)
    return ok({ row, refused: taken(before.name, tenant, provider, person) })
  }
  const level = LEVEL_OF_ROLE[role]
  const ends = level !== before.level || tenant !== before.tenant
  const row = {
    ...before,
    level,
    tenant,
    email: (await freeEmail(trx, tenant, name, person.email, before.id)) ?? before.email,
    epoch: ends ? before.epoch + 1 : before.epoch,
    revision,
  }
  await updateUser(trx, row)
  return ok({ row })
}

async function make(
  trx: Kysely<StoreSchema>,
  account: ProviderAccount,
  settled: Settled,
  provider: OidcProvider,
  person: Person,
  now: number,
  revision: number,
): Promise<Result<Outcome, UserRefusal>> {
  const read = readUserName(person.username ?? '')
  if (!read.ok) {
    const message =
      person.username === null
        ? `the provider says no user name: its claim "${provider.usernameClaim}" is not there`
        : `the provider's user name cannot be one here: ${read.error}`
    return err(userRefusal('sign_in_refused', 'oidc.username', message, { allowed: LINK_FIRST }))
  }
  const placed = await placeOf(trx, settled, provider, now)
  if (!placed.ok) return placed
  const { role, tenant } = placed.value
  const name = { name: read.value.name, nameShape: read.value.shape }
  if (await findTakenBy(trx, tenant, { ...name, email: null })) {
    return err(taken(name.name, tenant, provider, person))
  }
  const row: UserRow = {
    id: uuidv7(),
    tenant,
    ...name,
    email: await freeEmail(trx, tenant, name, person.email),
    level: LEVEL_OF_ROLE[role],
    // No password fits: see `PasswordHasher.verify`.
    passwordHash: '',
    epoch: 1,
    createdAt: now,
    disabledAt: null,
    deletedAt: null,
    revision,
  }
  await insertUser(trx, row)
  await insertUserIdentity(trx, { ...account, userId: row.id, createdAt: now })
  return ok({ row })
}

async function placeOf(
  trx: Kysely<StoreSchema>,
  settled: Settled,
  { createTenants }: OidcProvider,
  now: number,
): Promise<Result<Settled, UserRefusal>> {
  if (createTenants) await insertTenant(trx, { id: settled.tenant, createdAt: now })
  // One that was deleted cannot be made again.
  if (!(await hasTenant(trx, settled.tenant))) {
    return err(
      userRefusal(
        'sign_in_refused',
        'oidc.tenant_unknown',
        'the tenant of this account does not exist here',
        {
          allowed: 'an administrator can make it: postern tenant add',
        },
      ),
    )
  }
  return ok(settled)
}

/** An address is a convenience: one that is somebody else's here is left out, and nobody is kept out for it. */
async function freeEmail(
  trx: Kysely<StoreSchema>,
  tenant: string,
  name: { readonly name: string; readonly nameShape: string },
  email: string | null,
  exceptId?: string,
): Promise<string | null> {
  if (email === null) return null
  return (await findTakenBy(trx, tenant, { ...name, email }, exceptId)) ? null : email
}

const LINK_FIRST = 'an administrator can link this account to a user: postern user link'

const taken = (name: string, tenant: string, provider: OidcProvider, { subject }: Person): UserRefusal =>
  userRefusal(
    'sign_in_refused',
    'oidc.name_taken',
    `there is a user "${name}", or one whose name looks like it, and this account is not that user's`,
    {
      allowed:
        `if it is, an administrator can link them: postern user link --username ${name} --tenant ${tenant} ` +
        `--provider ${provider.name} --subject ${shown(subject)}`,
    },
  )

const deleted = (provider: OidcProvider, { subject }: Person): UserRefusal =>
  userRefusal('sign_in_refused', 'oidc.deleted', 'the user of this account was deleted', {
    allowed: `an administrator can let it in anew: postern user unlink --provider ${provider.name} --subject ${shown(subject)}`,
  })

const disabled = (): UserRefusal =>
  userRefusal('sign_in_refused', 'oidc.disabled', 'the user of this account is disabled', {
    allowed: 'ask an administrator',
  })

/** Goes into a command line that somebody may copy. */
const shown = (subject: string): string => (/^[\w.@:|-]+$/.test(subject) ? subject : 'SUBJECT')
