import { nearestWord } from '../../lib/spelling.ts'
import { isAbsent, type MapNode, memberPath } from '../node.ts'
import type { DialectContext } from './dialect.ts'

/**
 * Says of every other key, by name, that it has no effect. Switched-off and empty ones change nothing and
 * are passed over. A key that looks like a misspelt one is a problem: `sslmod: verify-full` or
 * `authToken: [...]` with no effect would be a door left open.
 *
 * @param spelt keys that are spelt as they should be, though they look like a known one
 */
export function ignoreOthers(
  map: MapNode,
  known: readonly string[],
  reasons: Readonly<Record<string, string>>,
  { report }: DialectContext,
  spelt: readonly string[] = [],
): void {
  for (const entry of map.entries) {
    if (known.includes(entry.key) || isAbsent(entry.value)) continue
    const at = { where: entry.where, path: memberPath(map.path, entry.key) }
    const reason = Object.hasOwn(reasons, entry.key) ? reasons[entry.key] : undefined
    const meant =
      reason === undefined && !spelt.includes(entry.key) ? nearestWord(entry.key, known) : undefined
    if (meant !== undefined) {
      report.problem(
        'config_unknown_key',
        at,
        `is not a key of ${map.path === '' ? 'the configuration' : map.path}`,
        meant,
      )
      continue
    }
    report.warning(
      'config_ignored',
      at,
      reason === undefined ? 'has no effect here' : `has no effect here: ${reason}`,
    )
  }
}
