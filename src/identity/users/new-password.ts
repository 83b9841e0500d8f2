import { err, ok, type Result } from '../../lib/result.ts'
import type { Secret } from '../../lib/secret.ts'
import { commonPasswords } from '../passwords/common.ts'
import { checkPassword } from '../passwords/policy.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'
import type { UserPlaces } from './user-places.ts'

/** The hash of a password that the policy lets through. Outside of any transaction: it takes a while. */
export async function hashNewPassword(
  { hasher, policy }: Pick<UserPlaces, 'hasher' | 'policy'>,
  password: Secret,
  names: readonly string[],
  address = '',
): Promise<Result<string, UserRefusal>> {
  const wrong = checkPassword(password.reveal(), names, policy, await commonPasswords())
  if (wrong !== null) {
    return err(
      userRefusal('invalid_arguments', 'user.password', wrong, {
        allowed: `at least ${policy.minBytes} bytes, nothing that is easily guessed`,
      }),
    )
  }
  const hash = await hasher.hash(password, address)
  return hash === null ? err(tooBusy()) : ok(hash)
}

/** Argon2 is slow on purpose, and only so many may wait for it. */
export const tooBusy = (): UserRefusal =>
  userRefusal(
    'too_many_requests',
    'auth.argon2',
    'too many passwords are being checked at the moment: try again',
    { retryAfterS: 2 },
  )
