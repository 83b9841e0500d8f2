import { randomBytes } from 'node:crypto'
import { uuidv7 } from 'uuidv7'
import { sha256Hex } from '../lib/digest.ts'
import { Secret } from '../lib/secret.ts'

/** The prefix lets secret scanners find a token that was pasted into the wrong place. */
const TOKEN_PREFIX = 'pst_'

/** Ids of issued tokens; no other source may use this prefix. They sort by the time of their making. */
export const ISSUED_ID_PREFIX = 'tok_'

/** A new token: 256 random bits, so that a plain SHA-256 is enough to store. */
export function newToken(): { readonly token: Secret; readonly hash: string } {
  const text = TOKEN_PREFIX + randomBytes(32).toString('base64url')
  return { token: new Secret(text), hash: sha256Hex(text) }
}

/**
 * False for what begins like an issued token and cannot be one: cut off, mistyped, or invented without care.
 * Whether anything else is a token only its hash can tell.
 */
export const mayBeToken = (text: string): boolean =>
  !text.startsWith(TOKEN_PREFIX) || /^[A-Za-z0-9_-]{43}$/.test(text.slice(TOKEN_PREFIX.length))

export const newTokenId = (): string => ISSUED_ID_PREFIX + uuidv7()
