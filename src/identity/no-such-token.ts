import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'

/** Fewer digits of a hash name too many tokens by chance. */
const SHORTEST_PREFIX = 8

/**
 * The answer to a name that fits no token: neither an id nor the beginning of a hash. An administrator of one
 * tenant gets the same for a token of another, and must not be able to tell the two apart.
 */
export function noSuchToken(name: string): TokenRefusal {
  const prefix = asPrefix(name)
  if (prefix === undefined) return tokenRefusal('not_found', 'token.id', 'there is no token with that id')
  return (
    tooShort(prefix, []) ?? tokenRefusal('not_found', 'token.prefix', 'no token has that id or hash prefix')
  )
}

/** What could be the beginning of a hash, in small letters. */
export function asPrefix(name: string): string | undefined {
  const prefix = name.trim().toLowerCase()
  return /^[0-9a-f]{1,64}$/.test(prefix) ? prefix : undefined
}

export const tooShort = (prefix: string, candidates: readonly string[]): TokenRefusal | undefined =>
  prefix.length >= SHORTEST_PREFIX
    ? undefined
    : tokenRefusal(
        'invalid_arguments',
        'token.prefix',
        `"${prefix}" is too short: a hash prefix needs at least ${SHORTEST_PREFIX} digits`,
        { allowed: `an id, or at least ${SHORTEST_PREFIX} digits of the hash`, candidates },
      )
