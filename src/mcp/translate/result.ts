import { isObject, type Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { contentFor, contentsFor } from './content.ts'
import { has } from './features.ts'
import { promptFor, resourceFor, toolFor } from './listed.ts'
import { without } from './without.ts'

/** How long a client may keep a list of a server that does not say it. Short: grants and tools may change. */
export const LIST_TTL_MS = 60_000

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo'

/** Results that a client may keep (2026-07-28 caching). */
const CACHEABLE: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])

/**
 * What a server answered, as a client of that revision knows it: less what is newer, and with what its revision
 * asks of every result.
 */
export function resultFor(method: string, result: Params, revision: Revision, serverInfo: Params): Params {
  const known = bodyFor(method, result, revision)
  if (!has(revision, 'result_type')) return without(known, 'ttlMs', 'cacheScope', 'resultType')
  return {
    resultType: 'complete',
    ...known,
    ...(CACHEABLE.has(method) ? cachingOf(method, result) : {}),
    _meta: { [SERVER_INFO]: serverInfo, ...(isObject(result._meta) ? result._meta : {}) },
  }
}

/**
 * A list holds what its caller may use, so it is nobody else's: whatever the server says, `cacheScope` is private.
 * What was read is not kept unless its server says that it may be.
 */
function cachingOf(method: string, { ttlMs }: Params): Params {
  const given = typeof ttlMs === 'number' && Number.isSafeInteger(ttlMs) && ttlMs >= 0
  return {
    ttlMs: given ? ttlMs : method === 'resources/read' ? 0 : LIST_TTL_MS,
    cacheScope: 'private',
  }
}

function bodyFor(method: string, result: Params, revision: Revision): Params {
  switch (method) {
    case 'tools/list':
      return eachOf(result, 'tools', (tool) => toolFor(tool, revision))
    case 'prompts/list':
      return eachOf(result, 'prompts', (prompt) => promptFor(prompt, revision))
    case 'resources/list':
      return eachOf(result, 'resources', (resource) => resourceFor(resource, revision))
    case 'resources/templates/list':
      return eachOf(result, 'resourceTemplates', (template) => resourceFor(template, revision))
    case 'tools/call':
    case 'tasks/result':
      return callResultFor(result, revision)
    case 'prompts/get':
      return eachOf(result, 'messages', (message) => ({
        ...message,
        content: contentFor(message.content, revision),
      }))
    default:
      return result
  }
}

function eachOf(result: Params, member: string, change: (item: Params) => Params): Params {
  const items = result[member]
  if (!Array.isArray(items)) return { ...result, [member]: [] }
  return { ...result, [member]: items.map((item: unknown) => (isObject(item) ? change(item) : item)) }
}

function callResultFor(result: Params, revision: Revision): Params {
  // A task was made of the call: there is no content yet.
  if (isObject(result.task)) return result
  const content = Array.isArray(result.content) ? (result.content as readonly unknown[]) : []
  const { structuredContent } = result
  const known = { ...result, content: contentsFor(content, revision) }
  if (structuredContent === undefined || knowsStructured(structuredContent, revision)) return known
  // Whoever cannot read the structure must still get what it says.
  const text = { type: 'text', text: JSON.stringify(structuredContent) }
  return { ...without(known, 'structuredContent'), content: content.length > 0 ? known.content : [text] }
}

const knowsStructured = (value: unknown, revision: Revision): boolean =>
  has(revision, 'structured_content_of_any_type') || (has(revision, 'structured_content') && isObject(value))
