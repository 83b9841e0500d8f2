import type { Caller } from '../identity/caller.ts'
import type { Secret } from '../lib/secret.ts'

/** The credentials that principals left for servers behind Postern. */
export interface UserCredentials {
  /** Undefined where the principal left none. */
  find(caller: Caller, server: string): Promise<Secret | undefined>
  /** As `find`, of what is in memory: undefined also where it would have to be looked up. */
  known(caller: Caller, server: string): Secret | undefined
}
