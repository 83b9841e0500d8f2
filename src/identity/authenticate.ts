import type { Result } from '../lib/result.ts'
import type { Caller } from './caller.ts'

/** Why a caller is not known. The reason is for the log; what the caller is told is the same for all. */
export interface Unauthenticated {
  readonly reason: 'missing' | 'malformed' | 'unknown' | 'expired' | 'revoked'
  /** The credential that was recognised although it is no longer valid. */
  readonly credentialId?: string
}

export type Authentication = Result<Caller, Unauthenticated>

/**
 * Turns an `Authorization` header into a caller. Answers at once when the credential is cached, so that
 * the hot path never waits for a microtask.
 */
export interface Authenticator {
  authenticate(authorization: string | undefined): Authentication | Promise<Authentication>
}
