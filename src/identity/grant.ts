/** What a credential may do, in rising order. Each level includes the ones before it. */
export const LEVELS = ['read-only', 'read-write', 'admin'] as const

export type Level = (typeof LEVELS)[number]

/** `all` when nothing narrows it; otherwise the names that are allowed, in order of preference. */
export type Allowed = 'all' | readonly string[]

/** What a credential allows: the whole input, beside the call itself, of every decision. */
export interface Grant {
  readonly tenant: string
  readonly level: Level
  readonly scopes: Allowed
  readonly servers: Allowed
  /** The first name is this credential's default database; with `all`, the first configured one is. */
  readonly databases: Allowed
}
