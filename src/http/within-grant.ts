import { type Refusal, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import { FIRST_TENANT } from '../identity/first-tenant.ts'
import type { Allowed } from '../identity/grant.ts'

export const administersTenant = ({ grant }: Caller, tenant: string): boolean =>
  grant.tenant === tenant || grant.tenant === FIRST_TENANT

/** The one tenant whose affairs an administrator may see; `undefined` for one who sees all. */
export const soleTenant = ({ grant }: Caller): string | undefined =>
  grant.tenant === FIRST_TENANT ? undefined : grant.tenant

/** What a new token would be allowed beyond its level. */
export interface Reach {
  readonly tenant: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
}

/**
 * Nobody hands out more than they hold: otherwise an administrator who is bound to one database would
 * issue a token for all of them and use that.
 */
export function refuseBeyondGrant(caller: Caller, reach: Reach): Refusal | null {
  if (!administersTenant(caller, reach.tenant)) {
    return refusal(
      'tenant_not_allowed',
      'token.tenant',
      'this credential issues tokens of its own tenant only',
      {
        allowed: `tenant ${caller.grant.tenant}`,
      },
    )
  }
  for (const what of ['databases', 'servers', 'scopes'] as const) {
    const held = caller.grant[what]
    if (held === 'all') continue
    const asked = reach[what]
    if (asked === 'all' || asked.some((name) => !held.includes(name))) {
      return refusal(
        REFUSED[what],
        `token.${what}`,
        `a token cannot be given ${what} that the credential which issues it does not have`,
        {
          allowed: `${what} ${held.join(', ') || '(none)'}`,
          ...(what === 'scopes' && asked !== 'all' ? { scopes: asked } : {}),
        },
      )
    }
  }
  return null
}

/**
 * A person has every database, server and scope of the tenant. Whoever holds less could otherwise make one, or give one
 * a password, and sign in as them.
 */
export function refuseLessThanAll({ grant }: Caller): Refusal | null {
  for (const what of ['databases', 'servers', 'scopes'] as const) {
    const held = grant[what]
    if (held === 'all') continue
    return refusal(
      REFUSED[what],
      `user.${what}`,
      `people have all ${what}, and a credential that is bound to some cannot make or change them`,
      { allowed: `a credential for all ${what}` },
    )
  }
  return null
}

const REFUSED = {
  databases: 'database_not_allowed',
  servers: 'server_not_allowed',
  scopes: 'scope_missing',
} as const
