import { DAY_MS } from '../lib/duration.ts'
import type { Level } from './grant.ts'

/** How long a token lives when nobody says otherwise, and after what age it should be rotated. Milliseconds. */
export const RECOMMENDED_AGE_MS: Readonly<Record<Level, number>> = {
  'read-only': 90 * DAY_MS,
  'read-write': 30 * DAY_MS,
  admin: 14 * DAY_MS,
}

/** @param createdAt `null` where the source does not say: such a token is never flagged */
export function rotationDue(level: Level, createdAt: number | null, now: number): boolean {
  return createdAt !== null && now - createdAt > RECOMMENDED_AGE_MS[level]
}
