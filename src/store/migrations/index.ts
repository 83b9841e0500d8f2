import type { Migration } from './migration.ts'
import { tokensMigration } from './0001-tokens.ts'
import { auditMigration } from './0002-audit.ts'
import { auditTenantMigration } from './0003-audit-tenant.ts'
import { upstreamCredentialsMigration } from './0004-upstream-credentials.ts'
import { usersMigration } from './0005-users.ts'
import { tenantDeletionMigration } from './0006-tenant-deletion.ts'
import { userIdentitiesMigration } from './0007-user-identities.ts'

/** Every step in order. A new one goes at the end, with the next version. */
export const migrations: readonly Migration[] = [
  tokensMigration,
  auditMigration,
  auditTenantMigration,
  upstreamCredentialsMigration,
  usersMigration,
  tenantDeletionMigration,
  userIdentitiesMigration,
]
