import BetterSqlite3 from 'better-sqlite3'
import { Kysely, sql } from 'kysely'
import { migrate } from './migrate.ts'
import { migrations } from './migrations/index.ts'
import type { StoreSchema } from './schema.ts'
import { sqliteDialect } from './sqlite/driver.ts'

/** A table as far as copying its rows is concerned. */
export interface StoredTable {
  readonly name: string
  /** Without those that the engine derives from others. */
  readonly columns: readonly string[]
  /** Columns of the primary key, in its order. */
  readonly key: readonly string[]
  /** Rows that a new store has. */
  readonly rowsAtFirst: number
}

/**
 * Every table of one schema version, referenced ones before those that refer to them. Found out by running the
 * migrations on a store in memory, so that no list has to be kept in step with them.
 */
export async function tablesAt(version: number): Promise<readonly StoredTable[]> {
  const db = new Kysely<StoreSchema>({ dialect: sqliteDialect(new BetterSqlite3(':memory:'), () => {}) })
  try {
    await migrate(
      db,
      'sqlite',
      migrations.filter((step) => step.version <= version),
    )
    const { rows } = await sql<{ name: string }>`select name from sqlite_master
      where type = 'table' and name not like 'sqlite\\_%' escape '\\' and name <> 'schema_migrations'
      order by rowid`.execute(db)
    return await Promise.all(rows.map(({ name }) => describeTable(db, name)))
  } finally {
    await db.destroy()
  }
}

async function describeTable(db: Kysely<StoreSchema>, name: string): Promise<StoredTable> {
  const info = await sql<{ name: string; pk: number; hidden: number }>`select name, pk, hidden
    from pragma_table_xinfo(${name})`.execute(db)
  const { rows: counted } = await sql<{ count: number }>`select count(*) as count
    from ${sql.table(name)}`.execute(db)
  const key = info.rows.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk)
  return {
    name,
    columns: info.rows.filter(({ hidden }) => hidden === 0).map((column) => column.name),
    key: key.map((column) => column.name),
    rowsAtFirst: counted[0]?.count ?? 0,
  }
}
