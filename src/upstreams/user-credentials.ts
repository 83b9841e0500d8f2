import type { Caller } from '../identity/caller.ts'
import type { Secret } from '../lib/secret.ts'

/** Whose credential it is, and for which server. */
export interface CredentialPlace {
  readonly tenant: string
  readonly principal: string
  readonly server: string
}

/** The credentials that principals left for servers behind Postern. */
export interface UserCredentials {
  /** Undefined where the principal left none. */
  find(caller: Caller, server: string): Promise<Secret | undefined>
  /** As `find`, of what is in memory: undefined also where it would have to be looked up. */
  known(caller: Caller, server: string): Secret | undefined
}

/** Where the credentials of a caller are kept: it is the principal's, whatever token it shows. */
export const placeOf = ({ principal, grant }: Caller, server: string): CredentialPlace => ({
  tenant: grant.tenant,
  principal: principal.id,
  server,
})
