import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'
import { openPostgresStore } from './postgres/open.ts'
import { openSqliteStore } from './sqlite/open.ts'
import type { Store } from './store.ts'

export type { ChangeFeed, Topic } from './change-feed.ts'
export type { StoreSchema } from './schema.ts'
export type { Store } from './store.ts'

export type StoreOptions =
  /** `file` is created with its directory when it is missing. */
  { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: Secret }

/**
 * Opens the store and brings its schema up to date.
 *
 * @throws Fault `data_dir_unusable`, `store_unavailable`, `store_newer`
 */
export async function openStore(
  options: StoreOptions,
  { clock, observe }: { readonly clock: Clock; readonly observe: Observe },
): Promise<Store> {
  return options.kind === 'sqlite'
    ? await openSqliteStore(options.file, clock, observe)
    : await openPostgresStore(options.url, clock, observe)
}
