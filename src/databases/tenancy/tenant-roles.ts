import { createHmac } from 'node:crypto'
import { Secret } from '../../lib/secret.ts'
import { scramVerifier } from './scram-verifier.ts'

/** What a connection of a tenant logs in as. */
export interface TenantRole {
  readonly name: string
  readonly password: Secret
  /** What `CREATE ROLE … PASSWORD` takes instead of the password: it proves the password and does not tell it. */
  readonly verifier: string
}

/** Roles without login, of which those of the tenants are members: what tenants may do is granted to them. */
export interface TenantGroups {
  readonly readers: string
  readonly writers: string
}

/** The roles of all tenants in one database. */
export interface TenantRoles {
  readonly groups: TenantGroups
  of(tenant: string, kind: 'read' | 'write'): TenantRole
}

/**
 * What names of roles may begin with: small letters, so that they need no quotes anywhere, and short enough that
 * PostgreSQL (63 bytes) cuts nothing off a name: two tenants would have one role.
 */
export const ROLE_PREFIX = /^(?!pg_)[a-z][a-z0-9_]{0,27}$/

const NAME_BYTES = 16
const SALT_BYTES = 16

/**
 * Names and passwords of the roles of tenants, derived from a key. Nothing has to be kept, and processes with the same
 * key agree. Every role can read `pg_roles`, so a name must not tell what tenant it is of, nor whether there is one.
 *
 * @param key of `tenantKey`
 * @param prefix `ROLE_PREFIX`
 * @throws TypeError for another prefix
 */
export function tenantRoles(key: Uint8Array, prefix: string): TenantRoles {
  if (!ROLE_PREFIX.test(prefix)) throw new TypeError(`"${prefix}" is no prefix of roles`)
  const derive = (...parts: readonly string[]): Buffer =>
    createHmac('sha256', key).update(parts.join('\0')).digest()
  return {
    groups: { readers: `${prefix}_readers`, writers: `${prefix}_writers` },
    of(tenant, kind) {
      const id = derive('tenant role name', kind, tenant).subarray(0, NAME_BYTES).toString('hex')
      const name = `${prefix}_${kind === 'read' ? 'r' : 'w'}_${id}`
      const password = derive('tenant role password', name).toString('base64url')
      return {
        name,
        password: new Secret(password),
        // Costs a millisecond or more, and only whoever makes the role needs it.
        get verifier() {
          return scramVerifier(password, derive('tenant role salt', name).subarray(0, SALT_BYTES))
        },
      }
    },
  }
}
