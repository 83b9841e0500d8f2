import type { Migration } from './migration.ts'

/** Users who sign in with a provider, and the answers of providers that were taken once. */
export const userIdentitiesMigration: Migration = {
  version: 7,
  name: '0007-user-identities',
  async up(trx) {
    await trx.schema
      .createTable('user_identities')
      .addColumn('issuer', 'text', (column) => column.notNull())
      .addColumn('subject', 'text', (column) => column.notNull())
      // No reference: the row of a deleted user goes away some day, and this one has to stay.
      .addColumn('user_id', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('user_identities_key', ['issuer', 'subject'])
      .execute()
    await trx.schema.createIndex('user_identities_by_user').on('user_identities').column('user_id').execute()
    await trx.schema
      .createTable('redeemed_states')
      .addColumn('state_hash', 'text', (column) => column.primaryKey())
      .addColumn('expires_at', 'bigint', (column) => column.notNull())
      .execute()
    await trx.schema
      .createIndex('redeemed_states_by_expiry')
      .on('redeemed_states')
      .column('expires_at')
      .execute()
  },
}
