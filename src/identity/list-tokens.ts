import { listTokenUses } from '../store/token-uses.ts'
import { listTokens } from '../store/tokens.ts'
import { knownFromRow } from './issued-tokens.ts'
import { toRecord } from './known.ts'
import type { TokenPlaces } from './token-places.ts'
import type { TokenRecord, Tokens } from './tokens.ts'

/** Small enough not to hold up the event loop, which SQLite shares. */
const PAGE_ROWS = 500

export function listAllTokens(places: TokenPlaces): Tokens['list'] {
  return async () => {
    const { store, uses, clock, config, fileTokens } = places
    const now = clock.now()
    const used = await readUses(places)
    const lastUse = (id: string): number | undefined => uses.get(id) ?? used.get(id)
    const records: TokenRecord[] = []
    for (const known of [...config.all, ...fileTokens.all]) {
      records.push(toRecord(known, now, { lastUsedAt: lastUse(known.caller.credential.id) }))
    }
    for (let after = ''; ;) {
      const page = await listTokens(store.db, after, PAGE_ROWS)
      for (const row of page) {
        records.push(
          toRecord(knownFromRow(row), now, { revoked: row.revokedAt !== null, lastUsedAt: lastUse(row.id) }),
        )
      }
      const last = page.at(-1)
      if (!last || page.length < PAGE_ROWS) break
      after = last.id
      await new Promise(setImmediate)
    }
    return records.sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0) || (a.id < b.id ? -1 : 1))
  }
}

async function readUses({ store }: TokenPlaces): Promise<ReadonlyMap<string, number>> {
  const used = new Map<string, number>()
  for (let after = ''; ;) {
    const page = await listTokenUses(store.db, after, PAGE_ROWS)
    for (const { credentialId, lastUsedAt } of page) used.set(credentialId, lastUsedAt)
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return used
    after = last.credentialId
    await new Promise(setImmediate)
  }
}
