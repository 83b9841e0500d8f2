import type { Migration } from './migration.ts'

/** Tenants, the people in them, and the JWTs that were ended before their time. */
export const usersMigration: Migration = {
  version: 5,
  name: '0005-users',
  async up(trx) {
    await trx.insertInto('changes').values({ topic: 'users', revision: 0 }).execute()
    await trx.schema
      .createTable('tenants')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .execute()
    await trx.insertInto('tenants').values({ id: 'default', created_at: Date.now() }).execute()
    await trx.schema
      .createTable('users')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('tenant', 'text', (column) => column.notNull().references('tenants.id'))
      .addColumn('name', 'text', (column) => column.notNull())
      // NULL once deleted: several NULLs are unlike each other in both engines, so the name is free again.
      .addColumn('name_shape', 'text')
      .addColumn('email', 'text')
      .addColumn('level', 'text', (column) => column.notNull())
      .addColumn('password_hash', 'text', (column) => column.notNull())
      .addColumn('epoch', 'bigint', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('disabled_at', 'bigint')
      .addColumn('deleted_at', 'bigint')
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .addUniqueConstraint('users_by_shape', ['tenant', 'name_shape'])
      .addUniqueConstraint('users_by_email', ['tenant', 'email'])
      .execute()
    await trx.schema.createIndex('users_by_name').on('users').column('name').execute()
    await trx.schema.createIndex('users_by_mail').on('users').column('email').execute()
    await trx.schema.createIndex('users_by_revision').on('users').column('revision').execute()
    await trx.schema
      .createTable('revoked_jwts')
      .addColumn('jti', 'text', (column) => column.primaryKey())
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute()
    await trx.schema.createIndex('revoked_jwts_by_revision').on('revoked_jwts').column('revision').execute()
    await trx.schema.createIndex('revoked_jwts_by_expiry').on('revoked_jwts').column('expires_at').execute()
  },
}
