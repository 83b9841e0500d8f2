/**
 * The requests that pass to a server as they are; anything else is an unknown method. Tasks (2025-11-25) do not:
 * a server keeps them for whoever calls it, which is Postern for all its callers, so one could read another's.
 */
export const SESSION_REQUESTS: ReadonlySet<string> = new Set([
  'ping',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
])

/** What a client may tell a server without an answer; anything else is acknowledged and goes no further. */
export const SESSION_NOTIFICATIONS: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
])

/** 2026-07-28 schema, `ClientRequest`. */
export const STATELESS_REQUESTS: ReadonlySet<string> = new Set([
  'server/discover',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'subscriptions/listen',
])
