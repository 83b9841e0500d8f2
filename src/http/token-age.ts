import type { Caller } from '../identity/caller.ts'
import { rotationDue } from '../identity/lifetimes.ts'
import { DAY_MS } from '../lib/duration.ts'

/** The value of `Postern-Token-Age`: the token's age in whole days once it is past the recommended age. */
export function overdueTokenAge({ credential, grant }: Caller, now: number): string | undefined {
  if (credential.createdAt === null || !rotationDue(grant.level, credential.createdAt, now)) return undefined
  return String(Math.floor((now - credential.createdAt) / DAY_MS))
}
