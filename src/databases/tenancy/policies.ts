import { escapeIdentifier, escapeLiteral } from 'pg'
import type { ColumnFacts } from './protection-facts.ts'

/** Names of the policies that a protected table has. */
export const policyNames = (
  prefix: string,
): { readonly session: string; readonly tenant: string; readonly open: string } => ({
  session: `${prefix}_session`,
  tenant: `${prefix}_tenant`,
  open: `${prefix}_open`,
})

/** Whether `session_user` is a role of a tenant, by its name: also one that is in no row of ours, which then sees nothing. */
export const isTenantSession = (prefix: string): string =>
  `(SELECT session_user ~ ${escapeLiteral(`^${prefix}_[rw]_`)})`

const TEXTS: ReadonlySet<string> = new Set(['text', 'varchar', 'name', 'citext'])
const WHOLE: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric'])

/** One spelling for each value: two tenants must never be one number or one UUID. */
const UUID = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
const NUMBER = '^(0|[1-9][0-9]{0,17})$'

/** What a column of this type must be to hold this tenant; `null` when it cannot hold one. */
export function spellingOf(type: string): RegExp | null {
  if (TEXTS.has(type) || type === 'bpchar') return /^/
  if (type === 'uuid') return new RegExp(UUID)
  return WHOLE.has(type) ? new RegExp(NUMBER) : null
}

/**
 * `column = the tenant of this session`, so that an index on the column can be used: what is cast is the tenant. A
 * tenant that is no value of the type has no rows; a bare cast would be an error in every statement instead.
 */
export function isOwnRow({ name, type, loose }: ColumnFacts, prefix: string): string {
  const tenant = `${escapeIdentifier(prefix)}.tenant()`
  return `${escapeIdentifier(name)} = ${valueOf(tenant, type)}${loose ? ' COLLATE "C"' : ''}`
}

function valueOf(tenant: string, type: string): string {
  const checked = (pattern: string, cast: string): string =>
    `(SELECT CASE WHEN t ~ ${escapeLiteral(pattern)} THEN t::${cast} END FROM ${tenant} AS t)`
  if (type === 'uuid') return checked(UUID, 'pg_catalog.uuid')
  if (type === 'numeric') return checked(NUMBER, 'pg_catalog.numeric')
  if (WHOLE.has(type)) return checked(NUMBER, 'pg_catalog.int8')
  return type === 'bpchar' ? `(SELECT ${tenant})::pg_catalog.bpchar` : `(SELECT ${tenant})`
}
