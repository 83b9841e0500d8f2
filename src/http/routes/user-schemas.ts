import { z } from 'zod'
import { LONGEST_PASSWORD_BYTES } from '../../identity/passwords/policy.ts'
import { type Role, ROLES } from '../../identity/users/user.ts'

export const USERNAME = z.string().min(1).max(256).describe('A name, in any spelling')
export const PASSWORD = z.string().min(1).max(LONGEST_PASSWORD_BYTES)
export const TENANT = z.string().min(1).max(64)
export const EMAIL = z.string().min(3).max(254)

export const USER = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  tenant_id: z.string(),
  role: z.enum(ROLES),
  admin: z.boolean(),
  disabled: z.boolean(),
  created_at: z.int().describe('Seconds since 1970'),
})

/** `role` says more than `admin`; one that contradicts the other is a mistake. */
export const ROLE = {
  role: z.enum(ROLES).optional().describe('reader when absent'),
  admin: z.boolean().optional().describe('true for the role admin, false for reader'),
}

export function roleOf(body: { readonly role?: Role | undefined; readonly admin?: boolean | undefined }): {
  readonly role: Role | undefined
  readonly contradicts: boolean
} {
  const { role, admin } = body
  if (role !== undefined) return { role, contradicts: admin !== undefined && admin !== (role === 'admin') }
  return { role: admin === undefined ? undefined : admin ? 'admin' : 'reader', contradicts: false }
}
