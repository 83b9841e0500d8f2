import { ok } from '../lib/result.ts'
import type { Authenticator } from './authenticate.ts'
import type { Caller } from './caller.ts'

/**
 * With `--no-auth` every request is this caller, whatever it shows. It may only read: the switch is for
 * trying things out on one's own machine, where any page in a browser and any program can reach the port.
 */
export function anonymousAuthenticator(tenant: string): Authenticator {
  const caller: Caller = Object.freeze({
    principal: Object.freeze({ kind: 'local', id: 'local', name: 'local' }),
    credential: Object.freeze({
      id: 'none',
      kind: 'none',
      name: 'no authentication',
      createdAt: null,
      expiresAt: null,
    }),
    grant: Object.freeze({ tenant, level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' }),
  })
  const answer = Object.freeze(ok(caller))
  return { authenticate: () => answer }
}
