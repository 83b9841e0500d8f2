import type { Migration } from './migration.ts'

/** What principals left for MCP servers, sealed. A removed one keeps its row without a value, so that others hear of it. */
export const upstreamCredentialsMigration: Migration = {
  version: 4,
  name: '0004-upstream-credentials',
  async up(trx) {
    await trx.insertInto('changes').values({ topic: 'upstream_credentials', revision: 0 }).execute()
    await trx.schema
      .createTable('upstream_credentials')
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('principal', 'text', (column) => column.notNull())
      .addColumn('server', 'text', (column) => column.notNull())
      .addColumn('sealed', 'text')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('updated_at', 'bigint', (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('upstream_credentials_key', ['tenant', 'principal', 'server'])
      .execute()
    await trx.schema
      .createIndex('upstream_credentials_by_revision')
      .on('upstream_credentials')
      .column('revision')
      .execute()
  },
}
