import type { Params } from '../../../lib/json-rpc.ts'
import { LISTS, type LeftOut, type ListMethod, type MergedList } from './lists.ts'
import type { Names } from './names.ts'

/** What one server contributed: items, or why there are none. `server` is empty for Postern's own. */
export interface Part {
  readonly server: string
  readonly items: readonly Params[]
  readonly leftOut?: LeftOut
}

const NAME_PROBLEMS = {
  name_too_long: 'its prefixed name would be too long: call it at the address of its server',
  name_taken: 'its prefixed name means something else: call it at the address of its server',
} as const

/**
 * Puts the lists of many servers together: servers in the order given, items by name. What two servers have under
 * the same address is the first one's. Pure, so that the same answers make the same list.
 */
export function mergeLists(method: ListMethod, parts: readonly Part[], names: Names): MergedList {
  const { id, prefixed } = LISTS[method]
  const seen = new Set<string>()
  const items: { key: string; item: Params }[] = []
  const leftOut: LeftOut[] = []
  for (const part of parts) {
    const { server } = part
    if (part.leftOut) leftOut.push(part.leftOut)
    const byId = part.items
      .map((item) => ({ own: item[id], item }))
      .filter((one): one is { own: string; item: Params } => typeof one.own === 'string' && one.own !== '')
      .toSorted((a, b) => (a.own < b.own ? -1 : a.own > b.own ? 1 : 0))
    for (const { own, item } of byId) {
      let told = own
      if (prefixed && server !== '') {
        const offered = names.offer({ server, name: own })
        const problem = 'problem' in offered ? offered.problem : undefined
        if (problem !== undefined) {
          leftOut.push({ server, name: own, code: problem, message: NAME_PROBLEMS[problem] })
          continue
        }
        told = names.join({ server, name: own })
      }
      if (seen.has(told)) continue
      seen.add(told)
      items.push({ key: `${server}\n${own}`, item: told === own ? item : { ...item, [id]: told } })
    }
  }
  return { items, leftOut }
}
