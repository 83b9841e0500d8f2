import type { Params } from '../../lib/json-rpc.ts'

/** Members of `params` that decisions are made on, that say what is done with the rest, or that are taken off. */
const JUDGED = [
  'name',
  'uri',
  'arguments',
  'task',
  '_meta',
  'ref',
  'notifications',
  'requestState',
  'inputResponses',
] as const

// Both ways, because `ſ` is an `s` only in upper case and the Kelvin sign a `k` only in lower case.
const folded = (key: string): string => key.toUpperCase().toLowerCase()

const BY_FOLDED: ReadonlyMap<string, string> = new Map(JUDGED.map((key) => [folded(key), key]))

/**
 * A key of `params` that is a judged one but for its case. Some servers read JSON without regard to case (Go's
 * `encoding/json` does): they would call the tool in `Name` after the one in `name` was allowed.
 */
export function disguisedKey(params: Params): string | undefined {
  for (const key in params) {
    // Nearly every key is spelled as it should be: folding makes two strings.
    if (PLAIN.has(key)) continue
    if ((BY_FOLDED.get(folded(key)) ?? key) !== key) return key
  }
  return undefined
}

const PLAIN: ReadonlySet<string> = new Set([...JUDGED, 'cursor', 'level', 'argument', 'context'])
