import { err, ok, type Result } from '../lib/result.ts'
import { findTokenById, findTokensByHashPrefix, type TokenRow } from '../store/tokens.ts'
import { findTokenUse } from '../store/token-uses.ts'
import { knownFromRow } from './issued-tokens.ts'
import { type Known, toRecord } from './known.ts'
import { asPrefix, noSuchToken, tooShort } from './no-such-token.ts'
import type { TokenPlaces } from './token-places.ts'
import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'
import type { Tokens } from './tokens.ts'

/** A token that an administrator named, and where it is. */
export type FoundToken =
  | { readonly source: 'store'; readonly known: Known; readonly row: TokenRow }
  | { readonly source: 'token-file' | 'config'; readonly known: Known }

/** Candidates that a refusal names; more would only fill the screen. */
const MOST_CANDIDATES = 10

/**
 * Finds one token by its id, or by the beginning of its hash. The id goes first, also when it looks like
 * hex digits. Ambiguous and short prefixes are refused with the tokens that could have been meant.
 */
export async function findToken(
  places: TokenPlaces,
  idOrHashPrefix: string,
): Promise<Result<FoundToken, TokenRefusal>> {
  const name = idOrHashPrefix.trim()
  const byId = await findById(places, name)
  if (byId) return ok(byId)
  const prefix = asPrefix(name)
  if (prefix === undefined) return err(noSuchToken(name))
  const found = await findByPrefix(places, prefix)
  const candidates = found.slice(0, MOST_CANDIDATES).map(({ known }) => known.caller.credential.id)
  const short = tooShort(prefix, candidates)
  if (short) return err(short)
  const [only, ...others] = found
  if (!only) return err(noSuchToken(name))
  if (others.length > 0) {
    return err(
      tokenRefusal('conflict', 'token.prefix', `"${prefix}" names ${found.length} tokens`, {
        allowed: 'an id, or more digits of the hash',
        candidates,
      }),
    )
  }
  return ok(only)
}

/** Every token that a name could mean, where `findToken` wants exactly one; of the store no more than a few. */
export function findMeant(places: TokenPlaces): Tokens['find'] {
  return async (idOrHashPrefix) => {
    const { store, uses, clock } = places
    const name = idOrHashPrefix.trim()
    const byId = await findById(places, name)
    const prefix = asPrefix(name)
    const found = byId ? [byId] : prefix === undefined ? [] : await findByPrefix(places, prefix)
    const now = clock.now()
    return await Promise.all(
      found.map(async (one) => {
        const { id } = one.known.caller.credential
        const lastUsedAt = uses.get(id) ?? (await findTokenUse(store.db, id))
        return toRecord(one.known, now, {
          revoked: one.source === 'store' && one.row.revokedAt !== null,
          lastUsedAt,
        })
      }),
    )
  }
}

async function findById(places: TokenPlaces, id: string): Promise<FoundToken | undefined> {
  for (const [source, tokens] of loadedSources(places)) {
    for (const known of tokens.all) if (known.caller.credential.id === id) return { source, known }
  }
  const row = await findTokenById(places.store.db, id)
  return row && { source: 'store', known: knownFromRow(row), row }
}

async function findByPrefix(places: TokenPlaces, prefix: string): Promise<readonly FoundToken[]> {
  const found: FoundToken[] = []
  for (const [source, tokens] of loadedSources(places)) {
    for (const known of tokens.all) if (known.hash.startsWith(prefix)) found.push({ source, known })
  }
  const rows = await findTokensByHashPrefix(places.store.db, prefix, MOST_CANDIDATES + 1)
  return [...found, ...rows.map((row) => ({ source: 'store' as const, known: knownFromRow(row), row }))]
}

const loadedSources = ({ config, fileTokens }: TokenPlaces) =>
  [
    ['token-file', fileTokens],
    ['config', config],
  ] as const
