import { isObject, type Params } from '../../lib/json-rpc.ts'

/** What is under these keys of `_meta` is said by Postern; a server could pass its own words off as a refusal. */
const OWN = 'postern/'

/** A result of a server without what only Postern may say. The same object where it has nothing of that. */
export function withoutOwnMeta(result: Params): Params {
  const { _meta: meta } = result
  if (!isObject(meta) || !Object.keys(meta).some(isOwn)) return result
  return { ...result, _meta: Object.fromEntries(Object.entries(meta).filter(([key]) => !isOwn(key))) }
}

const isOwn = (key: string): boolean => key.toLowerCase().startsWith(OWN)
