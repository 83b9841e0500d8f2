import type { Kysely } from 'kysely'
import { err, ok, type Result } from '../../lib/result.ts'
import type { StoreSchema } from '../../store/open.ts'
import {
  deleteUserIdentity,
  findUserIdentity,
  insertUserIdentity,
  listUserIdentities,
  type ProviderAccount,
} from '../../store/user-identities.ts'
import { findUserById, updateUser, type UserRow } from '../../store/users.ts'
import { refuseActing } from '../users/acting.ts'
import { noSuchUser } from '../users/change-user.ts'
import type { Acting, User } from '../users/user.ts'
import { userOfRow } from '../users/user-of-row.ts'
import type { UserPlaces } from '../users/user-places.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'

export type { ProviderAccount } from '../../store/user-identities.ts'

/** An account of a provider, and whose it is here. */
export interface Link extends ProviderAccount {
  /** `null`: of a user who was deleted. */
  readonly user: User | null
}

/** Administration of which account of a provider is which user. Each act is one transaction. */
export interface Links {
  /**
   * Makes an account a user's only way in: the password goes, and what was opened with it ends. An account whose user
   * was deleted may be linked again.
   */
  link(userId: string, account: ProviderAccount, acting: Acting): Promise<Result<User, UserRefusal>>
  /** The account is nobody's any more. A user who is there has no way in until a password is set. */
  unlink(account: ProviderAccount, acting: Acting): Promise<Result<User | null, UserRefusal>>
  /** At most a thousand, by issuer and subject. */
  list(): Promise<readonly Link[]>
}

const MOST_LISTED = 1_000

export function createLinks({
  store,
  clock,
  takeOver,
}: Pick<UserPlaces, 'store' | 'clock' | 'takeOver'>): Links {
  return {
    async link(userId, account, acting) {
      const written = await store.change(
        'users',
        async (trx, revision): Promise<Result<UserRow, UserRefusal>> => {
          const refused = await refuseActing(trx, acting)
          if (refused) return err(refused)
          const row = await findUserById(trx, userId)
          if (!row || row.deletedAt !== null) return err(noSuchUser())
          const other = await findUserIdentity(trx, account)
          if (other && other.userId !== userId && (await isThere(trx, other.userId))) {
            return err(
              userRefusal('conflict', 'user.link', 'this account is linked to another user', {
                allowed: 'unlink it first: postern user unlink',
              }),
            )
          }
          await deleteUserIdentity(trx, account)
          await insertUserIdentity(trx, { ...account, userId, createdAt: clock.now() })
          const next = { ...row, passwordHash: '', epoch: row.epoch + 1, revision }
          await updateUser(trx, next)
          return ok(next)
        },
      )
      if (!written.ok) return written
      await takeOver(written.value)
      return ok(userOfRow(written.value))
    },

    async unlink(account, acting) {
      const written = await store.change(
        'users',
        async (trx, revision): Promise<Result<UserRow | null, UserRefusal>> => {
          const refused = await refuseActing(trx, acting)
          if (refused) return err(refused)
          const identity = await findUserIdentity(trx, account)
          if (!identity) return err(noSuchLink())
          await deleteUserIdentity(trx, account)
          const row = await findUserById(trx, identity.userId)
          if (!row || row.deletedAt !== null) return ok(null)
          const next = { ...row, epoch: row.epoch + 1, revision }
          await updateUser(trx, next)
          return ok(next)
        },
      )
      if (!written.ok || written.value === null) return written.ok ? ok(null) : written
      await takeOver(written.value)
      return ok(userOfRow(written.value))
    },

    async list() {
      const links: Link[] = []
      for (const { issuer, subject, userId } of await listUserIdentities(store.db, undefined, MOST_LISTED)) {
        const row = await findUserById(store.db, userId)
        links.push({ issuer, subject, user: row && row.deletedAt === null ? userOfRow(row) : null })
      }
      return links
    },
  }
}

const isThere = async (trx: Kysely<StoreSchema>, userId: string): Promise<boolean> => {
  const row = await findUserById(trx, userId)
  return row !== undefined && row.deletedAt === null
}

const noSuchLink = (): UserRefusal =>
  userRefusal('not_found', 'user.link', 'no user is linked to this account', {
    allowed: 'an account that "postern user links" shows',
  })
