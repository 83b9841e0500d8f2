import type { Result } from '../lib/result.ts'
import type { Secret } from '../lib/secret.ts'
import type { Allowed, Level } from './grant.ts'
import type { TokenRefusal } from './token-refusal.ts'

/** A token as lists show it. Times are milliseconds since the epoch. */
export interface TokenRecord {
  readonly id: string
  readonly note: string
  readonly owner: string
  readonly level: Level
  readonly tenant: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
  /** `null` where the source does not say: tokens of the configuration. */
  readonly createdAt: number | null
  /** `null` for one that does not expire. */
  readonly expiresAt: number | null
  /** The first 12 hex digits of the token's SHA-256. */
  readonly hashPrefix: string
  readonly source: 'store' | 'token-file' | 'config'
  readonly status: 'valid' | 'expired' | 'revoked'
  /** Accurate to a minute; `null` when it was never used. */
  readonly lastUsedAt: number | null
  /** True for a valid token that is older than recommended for its level. */
  readonly rotationDue: boolean
}

export interface NewToken {
  /** What it is for: at most 200 characters, no control characters. */
  readonly note: string
  /** One person or service; the note when absent. */
  readonly owner?: string
  /** `read-only` when absent. */
  readonly level?: Level
  /** Absent: 90, 30 or 14 days by level. `null`: never. */
  readonly expiresInMs?: number | null
  readonly tenant?: string
  readonly databases?: Allowed
  readonly servers?: Allowed
  readonly scopes?: Allowed
}

/** A token that was just issued: the only moment its value is known. */
export interface IssuedToken {
  readonly token: Secret
  readonly record: TokenRecord
}

/**
 * Administration of tokens. Expected refusals are values; a store or file that cannot be written is a
 * Fault (`store_unavailable`, `data_dir_unusable`).
 */
export interface Tokens {
  /** Issues a token, into the store unless told otherwise. */
  add(
    input: NewToken,
    options?: { readonly into?: 'store' | 'token-file' },
  ): Promise<Result<IssuedToken, TokenRefusal>>
  /**
   * The token with that id; without one, the tokens that are not revoked and whose hash begins with these
   * digits, as `remove` would take them: all of the configuration and the token file, a few of the store.
   */
  find(idOrHashPrefix: string): Promise<readonly TokenRecord[]>
  /** All sources, newest first. */
  list(): Promise<readonly TokenRecord[]>
  /**
   * Issues a successor with the same grant and length of life. The predecessor ends at once, or after
   * `graceMs` if that is sooner than its own expiry.
   */
  rotate(
    id: string,
    graceMs?: number,
  ): Promise<Result<IssuedToken & { readonly predecessor: TokenRecord }, TokenRefusal>>
  /** Ends a token named by its id or by at least 8 hex digits of its hash. */
  remove(idOrHashPrefix: string): Promise<Result<TokenRecord, TokenRefusal>>
}
