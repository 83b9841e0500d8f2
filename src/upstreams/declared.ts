import { isObject, type Params } from '../lib/json-rpc.ts'

/** The capability of a client that each request of a server needs. */
const NEEDED: Readonly<Record<string, string>> = {
  'sampling/createMessage': 'sampling',
  'elicitation/create': 'elicitation',
  'roots/list': 'roots',
  'tasks/get': 'tasks',
  'tasks/result': 'tasks',
  'tasks/list': 'tasks',
  'tasks/cancel': 'tasks',
}

/** Whether a client that declared these capabilities expects this request of a server. */
export function isDeclared(capabilities: Params, method: string, params: Params): boolean {
  const name = NEEDED[method]
  const declared = name === undefined ? undefined : capabilities[name]
  if (!isObject(declared)) return false
  if (method !== 'elicitation/create') return true
  // 2025-11-25 client/elicitation: without modes, the capability means forms.
  const mode = params['mode'] ?? 'form'
  if (mode === 'form') return 'form' in declared || !('url' in declared)
  return typeof mode === 'string' && mode in declared
}
