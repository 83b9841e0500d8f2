import type { Severity } from './describe.ts'

/** The time of the last line: many fall into one millisecond, and writing it out costs as much as the rest. */
let lastMs = Number.NaN
let lastTime = ''

function isoTime(now: number): string {
  if (now !== lastMs) {
    lastMs = now
    lastTime = new Date(now).toISOString()
  }
  return lastTime
}

/**
 * A log line of plain values, as pino would write it. There is one for each request, and for these pino's general
 * way costs as much as a database row.
 *
 * @param now milliseconds since the epoch
 * @returns `undefined` when some value is not plain: an error, an object, a number that JSON does not have
 */
export function jsonLine(
  severity: Severity,
  msg: string,
  fields: Readonly<Record<string, unknown>>,
  now: number,
): string | undefined {
  let line = `{"level":"${severity.toUpperCase()}","time":"${isoTime(now)}"`
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined) continue
    if (typeof value === 'string') line += `,${JSON.stringify(name)}:${JSON.stringify(value)}`
    else if (value === null || typeof value === 'boolean' || isFiniteNumber(value)) {
      line += `,${JSON.stringify(name)}:${value}`
    } else return undefined
  }
  return `${line},"msg":${JSON.stringify(msg)}}\n`
}

const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value)
