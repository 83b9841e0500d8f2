/** Severities of log messages by the names of MCP, rising (RFC 5424 §6.2.1). */
const LEVELS: readonly unknown[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
]

export const isLogLevel = (level: unknown): level is string => LEVELS.includes(level)

/**
 * Whether a message of one level is wanted by somebody who asked for another. A level that does not exist is not: many
 * clients read a message that has one as broken. Who asked for none gets what there is.
 */
export const isWanted = (level: unknown, least: string | undefined): boolean =>
  least === undefined || (isLogLevel(level) && LEVELS.indexOf(level) >= LEVELS.indexOf(least))

/** The level that tells the most. */
export function mostTelling(levels: Iterable<string>): string | undefined {
  let best: string | undefined
  for (const level of levels)
    if (best === undefined || LEVELS.indexOf(level) < LEVELS.indexOf(best)) best = level
  return best
}
