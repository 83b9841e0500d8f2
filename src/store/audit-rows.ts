import { CompiledQuery, type Kysely, SqliteAdapter } from 'kysely'
import type { StoreSchema } from './schema.ts'

/** A stored link of the audit chain, as the audit room reads and writes it. */
export interface AuditRow {
  readonly seq: number
  readonly at: number
  readonly entry: string
  readonly previousHash: string
  readonly hash: string
}

export interface AuditHead {
  readonly seq: number
  readonly hash: string
}

/** Narrows a search; every field that is set must match. Times are milliseconds since the epoch. */
export interface AuditRowFilter {
  readonly kind?: string
  readonly outcome?: string
  readonly principal?: string
  readonly credentialId?: string
  readonly tenant?: string
  readonly action?: string
  readonly target?: string
  readonly since?: number
  readonly until?: number
  /** Only rows before this one: the cursor of a listing that runs from new to old. */
  readonly beforeSeq?: number
  /** Only this row and later ones. */
  readonly fromSeq?: number
}

/**
 * Rows of one INSERT, from many to one. A batch is cut into these sizes, so that there are few statements to
 * prepare whatever its length; 5 values a row stay well under SQLite's 32,766 and PostgreSQL's 65,535 parameters.
 */
const ROWS_PER_INSERT = [256, 64, 16, 4, 1] as const

/**
 * Reserves `count` numbers and answers the head before them. The UPDATE takes the row lock (PostgreSQL)
 * or the write lock (SQLite) at once, so that two processes that append at the same time queue here.
 */
export async function reserveAuditSeqs(db: Kysely<StoreSchema>, count: number): Promise<AuditHead> {
  const row = await db
    .updateTable('audit_head')
    .set((eb) => ({ seq: eb('seq', '+', count) }))
    .where('id', '=', 1)
    .returning(['seq', 'hash'])
    .executeTakeFirstOrThrow()
  return { seq: row.seq - count, hash: row.hash }
}

export async function insertAuditRows(db: Kysely<StoreSchema>, rows: readonly AuditRow[]): Promise<void> {
  const numbered = !(db.getExecutor().adapter instanceof SqliteAdapter)
  let start = 0
  while (start < rows.length) {
    const left = rows.length - start
    const size = ROWS_PER_INSERT.find((rowCount) => rowCount <= left) ?? 1
    const values = rows.slice(start, start + size).flatMap(valuesOf)
    await db.executeQuery(CompiledQuery.raw(insertOf(size, numbered), values))
    start += size
  }
  const last = rows.at(-1)
  if (last) await db.updateTable('audit_head').set({ hash: last.hash }).where('id', '=', 1).execute()
}

const valuesOf = ({ seq, at, entry, previousHash, hash }: AuditRow): readonly unknown[] => [
  seq,
  at,
  entry,
  previousHash,
  hash,
]

/**
 * The text of an INSERT, made once for each size. The query builder would take every value of every row through
 * its tree, which costs as much as the insertion itself.
 *
 * @param numbered PostgreSQL's placeholders rather than SQLite's
 */
function insertOf(rowCount: number, numbered: boolean): string {
  const key = `${rowCount} ${numbered}`
  let text = INSERTS.get(key)
  if (text === undefined) {
    const places = Array.from({ length: rowCount }, (_, row) =>
      Array.from({ length: 5 }, (__, column) => (numbered ? `$${row * 5 + column + 1}` : '?')).join(', '),
    )
    const columns = 'seq, at, entry, previous_hash, hash'
    text = `insert into audit_entries (${columns}) values (${places.join('), (')})`
    INSERTS.set(key, text)
  }
  return text
}

const INSERTS = new Map<string, string>()

export async function readAuditHead(db: Kysely<StoreSchema>): Promise<AuditHead> {
  const row = await db
    .selectFrom('audit_head')
    .select(['seq', 'hash'])
    .where('id', '=', 1)
    .executeTakeFirstOrThrow()
  return { seq: row.seq, hash: row.hash }
}

/** The entry before the oldest one kept: where verification starts after older entries were pruned. */
export async function readAuditFloor(db: Kysely<StoreSchema>): Promise<AuditHead> {
  const row = await db
    .selectFrom('audit_head')
    .select(['floor_seq', 'floor_hash'])
    .where('id', '=', 1)
    .executeTakeFirstOrThrow()
  return { seq: row.floor_seq, hash: row.floor_hash }
}

/** Rows after `seq` in the order of the chain. */
export async function readAuditRowsAfter(
  db: Kysely<StoreSchema>,
  seq: number,
  limit: number,
): Promise<readonly AuditRow[]> {
  const rows = await db
    .selectFrom('audit_entries')
    .select(['seq', 'at', 'entry', 'previous_hash', 'hash'])
    .where('seq', '>', seq)
    .orderBy('seq')
    .limit(limit)
    .execute()
  return rows.map(fromRow)
}

/** Rows that match, from new to old. */
export async function searchAuditRows(
  db: Kysely<StoreSchema>,
  filter: AuditRowFilter,
  limit: number,
): Promise<readonly AuditRow[]> {
  let query = db.selectFrom('audit_entries').select(['seq', 'at', 'entry', 'previous_hash', 'hash'])
  const fields = {
    kind: filter.kind,
    outcome: filter.outcome,
    principal: filter.principal,
    credential_id: filter.credentialId,
    tenant: filter.tenant,
    action: filter.action,
    target: filter.target,
  } as const
  for (const [column, value] of Object.entries(fields)) {
    if (value !== undefined) query = query.where(column as keyof typeof fields, '=', value)
  }
  if (filter.since !== undefined) query = query.where('at', '>=', filter.since)
  if (filter.until !== undefined) query = query.where('at', '<', filter.until)
  if (filter.beforeSeq !== undefined) query = query.where('seq', '<', filter.beforeSeq)
  if (filter.fromSeq !== undefined) query = query.where('seq', '>=', filter.fromSeq)
  return (await query.orderBy('seq', 'desc').limit(limit).execute()).map(fromRow)
}

/**
 * Deletes what is older than `before`, from the oldest on and without a gap, and moves the floor there. At most
 * `most` rows at once: SQLite deletes them on the thread that serves requests, with the write lock held.
 *
 * @returns how many; fewer than `most` when nothing is left that is so old
 */
export async function pruneAuditRows(db: Kysely<StoreSchema>, before: number, most: number): Promise<number> {
  return await db.transaction().execute(async (trx) => {
    // Takes the write lock before reading, so that no other process prunes the same rows.
    await trx.updateTable('audit_head').set({ id: 1 }).where('id', '=', 1).execute()
    const oldest = await trx
      .selectFrom('audit_entries')
      .select(['seq', 'at', 'hash'])
      .orderBy('seq')
      .limit(most)
      .execute()
    const kept = oldest.findIndex(({ at }) => at >= before)
    const last = oldest.at(kept === -1 ? -1 : kept - 1)
    if (kept === 0 || !last) return 0
    await trx
      .updateTable('audit_head')
      .set({ floor_seq: last.seq, floor_hash: last.hash })
      .where('id', '=', 1)
      .execute()
    const deleted = await trx.deleteFrom('audit_entries').where('seq', '<=', last.seq).executeTakeFirst()
    return Number(deleted.numDeletedRows)
  })
}

function fromRow(row: {
  readonly seq: number
  readonly at: number
  readonly entry: string
  readonly previous_hash: string
  readonly hash: string
}): AuditRow {
  const { seq, at, entry, hash } = row
  return { seq, at, entry, previousHash: row.previous_hash, hash }
}
