import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import type { Authenticator } from './authenticate.ts'
import type { Allowed, Level } from './grant.ts'
import type { Lifelines } from './lifelines.ts'
import type { IssuedToken, Tokens } from './tokens.ts'

/** A named token of the configuration. Exactly one of `value` and `hash` is set. */
export interface StaticToken {
  readonly name: string
  readonly value: Secret | null
  /** SHA-256 of the token, 64 hex digits. */
  readonly hash: string | null
  readonly level: Level
  readonly owner: string
  readonly tenant: string
  readonly scopes: Allowed
  readonly servers: Allowed
  readonly databases: Allowed
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | null
}

export interface IdentityOptions {
  readonly store: Store
  readonly staticTokens: readonly StaticToken[]
  /** Absolute path of a watched token file; `null` without one. */
  readonly tokenFile: string | null
  /** False with `--no-auth`: every caller is the same local, read-only one. */
  readonly enabled: boolean
  readonly clock: Clock
  readonly observe: Observe
  /** The tenant of tokens that name none. */
  readonly tenantDefault: string
  /**
   * `serve` (when absent) watches the sources, ends credentials and removes expired tokens at start;
   * `manage` is for one command that lists or changes tokens and exits.
   */
  readonly purpose?: 'serve' | 'manage'
}

/** Who may call: the authenticator, the tokens behind it, and what lives as long as they do. */
export interface Identity {
  readonly authenticator: Authenticator
  readonly tokens: Tokens
  readonly lifelines: Lifelines
  /** Takes over the tokens of a changed configuration; ends those that are gone or changed. */
  reload(staticTokens: readonly StaticToken[]): void
  /**
   * Once ever, and only when there is no credential of any kind: issues an admin token. `null` otherwise.
   * A removed token does not bring it back; `postern token add` on the machine always works.
   */
  bootstrapAdmin(): Promise<IssuedToken | null>
  /** False while revocations made elsewhere may arrive late. */
  ready(): boolean
  close(): Promise<void>
}

/**
 * Opens every source of credentials.
 *
 * @throws Fault `config_invalid` when the token file cannot be understood, `store_unavailable`
 */
export async function openIdentity(_options: IdentityOptions): Promise<Identity> {
  return await Promise.reject(new Fault('internal', 'identity cannot be opened yet'))
}
