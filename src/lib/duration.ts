import { err, ok, type Result } from './result.ts'

const UNITS_MS = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
} as const

export const DAY_MS = UNITS_MS.d

/** The longest life a credential can be given: 100 years, well inside the range of a JavaScript date. */
const LONGEST_EXPIRY_MS = 100 * UNITS_MS.y

/**
 * Reads how long a credential lives: `12h`, `30d`, `2w`, `1y`, or `never`.
 * `m` is refused because people read it as months: the message offers days instead.
 *
 * @returns milliseconds, or `null` for `never`; the error is a sentence for the person who typed it
 */
export function parseExpiry(text: string): Result<number | null, string> {
  const word = text.trim().toLowerCase()
  if (word === 'never') return ok(null)
  const match = /^(\d{1,6})([hdwmy])$/.exec(word)
  if (!match)
    return err(`"${text}" is not an expiry: use hours, days, weeks, years or never (12h, 30d, 2w, 1y, never)`)
  const count = Number(match[1])
  if (match[2] === 'm')
    return err(`"${text}" could mean months or minutes: use days instead, ${count * 30}d for ${count} months`)
  if (count === 0) return err(`"${text}" has already passed: use at least 1h`)
  const lengthMs = count * UNITS_MS[match[2] as 'h' | 'd' | 'w' | 'y']
  if (lengthMs > LONGEST_EXPIRY_MS)
    return err(`"${text}" is longer than 100y: use never for a credential that does not expire`)
  return ok(lengthMs)
}

/** Reads a length of time from configuration: `250ms`, `30s`, `5m`, `2h`, `1d`, or a bare number of milliseconds. */
export function parseDuration(text: string | number): Result<number, string> {
  if (typeof text === 'number')
    return Number.isSafeInteger(text) && text >= 0 ? ok(text) : err(`${text} is not a number of milliseconds`)
  const match = /^(\d{1,9})\s*(ms|s|m|h|d|w)$/.exec(text.trim())
  if (!match) return err(`"${text}" is not a length of time: use 250ms, 30s, 5m, 2h or 1d`)
  const unit = match[2] as 'ms' | 's' | 'm' | 'h' | 'd' | 'w'
  return ok(Number(match[1]) * (unit === 'ms' ? 1 : UNITS_MS[unit]))
}

/** A length of time in the largest unit that says it exactly, as `parseDuration` reads it: `90s`, `2h`. */
export function formatDuration(ms: number): string {
  const units = ['d', 'h', 'm', 's'] as const
  const unit = units.find((one) => ms >= UNITS_MS[one] && ms % UNITS_MS[one] === 0)
  return unit === undefined ? `${ms}ms` : `${ms / UNITS_MS[unit]}${unit}`
}
