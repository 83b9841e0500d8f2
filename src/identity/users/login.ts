import { err, ok, type Result } from '../../lib/result.ts'
import type { Secret } from '../../lib/secret.ts'
import { replacePasswordHash, type UserRow } from '../../store/users.ts'
import type { IssuedJwt } from '../jwt/user-tokens.ts'
import { accountKey } from './account-key.ts'
import type { LoginLimits } from './login-limits.ts'
import { tooBusy } from './new-password.ts'
import type { UserPlaces } from './user-places.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'
import { findRowsByName } from './users.ts'
import { waitRefusal } from './wait-refusal.ts'

export interface LoginInput {
  /** A user name or an e-mail address. */
  readonly name: string
  readonly password: Secret
  /** Absent: see `chosen`. */
  readonly tenant?: string
  /** Where the request comes from. */
  readonly address: string
  /** Aborted when nobody waits for the answer any more: no hash is computed for it then. */
  readonly signal?: AbortSignal
}

export type Login = (input: LoginInput) => Promise<Result<IssuedJwt, UserRefusal>>

export interface LoginParts extends Pick<UserPlaces, 'store' | 'hasher' | 'clock'> {
  readonly limits: LoginLimits
  /** Whose name counts first where no tenant is given. */
  readonly tenantDefault: string
  readonly issue: (row: UserRow) => Promise<IssuedJwt>
}

/**
 * Signs a user in. Whatever is wrong, the answer is the same and takes the same time: an unknown name, a wrong
 * password, a user who is disabled, a tenant that is not there.
 */
export function createLogin(parts: LoginParts): Login {
  const { store, hasher, limits } = parts
  return async ({ name, password, tenant, address, signal }) => {
    const account = accountKey(name, tenant)
    const before = limits.blocked(account, address)
    if (before) return err(waitRefusal(before))
    const row = chosen(await findRowsByName(parts, name, tenant), parts.tenantDefault)
    const verified = await hasher.verify(password, row?.passwordHash, {
      address,
      // Others of this account may have failed while this one waited for its turn.
      wanted: () => signal?.aborted !== true && limits.blocked(account, address) === null,
    })
    if (verified === null) {
      const since = limits.blocked(account, address)
      return err(since ? waitRefusal(since) : tooBusy())
    }
    if (!row || !verified.matches || row.disabledAt !== null) {
      limits.failed(account, address)
      return err(userRefusal('login_failed', 'login', 'the user name or the password is wrong'))
    }
    limits.succeeded(account, address)
    if (verified.outdated) {
      const hash = await hasher.hash(password, address)
      // Too busy now: there will be another sign-in.
      if (hash !== null) await replacePasswordHash(store.db, row.id, row.passwordHash, hash)
    }
    return ok(await parts.issue(row))
  }
}

/**
 * Without a tenant: the user of the first tenant, or else the one who has had the name for longest. So no administrator
 * of another tenant can take a name over, or make it ambiguous, by giving it to somebody else.
 */
const chosen = (rows: readonly UserRow[], tenantDefault: string): UserRow | undefined =>
  rows.find(({ tenant }) => tenant === tenantDefault) ?? rows[0]
