import type { Grant } from './grant.ts'
import type { Principal } from './principal.ts'

export const CREDENTIAL_KINDS = ['static', 'token-file', 'issued', 'jwt', 'none'] as const

/** Where a credential comes from: configuration, the watched token file, the store, a sign-in, or `--no-auth`. */
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number]

/** A credential as everything behind `authenticate` sees it: never its value. */
export interface Credential {
  /** Unique among all kinds, stable over restarts, safe to log. */
  readonly id: string
  readonly kind: CredentialKind
  /** The note of a token, the name of a static one, or that of the user who signed in. */
  readonly name: string
  /** Milliseconds since the epoch; `null` where the source does not say. */
  readonly createdAt: number | null
  /** Milliseconds since the epoch; `null` for one that does not expire. */
  readonly expiresAt: number | null
}

/** The answer of `authenticate`: who calls, with what, allowed what. Frozen, shared between requests. */
export interface Caller {
  readonly principal: Principal
  readonly credential: Credential
  readonly grant: Grant
}
