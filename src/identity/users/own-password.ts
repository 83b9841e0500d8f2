import { err, ok, type Result } from '../../lib/result.ts'
import type { Secret } from '../../lib/secret.ts'
import { findUserById, updateUser, type UserRow } from '../../store/users.ts'
import type { IssuedJwt } from '../jwt/user-tokens.ts'
import { accountKey } from './account-key.ts'
import type { LoginParts } from './login.ts'
import { hashNewPassword, refusePassword, tooBusy } from './new-password.ts'
import type { UserPlaces } from './user-places.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'
import { waitRefusal } from './wait-refusal.ts'

export interface OwnPasswordInput {
  /** Who is signed in. */
  readonly userId: string
  readonly current: Secret
  readonly next: Secret
  /** Where the request comes from. */
  readonly address: string
  readonly signal?: AbortSignal
}

export type ChangeOwnPassword = (input: OwnPasswordInput) => Promise<Result<IssuedJwt, UserRefusal>>

/**
 * Changes the password of somebody who knows the current one: a stolen token alone changes nothing, and guessing with
 * it is as slow as at the sign-in. Every token of the user ends, whoever holds it; the answer has a fresh one.
 */
export function changeOwnPassword(
  places: UserPlaces & Pick<LoginParts, 'limits' | 'issue'>,
): ChangeOwnPassword {
  const { store, hasher, limits } = places
  return async ({ userId, current, next, address, signal }) => {
    const row = await findUserById(store.db, userId)
    if (!row || !mayStill(row)) return err(changedMeanwhile())
    const account = accountKey(row.name, row.tenant)
    const before = limits.blocked(account, address)
    if (before) return err(waitRefusal(before))
    const names = [row.name, row.email ?? '']
    const wrong = await refusePassword(places, next, names)
    if (wrong) return err(wrong)
    const verified = await hasher.verify(current, row.passwordHash, {
      address,
      wanted: () => signal?.aborted !== true && limits.blocked(account, address) === null,
    })
    if (verified === null) {
      const since = limits.blocked(account, address)
      return err(since ? waitRefusal(since) : tooBusy())
    }
    if (!verified.matches) {
      limits.failed(account, address)
      return err(userRefusal('invalid_arguments', 'auth.password', 'the current password is wrong'))
    }
    limits.succeeded(account, address)
    if (next.reveal() === current.reveal()) {
      return err(userRefusal('invalid_arguments', 'user.password', 'the new password is the current one'))
    }
    const hash = await hashNewPassword(places, next, names, address)
    if (!hash.ok) return hash
    const written = await store.change(
      'users',
      async (trx, revision): Promise<Result<UserRow, UserRefusal>> => {
        const now = await findUserById(trx, userId)
        // Somebody else set another one meanwhile: the password that was checked is not the current one any more.
        if (!now || !mayStill(now) || now.epoch !== row.epoch) return err(changedMeanwhile())
        const changed = { ...now, passwordHash: hash.value, epoch: now.epoch + 1, revision }
        await updateUser(trx, changed)
        return ok(changed)
      },
    )
    if (!written.ok) return written
    await places.takeOver(written.value)
    return ok(await places.issue(written.value))
  }
}

const mayStill = ({ deletedAt, disabledAt }: UserRow): boolean => deletedAt === null && disabledAt === null

const changedMeanwhile = (): UserRefusal =>
  userRefusal('conflict', 'auth.password', 'this user was changed by somebody else: sign in again')
