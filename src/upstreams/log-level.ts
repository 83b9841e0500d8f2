/** RFC 5424 §6.2.1 by the names of MCP, the least severe first. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** Whether a message of one level is wanted by somebody who asked for another. Unknown levels are let through. */
export function isWanted(level: unknown, least: string | undefined): boolean {
  if (least === undefined || typeof level !== 'string') return true
  const at = LEVELS.indexOf(level)
  return at === -1 || at >= LEVELS.indexOf(least)
}

/** The level that tells the most. */
export function mostTelling(levels: Iterable<string>): string | undefined {
  let best: string | undefined
  for (const level of levels)
    if (best === undefined || LEVELS.indexOf(level) < LEVELS.indexOf(best)) best = level
  return best
}

export const isLogLevel = (level: unknown): level is string =>
  typeof level === 'string' && LEVELS.includes(level)
