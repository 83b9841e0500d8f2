import type { Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { has } from './features.ts'

/** The same object less some members; itself when it has none of them. */
export function without(item: Params, ...names: readonly string[]): Params {
  if (!names.some((name) => name in item)) return item
  const rest: Record<string, unknown> = { ...item }
  for (const name of names) delete rest[name]
  return rest
}

export const lessIcons = (item: Params, revision: Revision): Params =>
  has(revision, 'icons') ? item : without(item, 'icons')

export const lessTitle = (item: Params, revision: Revision): Params =>
  has(revision, 'titles') ? item : without(item, 'title')
