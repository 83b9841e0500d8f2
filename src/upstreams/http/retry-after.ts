/** Nobody is told to come back later than that, whatever an upstream says. */
const LONGEST_S = 3_600

/**
 * Reads `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
 *
 * @returns whole seconds, at least 1; `undefined` when it says nothing that can be read
 */
export function retryAfterOf(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : (Date.parse(text) - nowMs) / 1_000
  return Number.isFinite(seconds) ? Math.min(LONGEST_S, Math.max(1, Math.ceil(seconds))) : undefined
}
