/**
 * What a client may ask of a server beside calling a tool, in any revision, and whether it is recorded. Reading
 * content and acting is; lists, pings and completions, of which clients send many, are only decided. A refusal is
 * recorded whatever was asked.
 *
 * A method that is not here is somebody's extension. It may do anything, so it is judged as a tool of that name.
 */
const METHODS: ReadonlyMap<string, 'recorded' | 'decided'> = new Map([
  ['initialize', 'decided'],
  ['server/discover', 'decided'],
  ['ping', 'decided'],
  ['tools/list', 'decided'],
  ['prompts/list', 'decided'],
  ['prompts/get', 'recorded'],
  ['resources/list', 'decided'],
  ['resources/templates/list', 'decided'],
  ['resources/read', 'recorded'],
  ['resources/subscribe', 'recorded'],
  ['resources/unsubscribe', 'decided'],
  ['completion/complete', 'decided'],
  ['logging/setLevel', 'decided'],
  ['subscriptions/listen', 'decided'],
  // Tasks hold what a call that was decided and recorded made (2025-11-25 tasks).
  ['tasks/list', 'decided'],
  ['tasks/get', 'decided'],
  ['tasks/result', 'recorded'],
  ['tasks/update', 'recorded'],
  ['tasks/cancel', 'recorded'],
])

export const isReadingMethod = (method: string): boolean => METHODS.has(method)

export const isRecorded = (method: string): boolean => METHODS.get(method) !== 'decided'
