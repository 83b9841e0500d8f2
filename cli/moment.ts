import { DAY_MS } from '../src/lib/duration.ts'

/** `2026-11-22` in UTC. */
export const shortDate = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** `2026-11-22 10:15:30` in UTC. */
export const shortTime = (at: number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ')

const counted = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? '' : 's'}`

/** A length of time in the unit that people would use: `90 days`, `12 hours`, `4 minutes`. */
export function roughly(lengthMs: number): string {
  if (lengthMs >= 2 * DAY_MS) return counted(Math.round(lengthMs / DAY_MS), 'day')
  if (lengthMs >= 3_600_000) return counted(Math.round(lengthMs / 3_600_000), 'hour')
  if (lengthMs >= 60_000) return counted(Math.round(lengthMs / 60_000), 'minute')
  return counted(Math.max(0, Math.round(lengthMs / 1000)), 'second')
}

/** `90 days from now`, `3 hours ago`. */
export const fromNow = (at: number, now: number): string =>
  at >= now ? `${roughly(at - now)} from now` : `${roughly(now - at)} ago`
