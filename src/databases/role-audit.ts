import type { CatalogueRow } from './catalogue-row.ts'

/** What a database role could do beyond reading, whatever the walls in front of it. */
export interface RoleAudit {
  readonly role: string
  readonly superuser: boolean
  /** In words for an operator, the gravest first; empty for a role that can only read. */
  readonly powers: readonly string[]
}

/** Predefined roles that reach the server's files, programs or other sessions (PostgreSQL manual, "Predefined Roles"). */
const DANGEROUS_ROLES = [
  'pg_execute_server_program',
  'pg_read_server_files',
  'pg_write_server_files',
  'pg_write_all_data',
  'pg_signal_backend',
  'pg_maintain',
  'pg_create_subscription',
  'pg_checkpoint',
  'pg_read_all_settings',
  'pg_read_all_stats',
  'pg_monitor',
  'pg_database_owner',
]

/** @param ownSchema where `postern database protect` put its one such function; `null` without one */
export const roleAuditSql = (ownSchema: string | null): string => `
  SELECT r.rolname AS role, r.rolsuper AS superuser, r.rolcreaterole AS create_role,
    r.rolcreatedb AS create_database, r.rolreplication AS replication, r.rolbypassrls AS bypass_rls,
    ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_roles g
          WHERE g.rolname = ANY (ARRAY['${DANGEROUS_ROLES.join("','")}'])
            AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER') ORDER BY 1) AS member_of,
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS create_schema,
    ARRAY(SELECT n.nspname::text FROM pg_catalog.pg_namespace n
          WHERE n.nspname !~ '^pg_' AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
          ORDER BY 1 LIMIT 20) AS create_in,
    (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r','p','v','m','f','S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE')) AS owned,
    (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r','p','v','f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
            OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'))) AS writable,
    (SELECT count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'${
       ownSchema === null
         ? ''
         : ` AND NOT (n.nspname = '${ownSchema}' AND p.proname = 'tenant' AND p.pronargs = 0)`
     }
       AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')) AS definer_functions
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`

const flag = (row: CatalogueRow, column: string, words: string): string[] =>
  row[column] === true ? [words] : []

const names = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])

const counted = (value: unknown, words: (count: number) => string): string[] => {
  const count = Number(value)
  return count > 0 ? [words(count)] : []
}

const several = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

/** Reads the answer to `roleAuditSql`. */
export function auditRole(row: CatalogueRow): RoleAudit {
  const role = String(row['role'])
  // A superuser may do all of the rest, too: naming it would only hide the one thing that matters.
  if (row['superuser'] === true) return { role, superuser: true, powers: ['is a superuser'] }
  const schemas = names(row['create_in'])
  return {
    role,
    superuser: false,
    powers: [
      ...flag(row, 'bypass_rls', 'bypasses row security'),
      ...flag(row, 'create_role', 'may create roles'),
      ...flag(row, 'create_database', 'may create databases'),
      ...flag(row, 'replication', 'may replicate the whole server'),
      ...names(row['member_of']).map((name) => `is a member of ${name}`),
      ...counted(
        row['owned'],
        (count) => `owns ${several(count, 'table, view or sequence', 'tables, views or sequences')}`,
      ),
      ...counted(row['writable'], (count) => `may change rows of ${several(count, 'table', 'tables')}`),
      ...flag(row, 'create_schema', 'may create schemas'),
      ...(schemas.length > 0 ? [`may create objects in schema ${schemas.join(', ')}`] : []),
      ...counted(
        row['definer_functions'],
        (count) =>
          `may call ${several(count, 'function that runs as its owner', 'functions that run as their owner')}`,
      ),
    ],
  }
}
