import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { Fault } from '../../lib/fault.ts'
import { err, ok, type Result } from '../../lib/result.ts'

/** A list that does not end is an attack on memory. Postern's own lists come in pages of hundreds. */
const MOST_PAGES = 200
const MOST_ITEMS = 20_000

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
 * @returns the error that the server answered instead
 * @throws Fault `upstream_invalid` for a list that does not end, or is none
 */
export async function allPages(ask: AskPage, member: string): Promise<Result<readonly Params[], RpcFailure>> {
  const items: Params[] = []
  let cursor: unknown
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await ask(cursor === undefined ? {} : { cursor })
    if (answer.kind === 'error') return err(answer.error)
    const listed = answer.result[member]
    if (!Array.isArray(listed)) throw invalid(`a list without ${member}`)
    for (const item of listed) if (isObject(item)) items.push(item)
    if (items.length > MOST_ITEMS) throw invalid(`more than ${MOST_ITEMS} ${member}`)
    const next = answer.result['nextCursor']
    if (next === undefined || next === null) return ok(items)
    if (typeof next !== 'string' || next === cursor) throw invalid('a list whose cursor leads nowhere')
    cursor = next
  }
  throw invalid(`a list of more than ${MOST_PAGES} pages`)
}

const invalid = (what: string): Fault =>
  new Fault('upstream_invalid', 'The MCP server answered with a list that cannot be read.', {
    cause: new Error(what),
  })
