import type { Params } from '../../../lib/json-rpc.ts'

/** The list methods, and what identifies an item of each. */
export const LISTS = {
  'tools/list': { member: 'tools', capability: 'tools', id: 'name', prefixed: true },
  'prompts/list': { member: 'prompts', capability: 'prompts', id: 'name', prefixed: true },
  'resources/list': { member: 'resources', capability: 'resources', id: 'uri', prefixed: false },
  'resources/templates/list': {
    member: 'resourceTemplates',
    capability: 'resources',
    id: 'uriTemplate',
    prefixed: false,
  },
} as const

export type ListMethod = keyof typeof LISTS

export const isListMethod = (method: string): method is ListMethod => Object.hasOwn(LISTS, method)

/** Something that a list should have and has not, told in its `_meta`. */
export interface LeftOut {
  readonly server: string
  /** The tool or prompt, where it is only that. */
  readonly name?: string
  readonly code: string
  readonly message: string
}

/** The key of `_meta` under which a list tells what it had to leave out. */
export const UNAVAILABLE_KEY = 'postern/unavailable'

/** Items of all servers, in the order in which they are told. */
export interface MergedList {
  readonly items: readonly { readonly key: string; readonly item: Params }[]
  readonly leftOut: readonly LeftOut[]
}

/** Large, because each page is fetched from nobody: the whole list is there. */
const PAGE = 500

const LONGEST_CURSOR = 2_048

/**
 * One page. A cursor names the last item of the page before, so it stays good while others come and go.
 *
 * @returns undefined for a cursor that names no item
 */
export function pageOf(list: MergedList, method: ListMethod, cursor: unknown): Params | undefined {
  const start = cursor === undefined ? 0 : startAfter(list, cursor)
  if (start === undefined) return undefined
  const page = list.items.slice(start, start + PAGE)
  const last = page.at(-1)
  const more = last !== undefined && start + page.length < list.items.length
  return {
    [LISTS[method].member]: page.map(({ item }) => item),
    ...(more ? { nextCursor: Buffer.from(last.key, 'utf8').toString('base64url') } : {}),
    ...(list.leftOut.length === 0 ? {} : { _meta: { [UNAVAILABLE_KEY]: list.leftOut } }),
  }
}

function startAfter({ items }: MergedList, cursor: unknown): number | undefined {
  if (typeof cursor !== 'string' || cursor.length > LONGEST_CURSOR) return undefined
  const key = Buffer.from(cursor, 'base64url').toString('utf8')
  const at = items.findIndex((one) => one.key === key)
  return at === -1 ? undefined : at + 1
}
