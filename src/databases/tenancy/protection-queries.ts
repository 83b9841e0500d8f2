/**
 * Questions about whether a database keeps its tenants apart. `$1` is the prefix of the roles. Every name is qualified,
 * operators by `pg_catalog` being searched first unless somebody says otherwise; these run as Postern's own role.
 */

/** The groups, and whatever is named like a role of a tenant: also roles that this Postern did not make. */
const OURS = `ours AS (SELECT r.* FROM pg_catalog.pg_roles r
  WHERE r.rolname IN ($1 || '_readers', $1 || '_writers') OR r.rolname ~ ('^' || $1 || '_[rw]_'))`

const isOurs = (oid: string): string => `(${oid} = 0 OR ${oid} IN (SELECT o.oid FROM ours o))`

const ofExtension = (catalogue: string, oid: string): string =>
  `EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass
     AND d.objid = ${oid} AND d.deptype = 'e')`

/** Roles that are not held by row security, or that have more than their group. One row for each fault. */
export const ROLES_QUERY = `WITH ${OURS}
SELECT 'role' AS kind, o.rolname::text AS name, CASE
    WHEN o.rolsuper THEN 'is a superuser' WHEN o.rolbypassrls THEN 'has BYPASSRLS' WHEN o.rolcreaterole THEN 'has CREATEROLE'
    WHEN o.rolcreatedb THEN 'has CREATEDB' ELSE 'has REPLICATION' END AS problem
  FROM ours o WHERE o.rolsuper OR o.rolbypassrls OR o.rolcreaterole OR o.rolcreatedb OR o.rolreplication
UNION ALL
SELECT 'role', o.rolname::text, 'may log in, and is a group'
  FROM ours o WHERE o.rolcanlogin AND o.rolname IN ($1 || '_readers', $1 || '_writers')
UNION ALL
SELECT 'role', w.name, 'is missing'
  FROM pg_catalog.unnest(ARRAY[$1 || '_readers', $1 || '_writers']) AS w(name)
  WHERE NOT EXISTS (SELECT FROM ours o WHERE o.rolname = w.name)
UNION ALL
SELECT 'role', o.rolname::text, 'is a member of ' || g.rolname
  FROM ours o JOIN pg_catalog.pg_auth_members m ON m.member = o.oid JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
  WHERE o.rolname IN ($1 || '_readers', $1 || '_writers')
     OR g.rolname <> CASE WHEN o.rolname ~ ('^' || $1 || '_r_') THEN $1 || '_readers' ELSE $1 || '_writers' END
UNION ALL
SELECT 'role', o.rolname::text, 'owns ' || c.oid::pg_catalog.regclass::text
  FROM ours o JOIN pg_catalog.pg_class c ON c.relowner = o.oid WHERE c.relpersistence <> 't'
UNION ALL
SELECT 'role', o.rolname::text, 'owns function ' || p.oid::pg_catalog.regprocedure::text
  FROM ours o JOIN pg_catalog.pg_proc p ON p.proowner = o.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname !~ '^pg_temp_'
UNION ALL
SELECT 'role', o.rolname::text, 'owns schema ' || n.nspname
  FROM ours o JOIN pg_catalog.pg_namespace n ON n.nspowner = o.oid WHERE n.nspname !~ '^pg_(toast_)?temp_'
UNION ALL
SELECT 'role', o.rolname::text, 'owns the database'
  FROM ours o JOIN pg_catalog.pg_database d ON d.datdba = o.oid WHERE d.datname = pg_catalog.current_database()
LIMIT 100`

/** What tenants write to, with the partitions and children below, whose triggers are called as well. */
const WRITTEN = `written(oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't' AND (EXISTS (
      SELECT FROM pg_catalog.aclexplode(c.relacl) x WHERE x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND ${isOurs('x.grantee')})
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
      WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND x.privilege_type IN ('INSERT', 'UPDATE') AND ${isOurs('x.grantee')}))
  UNION SELECT i.inhrelid FROM written w JOIN pg_catalog.pg_inherits i ON i.inhparent = w.oid)`

/** What tenants could make, or have done with the rights of somebody whom row security does not hold. */
export const RIGHTS_QUERY = `WITH RECURSIVE ${OURS}, ${WRITTEN}
SELECT 'schema' AS kind, n.nspname::text AS name, 'tenants may create objects in it' AS problem
  FROM pg_catalog.pg_namespace n
  WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(n.nspacl) x WHERE x.privilege_type = 'CREATE' AND ${isOurs('x.grantee')})
UNION ALL
SELECT 'database', d.datname::text, 'tenants may create schemas in it'
  FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database() AND EXISTS (
    SELECT FROM pg_catalog.aclexplode(d.datacl) x WHERE x.privilege_type = 'CREATE' AND ${isOurs('x.grantee')})
UNION ALL
SELECT 'server', f.srvname::text, 'tenants may make foreign tables of it' FROM pg_catalog.pg_foreign_server f
  WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(f.srvacl) x WHERE x.privilege_type = 'USAGE' AND ${isOurs('x.grantee')})
UNION ALL
SELECT 'function', p.oid::pg_catalog.regprocedure::text, 'tenants may call it, and it runs as ' || o.rolname || ', whom no row security holds'
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_roles o ON o.oid = p.proowner AND (o.rolsuper OR o.rolbypassrls)
  WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT ${ofExtension('pg_proc', 'p.oid')}
    AND NOT (n.nspname = $1 AND p.proname = 'tenant' AND p.pronargs = 0)
    AND EXISTS (SELECT FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) x
      WHERE x.privilege_type = 'EXECUTE' AND ${isOurs('x.grantee')})
UNION ALL
SELECT DISTINCT 'trigger', t.tgname || ' on ' || c.oid::pg_catalog.regclass::text,
    'is called by what tenants write, and runs as ' || o.rolname || ', whom no row security holds'
  FROM pg_catalog.pg_trigger t JOIN written w ON w.oid = t.tgrelid JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid AND p.prosecdef
  JOIN pg_catalog.pg_roles o ON o.oid = p.proowner AND (o.rolsuper OR o.rolbypassrls)
  WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND NOT ${ofExtension('pg_proc', 'p.oid')}
UNION ALL -- INSTEAD NOTHING (command 7) without a condition reads nothing.
SELECT 'rule', r.rulename || ' on ' || c.oid::pg_catalog.regclass::text,
    'is called by what tenants write, and runs as ' || o.rolname || ', whom no row security holds'
  FROM pg_catalog.pg_rewrite r JOIN written w ON w.oid = r.ev_class JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  JOIN pg_catalog.pg_roles o ON o.oid = c.relowner AND (o.rolsuper OR o.rolbypassrls)
  WHERE r.ev_type <> '1' AND r.ev_enabled <> 'D' AND (r.ev_action::text ~ ':commandType [1-6]' OR r.ev_qual::text <> '<>')
    AND NOT ${ofExtension('pg_class', 'c.oid')}
LIMIT 100`

/** The one function that all of it rests on. */
export const FUNCTION_QUERY = `SELECT p.prosecdef AS definer, p.provolatile AS volatility, coalesce(p.proconfig, '{}')::text[] AS settings,
  pg_catalog.pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND p.proname = 'tenant' AND p.pronargs = 0 AND p.prokind = 'f'`

/** Whether the condition of a policy is ours, whatever the column is called and whatever type it has. */
const isOurCondition = (expression: string): string =>
  `pg_catalog.regexp_replace(${expression}, '\\s+', '', 'g') LIKE
     'CASEWHEN(SELECT(SESSION_USER~''^' || pg_catalog.replace($1, '_', '\\_') || '\\_[rw]\\_''::text)%)THEN(%tenant()%)ELSEtrueEND'`

/**
 * Relations that tenants may reach and that are not held, with why. What is noted as shared is not looked into; but it is
 * shared for reading, and nothing of a tenant's may hang below it.
 * `safe` are the tables in which row security holds everybody who logs in as a role of a tenant.
 */
export const relationsQuery = (schema: string): string => `WITH RECURSIVE ${OURS},
shared AS (SELECT p.relation::pg_catalog.oid AS oid FROM ${schema}.protected_relations p WHERE p.kind = 'shared'),
granted AS (
  SELECT c.oid, x.privilege_type AS privilege FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x
    WHERE ${isOurs('x.grantee')}
  UNION
  SELECT a.attrelid, x.privilege_type FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND ${isOurs('x.grantee')}),
reached AS (SELECT c.oid, c.relkind, c.relowner, c.reloptions, n.nspname, c.relname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relpersistence <> 't'
    AND c.oid IN (SELECT g.oid FROM granted g
      WHERE NOT (n.nspname = $1 AND c.relname = 'protected_relations' AND g.privilege = 'SELECT'))
    AND NOT ${ofExtension('pg_class', 'c.oid')}),
safe AS (SELECT c.oid FROM pg_catalog.pg_class c
  WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
    SELECT FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid AND NOT y.polpermissive AND y.polcmd = '*' AND y.polroles = '{0}'
      AND y.polname = $1 || '_session' AND ${isOurCondition('pg_catalog.pg_get_expr(y.polqual, y.polrelid)')}
      AND (y.polwithcheck IS NULL OR ${isOurCondition('pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid)')})
      AND EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
        JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = y.oid
          AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND n.nspname = $1 AND p.proname = 'tenant'))),
through(view, oid) AS (
  SELECT r.oid, r.oid FROM reached r WHERE r.relkind = 'v' AND r.oid NOT IN (SELECT s.oid FROM shared s)
    AND NOT coalesce((SELECT lower(v.option_value) IN ('true', 'on', 'yes', '1')
      FROM pg_catalog.pg_options_to_table(r.reloptions) v WHERE v.option_name = 'security_invoker'), false)
  UNION
  SELECT t.view, d.refobjid FROM through t JOIN pg_catalog.pg_class v ON v.oid = t.oid AND v.relkind = 'v'
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = t.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> t.oid
    WHERE t.oid NOT IN (SELECT s.oid FROM shared s)),
above(child, oid) AS (
  SELECT p.relation::pg_catalog.oid, i.inhparent FROM ${schema}.protected_relations p
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.relation WHERE p.kind = 'tenant'
  UNION SELECT a.child, i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid)
SELECT 'relation' AS kind, r.nspname || '.' || r.relname AS name, CASE
    WHEN r.relkind IN ('r', 'p') THEN 'has no row security of Postern, or not for everybody'
    WHEN r.relkind = 'm' THEN 'is a materialized view, which can have no row security'
    WHEN r.relkind = 'f' THEN 'is a foreign table, which can have no row security'
    ELSE 'is a sequence that tenants may read' END AS problem
  FROM reached r
  WHERE r.oid NOT IN (SELECT s.oid FROM shared s)
    AND (r.relkind IN ('m', 'f') OR (r.relkind IN ('r', 'p') AND r.oid NOT IN (SELECT s.oid FROM safe s))
      OR (r.relkind = 'S' AND EXISTS (SELECT FROM granted g WHERE g.oid = r.oid AND g.privilege = 'SELECT')))
UNION ALL
SELECT 'relation', r.nspname || '.' || r.relname, 'can be emptied or changed past its row security: tenants have ' || g.privilege
  FROM reached r JOIN granted g ON g.oid = r.oid
  WHERE r.relkind IN ('r', 'p', 'f') AND g.privilege IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
UNION ALL
SELECT DISTINCT 'relation', r.nspname || '.' || r.relname,
    'reads ' || n.nspname || '.' || c.relname || ' with the rights of its owner, where no row security of Postern holds'
  FROM through t JOIN reached r ON r.oid = t.view JOIN pg_catalog.pg_class c ON c.oid = t.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
  WHERE t.oid NOT IN (SELECT s.oid FROM shared s) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND ((c.relkind = 'v' AND (o.rolsuper OR o.rolbypassrls))
      OR (c.relkind IN ('r', 'p') AND t.oid NOT IN (SELECT s.oid FROM safe s)) OR c.relkind IN ('m', 'f'))
UNION ALL
SELECT 'relation', c.oid::pg_catalog.regclass::text, 'is shared, and PUBLIC may change it'
  FROM shared s JOIN pg_catalog.pg_class c ON c.oid = s.oid
  WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) x
      WHERE x.grantee = 0 AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE'))
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
      WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND x.grantee = 0 AND x.privilege_type IN ('INSERT', 'UPDATE'))
UNION ALL
SELECT 'relation', s.oid::pg_catalog.regclass::text,
    'is shared, and shows what is below it: ' || a.child::pg_catalog.regclass::text
  FROM shared s JOIN above a ON a.oid = s.oid
LIMIT 100`
