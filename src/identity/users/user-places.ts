import type { Clock } from '../../lib/clock.ts'
import type { Store } from '../../store/open.ts'
import type { UserRow } from '../../store/users.ts'
import type { CommonLists } from '../passwords/common.ts'
import type { PasswordHasher } from '../passwords/hasher.ts'
import type { PasswordPolicy } from '../passwords/policy.ts'

/** Where users are, for the files that administer them. */
export interface UserPlaces {
  readonly store: Store
  readonly hasher: PasswordHasher
  readonly policy: PasswordPolicy
  readonly common: Pick<CommonLists, 'load'>
  readonly clock: Clock
  /** Acts on a row that this process has just written: what the user had open ends before the answer is given. */
  readonly takeOver: (row: UserRow) => Promise<void>
  /** The same for a tenant that this process has just deleted. */
  readonly takeOverTenant: (tenant: string) => Promise<void>
}
