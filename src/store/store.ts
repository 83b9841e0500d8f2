import type { Kysely, Transaction } from 'kysely'
import type { ChangeFeed, Topic } from './change-feed.ts'
import type { StoreKind } from './kind.ts'
import type { StoreSchema } from './schema.ts'

/** The shared state of all replicas and of the command line. */
export interface Store {
  readonly db: Kysely<StoreSchema>
  readonly kind: StoreKind
  readonly feed: ChangeFeed
  /**
   * Runs `work` in a transaction that raises the topic's revision, and tells every process afterwards.
   * Listeners of this process are called before the promise resolves.
   */
  change<T>(topic: Topic, work: (trx: Transaction<StoreSchema>, revision: number) => Promise<T>): Promise<T>
  close(): Promise<void>
  /** @throws Fault `store_unavailable` when the store does not answer */
  ping(): Promise<void>
}
