import { err, ok, type Result } from '../../lib/result.ts'
import type { Secret } from '../../lib/secret.ts'
import { checkPassword } from '../passwords/policy.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'
import type { UserPlaces } from './user-places.ts'

/** @param names what the person is called */
export async function refusePassword(
  { policy, common }: Pick<UserPlaces, 'policy' | 'common'>,
  password: Secret,
  names: readonly string[],
): Promise<UserRefusal | null> {
  const wrong = checkPassword(password.reveal(), names, policy, await common.load())
  if (wrong === null) return null
  return userRefusal('invalid_arguments', 'user.password', wrong, {
    allowed: `at least ${policy.minBytes} bytes, nothing that is easily guessed`,
  })
}

/** The hash of a password that the policy lets through. Outside of any transaction: it takes a while. */
export async function hashNewPassword(
  places: Pick<UserPlaces, 'hasher' | 'policy' | 'common'>,
  password: Secret,
  names: readonly string[],
  address = '',
): Promise<Result<string, UserRefusal>> {
  const wrong = await refusePassword(places, password, names)
  if (wrong) return err(wrong)
  const hash = await places.hasher.hash(password, address)
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
