import { sha256Hex } from '../lib/digest.ts'
import { Fault } from '../lib/fault.ts'
import type { Secret } from '../lib/secret.ts'
import type { Allowed, Level } from './grant.ts'
import { type Known, toKnown } from './known.ts'

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

/** Ids of static tokens begin with this; no other source may use it. */
export const STATIC_ID_PREFIX = 'config:'

/**
 * Static tokens of the configuration. Only their hashes are kept; a log shows their names.
 *
 * @throws Fault `config_invalid` when two tokens share a name or a value
 */
export function readStaticTokens(tokens: readonly StaticToken[]): readonly Known[] {
  const names = new Set<string>()
  const nameByHash = new Map<string, string>()
  return tokens.map((token) => {
    const hash = token.value ? sha256Hex(token.value.reveal()) : (token.hash?.toLowerCase() ?? '')
    if (!/^[0-9a-f]{64}$/.test(hash)) {
      throw new Fault('config_invalid', `token "${token.name}" has neither a value nor a SHA-256 hash`)
    }
    const twin = nameByHash.get(hash)
    if (twin !== undefined) {
      throw new Fault('config_invalid', `tokens "${twin}" and "${token.name}" have the same value`)
    }
    if (names.has(token.name)) {
      throw new Fault('config_invalid', `two tokens are named "${token.name}"`)
    }
    names.add(token.name)
    nameByHash.set(hash, token.name)
    return toKnown('static', {
      id: STATIC_ID_PREFIX + token.name,
      hash,
      note: token.name,
      owner: token.owner,
      level: token.level,
      tenant: token.tenant,
      databases: token.databases,
      servers: token.servers,
      scopes: token.scopes,
      createdAt: null,
      expiresAt: token.expiresAt,
    })
  })
}
