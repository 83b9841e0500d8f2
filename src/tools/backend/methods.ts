import { isObject, type Params } from '../../lib/json-rpc.ts'

/**
 * What a method that is no tool call asks for. `use`: what comes with using a server at all. `content`: prompts and
 * resources, which a server that is kept for administrators keeps from others.
 */
type Asks = 'use' | 'content'

interface Method {
  readonly asks: Asks
  readonly recorded: boolean
}

const use: Method = { asks: 'use', recorded: false }
const content: Method = { asks: 'content', recorded: false }
const recorded = (method: Method): Method => ({ ...method, recorded: true })

/**
 * What a client may ask of a server beside calling a tool, in any revision, and whether it is recorded. Reading
 * content and acting is; lists, pings and completions, of which clients send many, are only decided. A refusal is
 * recorded whatever was asked.
 *
 * A method that is not here is somebody's extension. It may do anything, so it is judged as a tool of that name.
 */
const METHODS: ReadonlyMap<string, Method> = new Map([
  ['initialize', use],
  ['server/discover', use],
  ['ping', use],
  ['tools/list', use],
  ['prompts/list', content],
  ['prompts/get', recorded(content)],
  ['resources/list', content],
  ['resources/templates/list', content],
  ['resources/read', recorded(content)],
  ['resources/subscribe', recorded(content)],
  ['resources/unsubscribe', content],
  ['completion/complete', content],
  ['logging/setLevel', use],
  ['subscriptions/listen', use],
  // Tasks hold what a call that was decided and recorded made (2025-11-25 tasks).
  ['tasks/list', use],
  ['tasks/get', use],
  ['tasks/result', recorded(use)],
  ['tasks/update', recorded(use)],
  ['tasks/cancel', recorded(use)],
])

/** In 2026-07-28 resources are subscribed to by listening: that is asked for as `resources/subscribe` is. */
const methodOf = (method: string, params: Params): Method | undefined => {
  if (method !== 'subscriptions/listen') return METHODS.get(method)
  const { notifications } = params
  const uris = isObject(notifications) ? notifications['resourceSubscriptions'] : undefined
  return METHODS.get(uris === undefined ? method : 'resources/subscribe')
}

/** Undefined for what is not of the protocol, and for tool calls. */
export const methodAsks = (method: string, params: Params): Asks | undefined => methodOf(method, params)?.asks

export const isRecorded = (method: string, params: Params): boolean =>
  methodOf(method, params)?.recorded !== false
