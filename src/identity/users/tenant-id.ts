import { userRefusal, type UserRefusal } from './user-refusal.ts'

/** Ids of tenants go into database roles, labels and paths, so they are plain. */
const TENANT_ID = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/

export function refuseTenantId(id: string): UserRefusal | null {
  if (TENANT_ID.test(id)) return null
  return userRefusal(
    'invalid_arguments',
    'tenant.id',
    'the tenant is 1 to 63 small letters, digits, - and _, with a letter or a digit at both ends',
  )
}

export const takenTenant = (id: string, isDeleted: boolean): UserRefusal =>
  isDeleted
    ? userRefusal(
        'conflict',
        'tenant.deleted',
        `the tenant "${id}" was deleted, and its id stays taken: rows in databases may still carry it`,
        { allowed: 'another id' },
      )
    : userRefusal('conflict', 'tenant.id', `there is a tenant "${id}" already`)
