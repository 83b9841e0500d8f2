import type { Kysely, Selectable } from 'kysely'
import type { StoreSchema, TokensTable } from './schema.ts'

/** An issued token as the identity room reads and writes it. `null` lists mean `all`. */
export interface TokenRow {
  readonly id: string
  /** SHA-256 of the token, 64 lower-case hex digits. */
  readonly hash: string
  readonly note: string
  readonly owner: string
  readonly level: string
  readonly tenant: string
  readonly databases: readonly string[] | null
  readonly servers: readonly string[] | null
  readonly scopes: readonly string[] | null
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  readonly replacedBy: string | null
  readonly revision: number
}

/** @throws whatever the engine throws for a taken id or hash: both are random, so that is a defect */
export async function insertToken(db: Kysely<StoreSchema>, row: TokenRow): Promise<void> {
  await db.insertInto('tokens').values(toColumns(row)).execute()
}

/** Rows of one INSERT: 14 values each, under SQLite's 32,766 and PostgreSQL's 65,535 parameters. */
const ROWS_PER_INSERT = 1_000

export async function insertTokens(db: Kysely<StoreSchema>, rows: readonly TokenRow[]): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    await db
      .insertInto('tokens')
      .values(rows.slice(start, start + ROWS_PER_INSERT).map(toColumns))
      .execute()
  }
}

export async function findTokenByHash(db: Kysely<StoreSchema>, hash: string): Promise<TokenRow | undefined> {
  const row = await db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst()
  return row && fromColumns(row)
}

export async function findTokenById(db: Kysely<StoreSchema>, id: string): Promise<TokenRow | undefined> {
  const row = await db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst()
  return row && fromColumns(row)
}

/** Tokens whose hash begins with lower-case hex digits and that are not revoked; a range the index serves. */
export async function findTokensByHashPrefix(
  db: Kysely<StoreSchema>,
  prefix: string,
  limit: number,
): Promise<readonly TokenRow[]> {
  const rows = await db
    .selectFrom('tokens')
    .selectAll()
    .where('hash', '>=', prefix)
    // `g` is the first character after the hex digits.
    .where('hash', '<', `${prefix}g`)
    .where('revoked_at', 'is', null)
    .orderBy('hash')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

/** Up to `limit` tokens written after a revision, whether by this process or another one. */
export async function readTokensAfter(
  db: Kysely<StoreSchema>,
  revision: number,
  limit: number,
): Promise<readonly TokenRow[]> {
  const rows = await db
    .selectFrom('tokens')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

/** A page of all tokens in the order of their ids, which is the order in which they were made. */
export async function listTokens(
  db: Kysely<StoreSchema>,
  afterId: string,
  limit: number,
): Promise<readonly TokenRow[]> {
  const rows = await db
    .selectFrom('tokens')
    .selectAll()
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(fromColumns)
}

export async function countValidTokens(db: Kysely<StoreSchema>, now: number): Promise<number> {
  const row = await db
    .selectFrom('tokens')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .executeTakeFirstOrThrow()
  return row.count
}

/** True when a token was ever issued and is still on record, valid or not. */
export async function hasTokens(db: Kysely<StoreSchema>): Promise<boolean> {
  return (await db.selectFrom('tokens').select('id').limit(1).executeTakeFirst()) !== undefined
}

/** Revokes a token unless that was done before; answers whether this call did it. */
export async function revokeToken(
  db: Kysely<StoreSchema>,
  id: string,
  revokedAt: number,
  revision: number,
): Promise<boolean> {
  const row = await db
    .updateTable('tokens')
    .set({ revoked_at: revokedAt, revision })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Revokes all of a tenant; answers how many there were. */
export async function revokeTokensOfTenant(
  db: Kysely<StoreSchema>,
  tenant: string,
  revokedAt: number,
  revision: number,
): Promise<number> {
  const updated = await db
    .updateTable('tokens')
    .set({ revoked_at: revokedAt, revision })
    .where('tenant', '=', tenant)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return Number(updated.numUpdatedRows)
}

/** Names the successor of a token that has none and is not revoked; of two rotations at once one succeeds. */
export async function replaceToken(
  db: Kysely<StoreSchema>,
  id: string,
  change: {
    readonly replacedBy: string
    readonly expiresAt: number | null
    readonly revokedAt: number | null
  },
  revision: number,
): Promise<boolean> {
  const row = await db
    .updateTable('tokens')
    .set({
      replaced_by: change.replacedBy,
      expires_at: change.expiresAt,
      revoked_at: change.revokedAt,
      revision,
    })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where('replaced_by', 'is', null)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** Deletes what expired by `now`, and what was revoked before `revokedBefore`; answers how many expired. */
export async function deleteEndedTokens(
  db: Kysely<StoreSchema>,
  now: number,
  revokedBefore: number,
): Promise<number> {
  await db.deleteFrom('tokens').where('revoked_at', '<', revokedBefore).execute()
  const deleted = await db
    .deleteFrom('tokens')
    .where('expires_at', '<=', now)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return Number(deleted.numDeletedRows)
}

function toColumns(row: TokenRow): Selectable<TokensTable> {
  return {
    id: row.id,
    hash: row.hash,
    note: row.note,
    owner: row.owner,
    level: row.level,
    tenant: row.tenant,
    databases: row.databases && JSON.stringify(row.databases),
    servers: row.servers && JSON.stringify(row.servers),
    scopes: row.scopes && JSON.stringify(row.scopes),
    created_at: row.createdAt,
    expires_at: row.expiresAt,
    revoked_at: row.revokedAt,
    replaced_by: row.replacedBy,
    revision: row.revision,
  }
}

function fromColumns(row: Selectable<TokensTable>): TokenRow {
  return {
    id: row.id,
    hash: row.hash,
    note: row.note,
    owner: row.owner,
    level: row.level,
    tenant: row.tenant,
    databases: namesFromJson(row.databases),
    servers: namesFromJson(row.servers),
    scopes: namesFromJson(row.scopes),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    replacedBy: row.replaced_by,
    revision: row.revision,
  }
}

/** A list that was tampered with allows nothing: only NULL means `all`. */
function namesFromJson(text: string | null): readonly string[] | null {
  if (text === null) return null
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed.filter((name) => typeof name === 'string') : []
  } catch {
    return []
  }
}
