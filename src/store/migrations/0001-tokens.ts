import type { Migration } from './migration.ts'

/** Issued tokens, when credentials were used, and what the change feed needs. */
export const tokensMigration: Migration = {
  version: 1,
  name: '0001-tokens',
  async up(trx) {
    await trx.schema
      .createTable('meta')
      .addColumn('key', 'text', (column) => column.primaryKey())
      .addColumn('value', 'text', (column) => column.notNull())
      .execute()
    await trx.schema
      .createTable('changes')
      .addColumn('topic', 'text', (column) => column.primaryKey())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute()
    await trx.insertInto('changes').values({ topic: 'tokens', revision: 0 }).execute()
    await trx.schema
      .createTable('tokens')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('hash', 'text', (column) => column.notNull().unique())
      .addColumn('note', 'text', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('level', 'text', (column) => column.notNull())
      .addColumn('tenant', 'text', (column) => column.notNull())
      .addColumn('databases', 'text')
      .addColumn('servers', 'text')
      .addColumn('scopes', 'text')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('expires_at', 'bigint')
      .addColumn('revoked_at', 'bigint')
      .addColumn('replaced_by', 'text')
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute()
    await trx.schema.createIndex('tokens_by_revision').on('tokens').column('revision').execute()
    await trx.schema.createIndex('tokens_by_expiry').on('tokens').column('expires_at').execute()
    await trx.schema
      .createTable('token_uses')
      .addColumn('credential_id', 'text', (column) => column.primaryKey())
      .addColumn('last_used_at', 'bigint', (column) => column.notNull())
      .execute()
  },
}
