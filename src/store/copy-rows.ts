import { CompiledQuery, type Kysely, sql, SqliteAdapter } from 'kysely'
import type { StoreSchema } from './schema.ts'
import type { StoredTable } from './tables-at.ts'

/** The values of one row in the order of the table's columns. */
export type RowValues = readonly unknown[]

/** Held in memory at once; an entry of the record has some 500 bytes. */
const PAGE_ROWS = 500

/** Rows of one INSERT, from many to one: few statements to prepare, and far from the limits on parameters. */
const ROWS_PER_INSERT = [100, 10, 1] as const

/** All rows of a table in the order of its key, in pages. The caller sees to it that they are of one moment. */
export async function* readRows(
  db: Kysely<StoreSchema>,
  { name, columns, key }: Pick<StoredTable, 'name' | 'columns' | 'key'>,
): AsyncGenerator<readonly RowValues[]> {
  const selected = sql.join(columns.map((column) => sql.ref(column)))
  const place = sql.join(key.map((column) => sql.ref(column)))
  const keyAt = key.map((column) => columns.indexOf(column))
  let after: RowValues | undefined
  for (;;) {
    const from = after ? sql`where (${place}) > (${sql.join(after)})` : sql``
    const { rows } = await sql<Record<string, unknown>>`select ${selected} from ${sql.table(name)} ${from}
      order by ${place} limit ${sql.lit(PAGE_ROWS)}`.execute(db)
    const page = rows.map((row) => columns.map((column) => row[column]))
    if (page.length > 0) yield page
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return
    after = keyAt.map((at) => last[at])
  }
}

export async function insertRows(
  db: Kysely<StoreSchema>,
  { name, columns }: Pick<StoredTable, 'name' | 'columns'>,
  rows: readonly RowValues[],
): Promise<void> {
  const numbered = !(db.getExecutor().adapter instanceof SqliteAdapter)
  for (let start = 0; start < rows.length;) {
    const size = ROWS_PER_INSERT.find((count) => count <= rows.length - start) ?? 1
    const values = rows.slice(start, start + size).flat()
    await db.executeQuery(CompiledQuery.raw(insertText(name, columns, size, numbered), values))
    start += size
  }
}

/** Names are those of our own migrations. */
function insertText(name: string, columns: readonly string[], rows: number, numbered: boolean): string {
  const places = Array.from({ length: rows }, (_, row) =>
    columns.map((__, column) => (numbered ? `$${row * columns.length + column + 1}` : '?')).join(', '),
  )
  return `insert into "${name}" ("${columns.join('", "')}") values (${places.join('), (')})`
}
