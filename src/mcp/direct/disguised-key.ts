import type { Params } from '../message.ts'

/** Members of `params` that decisions are made on, or that say what is done with the rest. */
const JUDGED: ReadonlySet<string> = new Set(['name', 'uri', 'arguments', 'task', '_meta'])

/**
 * A key of `params` that is a judged one but for its case. Some servers read JSON without regard to case (Go's
 * `encoding/json` does): they would call the tool in `Name` after the one in `name` was allowed.
 */
export function disguisedKey(params: Params): string | undefined {
  for (const key in params) {
    if (JUDGED.has(key)) continue
    // Both ways, because `ſ` is an `s` only in upper case and the Kelvin sign a `k` only in lower case.
    if (JUDGED.has(key.toUpperCase().toLowerCase())) return key
  }
  return undefined
}
