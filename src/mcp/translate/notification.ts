import type { Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { has } from './features.ts'
import { without } from './without.ts'

/** What a server tells, as a client of that revision knows it; `undefined` where it has no word for it. */
export function notificationFor(method: string, params: Params, revision: Revision): Params | undefined {
  switch (method) {
    case 'notifications/progress':
      return has(revision, 'progress_message') ? params : without(params, 'message')
    case 'notifications/elicitation/complete':
      return has(revision, 'elicitation_complete') ? params : undefined
    case 'notifications/tasks/status':
      return has(revision, 'tasks') ? params : undefined
    case 'notifications/message':
    case 'notifications/resources/updated':
    case 'notifications/resources/list_changed':
    case 'notifications/tools/list_changed':
    case 'notifications/prompts/list_changed':
      return params
    default:
      return undefined
  }
}
