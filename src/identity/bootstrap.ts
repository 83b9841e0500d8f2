import { claimMeta } from '../store/meta.ts'
import { countValidTokens, hasTokens, insertToken } from '../store/tokens.ts'
import { hasAdministrator } from '../store/users.ts'
import { rowOf } from './issue-token.ts'
import { knownFromRow } from './issued-tokens.ts'
import { toRecord } from './known.ts'
import { RECOMMENDED_AGE_MS } from './lifetimes.ts'
import type { TokenPlaces } from './token-places.ts'
import { newToken } from './token-text.ts'
import type { IssuedToken } from './tokens.ts'

/** Set at the first start, whether or not it made a token. */
const MARKER = 'first_start'

/**
 * Makes the first credential of a new store, so that it can be administered although it starts closed. The
 * marker is claimed in the transaction that makes the token: of several processes one wins, and a store
 * that ever had credentials never gets one this way again. Whoever removed the last token meant it.
 */
export async function bootstrapAdmin(places: TokenPlaces): Promise<IssuedToken | null> {
  const { store, issued, clock, observe, config, fileTokens, tenantDefault } = places
  const now = clock.now()
  const { token, hash } = newToken()
  const row = await store.change('tokens', async (trx, revision) => {
    if (!(await claimMeta(trx, MARKER, new Date(now).toISOString()))) return undefined
    if (config.size > 0 || fileTokens.size > 0 || (await hasTokens(trx))) return undefined
    if (await hasAdministrator(trx, tenantDefault)) return undefined
    const fresh = rowOf(
      {
        note: 'first start',
        owner: 'admin',
        level: 'admin',
        tenant: tenantDefault,
        databases: 'all',
        servers: 'all',
        scopes: 'all',
        createdAt: now,
        expiresAt: now + RECOMMENDED_AGE_MS.admin,
      },
      hash,
      revision,
    )
    await insertToken(trx, fresh)
    return fresh
  })
  if (!row) {
    const hasTokensElsewhere = config.size > 0 || fileTokens.size > 0
    const isOpenToSomebody =
      hasTokensElsewhere ||
      (await countValidTokens(store.db, now)) > 0 ||
      (await hasAdministrator(store.db, tenantDefault))
    if (!isOpenToSomebody) {
      observe({
        kind: 'config.warning',
        message: 'there is no valid credential, so nobody can call: issue one with `postern token add`',
      })
    }
    return null
  }
  await issued.takeOver(row)
  return { token, record: toRecord(knownFromRow(row), now) }
}
