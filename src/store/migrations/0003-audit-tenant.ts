import { sql } from 'kysely'
import type { Migration } from './migration.ts'

/** Whose entry it is, derived like the other columns: an administrator of one tenant sees only those of it. */
export const auditTenantMigration: Migration = {
  version: 3,
  name: '0003-audit-tenant',
  async up(trx, kind) {
    await trx.schema
      .alterTable('audit_entries')
      .addColumn('tenant', 'text', (column) =>
        kind === 'sqlite'
          ? column.generatedAlwaysAs(sql`json_extract(entry, '$.tenant')`)
          : column.generatedAlwaysAs(sql`(entry::json ->> 'tenant')`).stored(),
      )
      .execute()
  },
}
