/** What a change can be about. */
export type Topic = 'tenants' | 'tokens' | 'upstream_credentials' | 'users'

/**
 * Tells that something in the store changed, whoever changed it: this process or another one. It says
 * what changed, never how: a listener reads what it needs after it was told.
 */
export interface ChangeFeed {
  /** Calls `listener` after every committed change of a topic; the returned function ends that. */
  subscribe(listener: (topic: string) => void): () => void
  /**
   * False while changes of other processes may be missed. Whoever caches what the store holds must then
   * ask the store again within seconds. After it turns true, missed changes have been announced.
   */
  healthy(): boolean
}
