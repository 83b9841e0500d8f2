import type { Role, Tenant, User } from './user.ts'

/** A user as every JSON document shows it: command line, administration API, console. */
export interface UserJson {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly tenant_id: string
  readonly role: Role
  readonly admin: boolean
  readonly disabled: boolean
  /** Seconds since the epoch. */
  readonly created_at: number
}

export const userJson = ({ id, name, email, tenant, role, disabled, createdAt }: User): UserJson => ({
  id,
  username: name,
  email,
  tenant_id: tenant,
  role,
  admin: role === 'admin',
  disabled,
  created_at: Math.floor(createdAt / 1_000),
})

/** A user who was just made. `user_id` is the same as `id`: both spellings are in use. */
export const newUserJson = (user: User): UserJson & { readonly user_id: string } => ({
  user_id: user.id,
  ...userJson(user),
})

export const tenantJson = ({ id, createdAt }: Tenant) => ({
  tenant_id: id,
  created_at: Math.floor(createdAt / 1_000),
})
