import type { Result } from '../../lib/result.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Level } from '../grant.ts'
import type { UserRefusal } from './user-refusal.ts'

/** What a person may do, in the words of people; each is a level of credentials. */
export const ROLES = ['admin', 'writer', 'reader'] as const

export type Role = (typeof ROLES)[number]

export const LEVEL_OF_ROLE = {
  admin: 'admin',
  writer: 'read-write',
  reader: 'read-only',
} as const satisfies Record<Role, Level>

/** A user as lists show it. Times are milliseconds since the epoch. */
export interface User {
  /** UUIDv7. */
  readonly id: string
  readonly tenant: string
  readonly name: string
  readonly email: string | null
  readonly role: Role
  readonly createdAt: number
  readonly disabled: boolean
}

export interface NewUser {
  readonly tenant: string
  /** Normalised before it is kept: NFKC and small letters. */
  readonly name: string
  readonly password: Secret
  readonly role: Role
  readonly email?: string
}

/** What is absent stays. A change of `role`, `password` or `disabled` ends the JWTs of the user. */
export interface UserChange {
  readonly role?: Role
  readonly password?: Secret
  readonly disabled?: boolean
  /** `null` takes it away. */
  readonly email?: string | null
}

export interface Tenant {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** A tenant that was deleted, and what went with it. */
export interface RemovedTenant extends Tenant {
  readonly users: number
  /** Issued ones that were not revoked before. */
  readonly tokens: number
}

/** Who is acting, where the act must fail if that user is an administrator no more when it is written. */
export interface Acting {
  /** The id of a user; `null` for somebody who is none: a token, the command line. */
  readonly userId: string | null
  /** Of which that user is an administrator. */
  readonly tenant?: string
  /** Where the request comes from, for fairness among those that wait. */
  readonly address?: string
}

type Answer<T> = Promise<Result<T, UserRefusal>>

/**
 * Administration of people. Expected refusals are values; a store that cannot be used is a Fault
 * (`store_unavailable`). Each act is one transaction: it is done or it is not.
 */
export interface Users {
  /** @param options `withTenant` makes the tenant, too, and is refused where it is there already */
  add(input: NewUser, acting: Acting, options?: { readonly withTenant?: boolean }): Answer<User>
  /** Oldest first; of all tenants without one. */
  list(tenant?: string): Promise<readonly User[]>
  find(id: string): Promise<User | undefined>
  /** Everybody of that name, or address: several where several tenants have one. */
  findByName(nameOrEmail: string, tenant?: string): Promise<readonly User[]>
  /** @param tenant of which the user must be; one of another is as unknown as one who does not exist */
  change(id: string, tenant: string | undefined, change: UserChange, acting: Acting): Answer<User>
  /** Ends the JWTs of the user at once, on every replica. */
  remove(id: string, tenant: string | undefined, acting: Acting): Answer<User>
  /** Refused for the id of a deleted one, too: rows in databases may still carry it. */
  addTenant(id: string): Answer<Tenant>
  /**
   * Deletes a tenant, its users and its issued tokens for ever, and ends at once, on every replica, whatever any of its
   * credentials has open; those of configuration and token file are refused from then on. Never the first tenant.
   */
  removeTenant(id: string, acting: Acting): Answer<RemovedTenant>
  listTenants(): Promise<readonly Tenant[]>
}
