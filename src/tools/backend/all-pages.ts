import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { Fault } from '../../lib/fault.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { weight } from './weight.ts'

/** What a list may have. */
export interface ListBounds {
  readonly pages: number
  readonly items: number
  /** About the characters of its JSON text. */
  readonly characters: number
}

/** A list of one server that does not end, or is too heavy, is an attack on memory. */
const OF_A_SERVER: ListBounds = { pages: 200, items: 20_000, characters: 33_554_432 }

/** One page: what the list method answered to a cursor. */
export type AskPage = (
  params: Params,
) => Promise<
  | { readonly kind: 'result'; readonly result: Params }
  | { readonly kind: 'error'; readonly error: RpcFailure }
>

/**
 * Every item of a list method, page by page.
 *
 * @param member the member of the result that has the items, such as `tools`
 * @param bounds what one server may have, unless the list is of several, each of which was bounded
 * @returns the error that the server answered instead
 * @throws Fault `upstream_invalid` for a list that does not end, or is none
 */
export async function allPages(
  ask: AskPage,
  member: string,
  bounds: ListBounds = OF_A_SERVER,
): Promise<Result<readonly Params[], RpcFailure>> {
  const items: Params[] = []
  let cursor: unknown
  let left = bounds.characters
  for (let page = 0; page < bounds.pages; page += 1) {
    const answer = await ask(cursor === undefined ? {} : { cursor })
    if (answer.kind === 'error') return err(answer.error)
    const listed = answer.result[member]
    if (!Array.isArray(listed)) throw invalid(`a list without ${member}`)
    for (const item of listed) if (isObject(item)) items.push(item)
    if (items.length > bounds.items) throw invalid(`more than ${bounds.items} ${member}`)
    if (left !== Number.POSITIVE_INFINITY) left -= weight(listed, left)
    if (left < 0) throw invalid(`a list of more than ${bounds.characters} characters`)
    const next = answer.result['nextCursor']
    if (next === undefined || next === null) return ok(items)
    if (typeof next !== 'string' || next === cursor) throw invalid('a list whose cursor leads nowhere')
    cursor = next
  }
  throw invalid(`a list of more than ${bounds.pages} pages`)
}

const invalid = (what: string): Fault =>
  new Fault('upstream_invalid', 'The MCP server answered with a list that cannot be read.', {
    cause: new Error(what),
  })
