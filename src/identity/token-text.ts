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

export const newTokenId = (): string => ISSUED_ID_PREFIX + uuidv7()
