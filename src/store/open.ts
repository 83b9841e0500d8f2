import type { Kysely, Transaction } from 'kysely'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'
import type { ChangeFeed, Topic } from './change-feed.ts'
import type { StoreKind } from './kind.ts'
import type { StoreSchema } from './schema.ts'

export type { ChangeFeed, Topic } from './change-feed.ts'
export type { StoreSchema } from './schema.ts'

export type StoreOptions =
  /** `file` is created with its directory when it is missing. */
  { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: Secret }

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

/**
 * Opens the store and brings its schema up to date.
 *
 * @throws Fault `data_dir_unusable`, `store_unavailable`, `store_newer`
 */
export async function openStore(
  _options: StoreOptions,
  _parts: { readonly clock: Clock; readonly observe: Observe },
): Promise<Store> {
  return await Promise.reject(new Fault('store_unavailable', 'the store cannot be opened yet'))
}
