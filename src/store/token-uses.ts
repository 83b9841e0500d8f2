import type { Kysely } from 'kysely'
import type { StoreSchema } from './schema.ts'

export interface TokenUse {
  readonly credentialId: string
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number
}

/** Rows of one statement: 2 values each, far below both engines' limits. */
const USES_PER_STATEMENT = 1_000

/** Records uses. A replica whose clock or batch is behind does not turn the time back. */
export async function recordTokenUses(db: Kysely<StoreSchema>, uses: readonly TokenUse[]): Promise<void> {
  for (let start = 0; start < uses.length; start += USES_PER_STATEMENT) {
    await db
      .insertInto('token_uses')
      .values(
        uses
          .slice(start, start + USES_PER_STATEMENT)
          .map((use) => ({ credential_id: use.credentialId, last_used_at: use.lastUsedAt })),
      )
      .onConflict((conflict) =>
        conflict
          .column('credential_id')
          .doUpdateSet((eb) => ({ last_used_at: eb.ref('excluded.last_used_at') }))
          .whereRef('token_uses.last_used_at', '<', 'excluded.last_used_at'),
      )
      .execute()
  }
}

/** When a credential was last used; `undefined` when it never was. */
export async function findTokenUse(
  db: Kysely<StoreSchema>,
  credentialId: string,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('token_uses')
    .select('last_used_at')
    .where('credential_id', '=', credentialId)
    .executeTakeFirst()
  return row?.last_used_at
}

/** A page of uses in the order of credential ids. */
export async function listTokenUses(
  db: Kysely<StoreSchema>,
  afterId: string,
  limit: number,
): Promise<readonly TokenUse[]> {
  const rows = await db
    .selectFrom('token_uses')
    .select(['credential_id as credentialId', 'last_used_at as lastUsedAt'])
    .where('credential_id', '>', afterId)
    .orderBy('credential_id')
    .limit(limit)
    .execute()
  return rows
}

/** Forgets uses older than `before`: their credentials are gone, or nobody will miss the date. */
export async function deleteTokenUsesBefore(db: Kysely<StoreSchema>, before: number): Promise<void> {
  await db.deleteFrom('token_uses').where('last_used_at', '<', before).execute()
}
