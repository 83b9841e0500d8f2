import { Fault } from '../../lib/fault.ts'
import type { CatalogueQuery } from './catalogue.ts'
import type { DatabaseState } from './selftest.ts'

/** What identifies an object and what people change of it; not what VACUUM and ANALYZE keep there. */
const CATALOGUES: Readonly<Record<string, string>> = {
  pg_class: 'oid, relname, relkind, relowner, relacl, relrowsecurity, relhastriggers',
  pg_attribute: 'attrelid, attnum, attname, atttypid, attacl',
  pg_proc: 'oid, xmin::text',
  pg_type: 'oid, xmin::text',
  pg_namespace: 'oid, xmin::text',
  pg_rewrite: 'oid, xmin::text',
  pg_trigger: 'oid, xmin::text',
  pg_constraint: 'oid, xmin::text',
  pg_roles: 'oid, rolname, rolsuper, rolcanlogin, rolbypassrls, rolconfig',
  pg_auth_members: 'roleid, member, admin_option',
  pg_extension: 'oid, extversion',
  pg_largeobject_metadata: 'oid, lomowner',
  pg_description: 'objoid, objsubid, description',
  pg_event_trigger: 'oid, xmin::text',
  pg_publication: 'oid, pubname',
}

const hash = (columns: string, from: string): string =>
  `(SELECT count(*) || ':' || coalesce(sum(hashtextextended(ROW(${columns})::text, 0)), 0) FROM ${from})`

const HERE = '(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())'

const PARTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(CATALOGUES).map(([table, columns]) => [table, hash(columns, `pg_catalog.${table}`)]),
  ),
  pg_database: hash(
    'oid, datname, datdba, datacl',
    'pg_catalog.pg_database WHERE datname = current_database()',
  ),
  pg_db_role_setting: hash(
    'setdatabase, setrole, setconfig',
    `pg_catalog.pg_db_role_setting WHERE setdatabase IN (0, ${HERE})`,
  ),
  sequences: hash('schemaname, sequencename, last_value', 'pg_catalog.pg_sequences'),
  'advisory locks': hash(
    'classid, objid',
    `pg_catalog.pg_locks WHERE locktype = 'advisory' AND database = ${HERE}`,
  ),
  'prepared transactions': hash('gid', 'pg_catalog.pg_prepared_xacts WHERE database = current_database()'),
  'replication slots': hash(
    'slot_name',
    'pg_catalog.pg_replication_slots WHERE database = current_database()',
  ),
  'settings of the server': hash(
    'name, setting',
    `pg_catalog.pg_settings WHERE source IN ('configuration file', 'command line', 'database', 'user', 'database user')`,
  ),
}

const STATE_QUERY = `SELECT json_build_object(${Object.entries(PARTS)
  .map(([name, sql]) => `'${name}', ${sql}`)
  .join(', ')})::text AS answer`

/**
 * Reads everything of a database that a statement could leave behind besides rows, as far as the asking
 * role may see it: objects, roles and rights, sequences, large objects, advisory locks, prepared
 * transactions, replication slots, settings. One query; no table of a person's is read. Roles belong to the
 * whole server: `pg_roles` and `pg_auth_members` also change when somebody makes one meanwhile.
 */
export async function readState(query: CatalogueQuery): Promise<DatabaseState> {
  const answer = (await query(STATE_QUERY))[0]?.['answer']
  if (typeof answer !== 'string') throw new Fault('internal', 'the state of the database cannot be read')
  return JSON.parse(answer) as DatabaseState
}
