import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export interface Revision {
  readonly topic: string
  readonly revision: number
}

/**
 * Raises a topic's revision and answers it. The row lock that this takes (in SQLite: the write lock that
 * the transaction holds already) orders writers, so revisions become visible in the order they count.
 */
export async function raiseRevision(db: Kysely<StoreSchema>, topic: string): Promise<number> {
  const row = await db
    .insertInto('changes')
    .values({ topic, revision: 1 })
    .onConflict((conflict) =>
      conflict.column('topic').doUpdateSet((eb) => ({ revision: eb('changes.revision', '+', 1) })),
    )
    .returning('revision')
    .executeTakeFirstOrThrow()
  return row.revision
}

export async function readRevisions(db: Kysely<StoreSchema>): Promise<readonly Revision[]> {
  return await db.selectFrom('changes').select(['topic', 'revision']).execute()
}
