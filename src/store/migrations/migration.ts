import type { Transaction } from 'kysely'
import type { StoreSchema } from '../schema.ts'
import type { StoreKind } from '../kind.ts'

/**
 * One step of the schema, forward only. `up` runs in the transaction that also records the step, so that
 * a failed step leaves nothing behind. Once released, a step is never edited: add the next one.
 */
export interface Migration {
  /** Counts from 1 without gaps. */
  readonly version: number
  /** The file's name without its ending. */
  readonly name: string
  up(trx: Transaction<StoreSchema>, kind: StoreKind): Promise<void>
}
