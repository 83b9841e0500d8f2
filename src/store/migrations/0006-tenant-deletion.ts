import type { Migration } from './migration.ts'

/** A deleted tenant keeps its row: so that every process hears of it, and so that its id is never taken again. */
export const tenantDeletionMigration: Migration = {
  version: 6,
  name: '0006-tenant-deletion',
  async up(trx) {
    await trx.insertInto('changes').values({ topic: 'tenants', revision: 0 }).execute()
    await trx.schema.alterTable('tenants').addColumn('deleted_at', 'bigint').execute()
    await trx.schema
      .alterTable('tenants')
      .addColumn('revision', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
    await trx.schema.createIndex('tenants_by_revision').on('tenants').column('revision').execute()
    await trx.schema.createIndex('users_by_tenant').on('users').column('tenant').execute()
    await trx.schema.createIndex('tokens_by_tenant').on('tokens').column('tenant').execute()
  },
}
