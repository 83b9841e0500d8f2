/**
 * The questions about a database that is to be protected. Asked with `search_path` set to `pg_catalog`, so that
 * nothing in the database can stand in place of a function. `$1` is the prefix of our roles.
 */

/** Schemas of PostgreSQL and of ours hold nothing that a tenant's rows are in. */
const OTHERS = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> $1`

const GROUPS = `($1 || '_readers', $1 || '_writers')`

const isGroup = (oid: string): string =>
  `${oid} IN (SELECT g.oid FROM pg_roles g WHERE g.rolname IN ${GROUPS})`

/** Names of our groups that an access list names. */
const groupsIn = (acl: string): string =>
  `ARRAY(SELECT DISTINCT g.rolname::text FROM aclexplode(${acl}) x JOIN pg_roles g ON g.oid = x.grantee
     WHERE g.rolname IN ${GROUPS} ORDER BY 1)`

const publicIn = (acl: string): string =>
  `ARRAY(SELECT DISTINCT x.privilege_type FROM aclexplode(${acl}) x WHERE x.grantee = 0 ORDER BY 1)`

const ofExtension = (catalogue: string, oid: string): string =>
  `EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalogue}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`

export const SERVER_SQL = `SELECT current_setting('server_version_num')::int AS version, current_database()::text AS database,
  to_regnamespace(quote_ident($1)) IS NOT NULL AS "schemaThere",
  EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = 'protected_relations' AND c.relkind = 'r') AS "schemaOurs",
  (SELECT ARRAY(SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE g.rolname::text END
     FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x LEFT JOIN pg_roles g ON g.oid = x.grantee
     WHERE x.privilege_type = 'CONNECT' AND (x.grantee = 0 OR g.rolname IN ${GROUPS}) ORDER BY 1)
   FROM pg_database d WHERE d.datname = current_database()) AS connect`

/** The type below all domains; `$2` are the names of columns that may hold the tenant. */
const COLUMNS = `(WITH RECURSIVE below AS (
    SELECT a.attnum, a.attname, a.attcollation, a.atttypid AS type FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($2::text[])
    UNION ALL SELECT b.attnum, b.attname, b.attcollation, t.typbasetype FROM below b
      JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd')
  SELECT coalesce(json_agg(json_build_object('name', b.attname, 'type', t.typname, 'loose',
      coalesce((SELECT NOT l.collisdeterministic FROM pg_collation l WHERE l.oid = b.attcollation), false))
    ORDER BY b.attnum), '[]')
  FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype <> 'd')`

const READS = `SELECT DISTINCT d.refobjid FROM pg_rewrite w JOIN pg_depend d
    ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
  WHERE w.ev_class = c.oid AND d.refobjid <> c.oid`

const names = (numbers: string): string =>
  `(SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (${numbers}))`

export const RELATIONS_SQL = `SELECT c.oid::text AS oid, n.nspname::text AS schema, c.relname::text AS name,
  CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
  c.relispartition AS partition, o.rolname::text AS owner, o.rolsuper OR o.rolbypassrls AS "ownerBypasses",
  c.relrowsecurity AS "rowSecurity", c.relforcerowsecurity AS forced,
  ${COLUMNS} AS columns,
  (SELECT coalesce(json_agg(json_build_object('name', p.polname, 'permissive', p.polpermissive) ORDER BY p.polname), '[]')
   FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
  (SELECT v.option_value FROM pg_options_to_table(c.reloptions) v WHERE v.option_name = 'security_invoker') AS invoker,
  ARRAY(SELECT i.inhparent::text FROM pg_inherits i WHERE i.inhrelid = c.oid) AS parents,
  CASE c.relkind WHEN 'v' THEN ARRAY(SELECT refobjid::text FROM (${READS}) r) ELSE '{}' END AS reads,
  CASE c.relkind WHEN 'v' THEN ARRAY(SELECT DISTINCT coalesce(g.rolname::text, 'PUBLIC') FROM aclexplode(c.relacl) x
    LEFT JOIN pg_roles g ON g.oid = x.grantee
    WHERE x.grantee <> c.relowner AND NOT coalesce(${isGroup('x.grantee')}, false) AND EXISTS (
      SELECT FROM (${READS}) r JOIN pg_class t ON t.oid = r.refobjid AND t.relkind <> 'S'
      WHERE NOT has_table_privilege(coalesce(g.rolname::text, 'public'), t.oid, 'SELECT'))) ELSE '{}' END AS stranded,
  ARRAY(SELECT unnest(${publicIn("coalesce(c.relacl, acldefault('r', c.relowner))")})
    UNION SELECT x.privilege_type FROM pg_attribute a, aclexplode(a.attacl) x
      WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND x.grantee = 0 ORDER BY 1) AS "publicMay",
  ${groupsIn('c.relacl')} AS groups,
  (SELECT coalesce(json_agg(json_build_object('name', k.relname, 'columns', ${names('(i.indkey::int2[])[0:i.indnkeyatts - 1]')}) ORDER BY k.relname), '[]')
   FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)) AS "uniqueKeys",
  (SELECT coalesce(json_agg(json_build_object('name', f.conname, 'target', f.confrelid::text, 'columns', ${names('f.conkey')}) ORDER BY f.conname), '[]')
   FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0) AS "foreignKeys",
  (SELECT coalesce(json_agg(json_build_object('schema', sn.nspname, 'name', s.relname, 'groups', ${groupsIn('s.relacl')}) ORDER BY s.relname), '[]')
   FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace WHERE s.relkind = 'S' AND s.oid IN (
     SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
       AND d.refclassid = 'pg_class'::regclass WHERE f.adrelid = c.oid)) AS sequences
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ${OTHERS} AND NOT ${ofExtension('pg_class', 'c.oid')}
ORDER BY n.nspname, c.relname`

export const SCHEMAS_SQL = `SELECT n.nspname::text AS name,
  ${publicIn("coalesce(n.nspacl, acldefault('n', n.nspowner))")} AS "publicMay", ${groupsIn('n.nspacl')} AS groups
FROM pg_namespace n WHERE ${OTHERS} ORDER BY 1`

/** `$2` are the names of roles that are wanted; every other that is named like one of ours comes along. */
export const ROLES_SQL = `SELECT r.rolname::text AS name, r.rolcanlogin AS login,
  array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' END], NULL) AS powers,
  ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = r.oid ORDER BY 1) AS "memberOf",
  EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid) AS settings,
  (SELECT count(*)::int FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
     AND d.deptype = 'o' AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS owns,
  EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
     AND d.deptype <> 'o' AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS holds,
  (SELECT count(*)::int FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
     AND (d.dbid NOT IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
       OR d.dbid = 0 AND d.classid = 'pg_database'::regclass
         AND d.objid <> (SELECT oid FROM pg_database WHERE datname = current_database()))) AS elsewhere
FROM pg_roles r
WHERE r.rolname = ANY ($2::text[]) OR r.rolname ~ ('^' || $1 || '_[rw]_[0-9a-f]{32}$') OR r.rolname IN ${GROUPS}
ORDER BY 1`

export const DEFINERS_SQL = `SELECT n.nspname::text AS schema, p.proname::text AS name,
  pg_get_function_identity_arguments(p.oid) AS arguments, o.rolname::text AS owner,
  o.rolsuper OR o.rolbypassrls AS "ownerBypasses"
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
WHERE p.prosecdef AND ${OTHERS} AND NOT ${ofExtension('pg_proc', 'p.oid')}
  AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1, 2, 3`

/** `schema` is that of ours, in quotes. */
export const notesSql = (schema: string): string => `SELECT p.relation::oid::text AS oid, p.kind,
  p.column_name::text AS "column", p.row_security AS "rowSecurity", p.forced, p.security_invoker AS invoker,
  EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation) AS there
FROM ${schema}.protected_relations p`

export const recordedSql = (schema: string): string =>
  `SELECT role_name::text AS name FROM ${schema}.tenant_roles ORDER BY 1`
