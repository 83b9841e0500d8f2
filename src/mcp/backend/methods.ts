import { isObject, type Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import type { ServerFacts } from '../../upstreams/conversation.ts'
import { sharesTasks, TASKS_EXTENSION } from '../translate/facts.ts'
import { has } from '../translate/features.ts'

/**
 * Whether a method goes on to the server. A switch and never a table: a method called `constructor` must be
 * nothing but unknown. What a revision does not have is unknown in it, even where the server knows it.
 */
export function isForwarded(method: string, revision: Revision, about: ServerFacts): boolean {
  switch (method) {
    case 'tools/list':
    case 'tools/call':
    case 'prompts/list':
    case 'prompts/get':
    case 'resources/list':
    case 'resources/templates/list':
    case 'resources/read':
    case 'completion/complete':
      return true
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return has(revision, 'resource_subscribe')
    case 'logging/setLevel':
      return has(revision, 'set_level')
    case 'tasks/get':
    case 'tasks/cancel':
      return sharesTasks(about, revision) || sharesTasksExtension(about, revision)
    case 'tasks/list':
    case 'tasks/result':
      return sharesTasks(about, revision)
    case 'tasks/update':
      return sharesTasksExtension(about, revision)
    default:
      return false
  }
}

const sharesTasksExtension = ({ revision, capabilities }: ServerFacts, client: Revision): boolean =>
  has(revision, 'extensions') &&
  has(client, 'extensions') &&
  isObject(capabilities.extensions) &&
  isObject(capabilities.extensions[TASKS_EXTENSION])

/** Requests during which a server may ask its client something (2026-07-28 MRTR, "Supported Requests"). */
export const mayAsk = (method: string): boolean =>
  method === 'tools/call' || method === 'prompts/get' || method === 'resources/read'

/** Members of `_meta` that only carry a message; the next hop has its own. */
const CARRYING =
  /^(?:progressToken|traceparent|tracestate|baggage|io\.modelcontextprotocol\/(?!related-task).*)$/i

/** The params of a request without what its revision added to carry it. */
export function carriedParams(params: Params, revision: Revision, about: ServerFacts): Params {
  const known: Record<string, unknown> = { ...params }
  delete known.inputResponses
  delete known.requestState
  if (!sharesTasks(about, revision)) delete known.task
  if (!isObject(params._meta)) return known
  const meta = Object.fromEntries(Object.entries(params._meta).filter(([name]) => !CARRYING.test(name)))
  if (Object.keys(meta).length === 0) delete known._meta
  else known._meta = meta
  return known
}
