import { escapeIdentifier } from 'pg'
import type { Chosen } from './choose-relations.ts'
import type { ViewChoice } from './choose-views.ts'
import type { PlannedStatement } from './plan.ts'
import type { ProtectionFacts } from './protection-facts.ts'
import { quoteRelation } from './quote-relation.ts'
import type { TenantRoles } from './tenant-roles.ts'

/**
 * What tenants may do: read what is protected, shared, or a view that cannot bypass it; writers change rows of what is
 * protected. No TRUNCATE (row security does not hold it), REFERENCES (a foreign key looks past it), TRIGGER or
 * MAINTAIN, and nothing on partitions, which are reached through their table.
 */
export function grantStatements(
  facts: ProtectionFacts,
  plan: { readonly chosen: Chosen; readonly views: readonly ViewChoice[]; readonly roles: TenantRoles },
): readonly PlannedStatement[] {
  const { readers, writers } = plan.roles.groups
  const both = `${escapeIdentifier(readers)}, ${escapeIdentifier(writers)}`
  const tables = plan.chosen.protected.map(({ table }) => table).filter(({ partition }) => !partition)
  const shared = plan.chosen.shared
  const views = plan.views.filter(({ grant }) => grant !== 'no').map(({ view }) => view)
  const readable = [...tables, ...shared, ...views]
  const sequences = tables.flatMap((table) => table.sequences)
  const schemas = [...new Set(readable.map(({ schema }) => schema))].filter(
    (name) => !facts.schemas.some((schema) => schema.name === name && schema.publicMay.includes('USAGE')),
  )
  const list = (relations: readonly { readonly schema: string; readonly name: string }[]): string =>
    relations.map((relation) => `\n  ${quoteRelation(relation)}`).join(',')
  const statement = (needed: boolean, sql: string, why: string): readonly PlannedStatement[] =>
    needed ? [{ sql, why }] : []
  return [
    ...statement(
      !facts.connect.includes('PUBLIC'),
      `GRANT CONNECT ON DATABASE ${escapeIdentifier(facts.database)} TO ${both}`,
      'tenants may enter this database',
    ),
    ...statement(
      schemas.length > 0,
      `GRANT USAGE ON SCHEMA ${schemas.map((name) => escapeIdentifier(name)).join(', ')} TO ${both}`,
      'tenants may look into the schemas',
    ),
    ...statement(readable.length > 0, `GRANT SELECT ON${list(readable)}\n  TO ${both}`, 'tenants may read'),
    ...statement(
      tables.length > 0,
      `GRANT INSERT, UPDATE, DELETE ON${list(tables)}\n  TO ${escapeIdentifier(writers)}`,
      'writers of tenants may change rows',
    ),
    ...statement(
      sequences.length > 0,
      `GRANT USAGE ON SEQUENCE${list(sequences)}\n  TO ${escapeIdentifier(writers)}`,
      'writers of tenants may take numbers for new rows',
    ),
  ]
}
