import { err, ok } from '../lib/result.ts'
import { revokeToken } from '../store/tokens.ts'
import { findToken, type FoundToken } from './find-token.ts'
import { toRecord } from './known.ts'
import type { TokenPlaces } from './token-places.ts'
import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'
import type { Tokens } from './tokens.ts'

/**
 * Ends a token at once. One in the store stays on record as revoked; one in the token file is deleted from
 * it; one of the configuration is refused, because the next reload would bring it back.
 */
export function removeToken(places: TokenPlaces): Tokens['remove'] {
  return async (idOrHashPrefix) => {
    const found = await findToken(places, idOrHashPrefix)
    if (!found.ok) return found
    const { known, source } = found.value
    if (source === 'config') return err(inConfiguration(known.caller.credential.name))
    const removed =
      source === 'store'
        ? await removeFromStore(places, found.value)
        : await removeFromFile(places, found.value)
    if (!removed) {
      return err(tokenRefusal('conflict', 'token.revoked', 'that token has been removed already'))
    }
    return ok(toRecord(known, places.clock.now(), { revoked: true }))
  }
}

async function removeFromStore(
  { store, issued, clock }: TokenPlaces,
  { row }: FoundToken & { readonly source: 'store' },
): Promise<boolean> {
  const revokedAt = clock.now()
  const revision = await store.change('tokens', async (trx, revision) =>
    (await revokeToken(trx, row.id, revokedAt, revision)) ? revision : undefined,
  )
  if (revision === undefined) return false
  await issued.takeOver({ ...row, revokedAt, revision })
  return true
}

async function removeFromFile({ file }: TokenPlaces, { known }: FoundToken): Promise<boolean> {
  const { id } = known.caller.credential
  let removed = false
  await file?.change((tokens) => {
    removed = tokens.some((token) => token.id === id && token.hash === known.hash)
    return removed ? { remove: new Set([id]) } : undefined
  })
  return removed
}

export function inConfiguration(name: string): TokenRefusal {
  return tokenRefusal('conflict', 'token.config', `token "${name}" is part of the configuration`, {
    allowed: 'edit auth.tokens in the configuration file; a running server takes the change over',
  })
}
