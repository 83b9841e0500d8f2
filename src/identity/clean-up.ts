import { DAY_MS } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import { deleteTokenUsesBefore } from '../store/token-uses.ts'
import { countValidTokens, deleteEndedTokens } from '../store/tokens.ts'
import type { FileToken } from './token-file/entry.ts'
import type { TokenFile } from './token-file/token-file.ts'
import type { TokenPlaces } from './token-places.ts'

/** Revoked tokens stay on record this long. Milliseconds. */
const KEEP_REVOKED_MS = 365 * DAY_MS

/** Dates of last use older than this are forgotten. Milliseconds. */
const KEEP_USES_MS = 2 * 365 * DAY_MS

/** Removes what has expired from every source that can be written, and says what was loaded. */
export async function cleanUp(places: TokenPlaces, observe: Observe): Promise<void> {
  const { store, config, fileTokens, file, clock } = places
  const now = clock.now()
  if (config.size > 0) observe({ kind: 'tokens.loaded', source: 'configuration', count: config.size })
  if (file) {
    observe({ kind: 'tokens.loaded', source: file.path, count: fileTokens.size })
    const removed = await removeExpiredFromFile(file, now, observe)
    if (removed > 0) observe({ kind: 'tokens.expired_removed', source: file.path, count: removed })
  }
  const removed = await store.db
    .transaction()
    .execute(async (trx) => await deleteEndedTokens(trx, now, now - KEEP_REVOKED_MS))
  await deleteTokenUsesBefore(store.db, now - KEEP_USES_MS)
  const count = await countValidTokens(store.db, now)
  observe({ kind: 'tokens.loaded', source: 'store', count })
  if (removed > 0) observe({ kind: 'tokens.expired_removed', source: 'store', count: removed })
}

/** A file that cannot be written, such as a mounted secret, is no reason not to start: what expired is refused anyway. */
async function removeExpiredFromFile(file: TokenFile, now: number, observe: Observe): Promise<number> {
  const isExpired = ({ expiresAt }: FileToken): boolean => expiresAt !== null && expiresAt <= now
  if (!file.tokens.some(isExpired)) return 0
  let expired = new Set<string>()
  try {
    await file.change((tokens) => {
      expired = new Set(tokens.filter(isExpired).map(({ id }) => id))
      return expired.size > 0 ? { remove: expired } : undefined
    })
    return expired.size
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    observe({ kind: 'config.warning', message: `expired tokens were not removed: ${error.message}` })
    return 0
  }
}
