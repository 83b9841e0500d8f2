import type { Caller } from '../../identity/caller.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import { withoutOwnMeta } from '../../tools/backend/without-own-meta.ts'
import { isObject, type Params } from '../message.ts'

/** Changes a message on its way to the client; answers the same object when it may pass as it is. */
export type Rework = (message: Params) => Params

/** Hears that the tools are others: what was learnt of them holds no longer, such as that one only reads. */
export const hearsOfTools =
  (backend: Backend): Rework =>
  (message) => {
    if (message.method === 'notifications/tools/list_changed') backend.forget?.()
    return message
  }

/**
 * Takes the tools that a caller may not call off a `tools/list` result. What is left is this caller's own, so no
 * cache may keep it for others (2026-07-28 caching, `cacheScope`).
 */
export const onlyVisibleTools =
  (backend: Backend, caller: Caller): Rework =>
  (message) => {
    const { method, result } = message
    if (method === 'notifications/tools/list_changed') backend.forget?.()
    if (!isObject(result) || !Array.isArray(result.tools)) return message
    const tools = backend.visibleTools(caller, result.tools.filter(isObject))
    const scope = result.cacheScope === undefined ? {} : { cacheScope: 'private' }
    return { ...message, result: { ...withoutOwnMeta(result), tools, ...scope } }
  }
