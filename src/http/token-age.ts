import type { Caller } from '../identity/caller.ts'
import type { Level } from '../identity/grant.ts'
import { DAY_MS } from '../lib/duration.ts'

/** After how many days a token of each level should be replaced. */
const RECOMMENDED_AGE_DAYS: Readonly<Record<Level, number>> = {
  'read-only': 90,
  'read-write': 30,
  admin: 14,
}

/** The value of `Postern-Token-Age`: the token's age in whole days once it is past the recommended age. */
export function overdueTokenAge({ credential, grant }: Caller, now: number): string | undefined {
  if (credential.createdAt === null) return undefined
  const days = Math.floor((now - credential.createdAt) / DAY_MS)
  return days > RECOMMENDED_AGE_DAYS[grant.level] ? String(days) : undefined
}
