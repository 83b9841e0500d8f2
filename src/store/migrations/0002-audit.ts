import { sql } from 'kysely'
import type { Migration } from './migration.ts'

/** Columns that PostgreSQL or SQLite derive from the hashed text, so that what is searched cannot differ from it. */
const DERIVED = {
  kind: 'kind',
  outcome: 'outcome',
  principal: 'principal',
  credential_id: 'credentialId',
  action: 'action',
  target: 'target',
} as const

/** The audit chain and its head. */
export const auditMigration: Migration = {
  version: 2,
  name: '0002-audit',
  async up(trx, kind) {
    let table = trx.schema
      .createTable('audit_entries')
      // In SQLite only `integer` makes the key the row's own number, without an index of its own.
      .addColumn('seq', kind === 'sqlite' ? 'integer' : 'bigint', (column) => column.primaryKey())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addColumn('entry', 'text', (column) => column.notNull())
      .addColumn('previous_hash', 'text', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
    for (const [name, field] of Object.entries(DERIVED)) {
      table = table.addColumn(name, 'text', (column) =>
        kind === 'sqlite'
          ? column.generatedAlwaysAs(sql`json_extract(entry, ${sql.lit(`$.${field}`)})`)
          : column.generatedAlwaysAs(sql`(entry::json ->> ${sql.lit(field)})`).stored(),
      )
    }
    await table.execute()
    // The only one: each costs every request. By time and tenant the record is searched in portions, newest first.
    await trx.schema
      .createIndex('audit_entries_by_credential')
      .on('audit_entries')
      .columns(['credential_id', 'seq'])
      .execute()
    await trx.schema
      .createTable('audit_head')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('seq', 'bigint', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .addColumn('floor_seq', 'bigint', (column) => column.notNull())
      .addColumn('floor_hash', 'text', (column) => column.notNull())
      .execute()
    const genesis = '0'.repeat(64)
    await trx
      .insertInto('audit_head')
      .values({ id: 1, seq: 0, hash: genesis, floor_seq: 0, floor_hash: genesis })
      .execute()
  },
}
