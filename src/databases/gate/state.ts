import type { CatalogueQuery } from './catalogue.ts'
import type { DatabaseState } from './selftest.ts'

/** Catalogues whose rows are compared by their number and transaction ids: any change of an object shows. */
const CATALOGUES = [
  'pg_class',
  'pg_proc',
  'pg_type',
  'pg_namespace',
  'pg_rewrite',
  'pg_trigger',
  'pg_roles',
  'pg_auth_members',
  'pg_database',
  'pg_db_role_setting',
  'pg_extension',
  'pg_largeobject_metadata',
  'pg_description',
  'pg_default_acl',
  'pg_constraint',
  'pg_event_trigger',
]

/**
 * Reads everything of a database that a statement could leave behind, as far as the asking role may see
 * it: objects, rows written, sequences, large objects, roles, advisory locks, open transactions of others
 * of this role, prepared transactions, replication slots. Cheap: no table is read.
 */
export async function readState(query: CatalogueQuery): Promise<DatabaseState> {
  const parts: Record<string, string> = {}
  for (const name of CATALOGUES)
    parts[name] =
      `SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS answer FROM pg_catalog.${name} t`
  parts['sequences'] =
    `SELECT coalesce(string_agg(schemaname || '.' || sequencename || '=' || coalesce(last_value::text, '-'), ',' ORDER BY schemaname, sequencename), '') AS answer FROM pg_catalog.pg_sequences`
  parts['advisory locks'] =
    `SELECT count(*)::text AS answer FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`
  parts['prepared transactions'] = `SELECT count(*)::text AS answer FROM pg_catalog.pg_prepared_xacts`
  parts['replication slots'] = `SELECT count(*)::text AS answer FROM pg_catalog.pg_replication_slots`
  parts['publications'] = `SELECT count(*)::text AS answer FROM pg_catalog.pg_publication`
  parts['settings of the server'] =
    `SELECT md5(string_agg(name || '=' || setting, '|' ORDER BY name)) AS answer FROM pg_catalog.pg_settings WHERE source IN ('configuration file', 'command line', 'database', 'user', 'database user')`
  const state: Record<string, string> = {}
  for (const [name, sql] of Object.entries(parts)) state[name] = JSON.stringify((await query(sql))[0] ?? null)
  return state
}
