import type { Client } from 'pg'

/** An access list as PostgreSQL means it: none at all is the default of the kind. */
const acl = (list: string, kind: string, owner: string): string =>
  `(SELECT coalesce(json_agg(a ORDER BY a), '[]') FROM (SELECT format('%s %s %s', coalesce(nullif(x.grantee, 0)::regrole::text, 'PUBLIC'), x.privilege_type, x.is_grantable) AS a
     FROM aclexplode(coalesce(${list}, acldefault('${kind}', ${owner}))) x) l)`

const OURS = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`

const QUESTIONS = {
  relations: `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind, c.relowner::regrole::text AS owner, c.relrowsecurity, c.relforcerowsecurity,
    ARRAY(SELECT unnest(c.reloptions) ORDER BY 1) AS options, ${acl('c.relacl', 'r', 'c.relowner')} AS acl,
    (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'acl', a.attacl::text) ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns, pg_get_viewdef(c.oid) AS view
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${OURS} AND c.relkind <> 'S' ORDER BY 1`,
  sequences: `SELECT format('%I.%I', n.nspname, c.relname) AS name, ${acl('c.relacl', 's', 'c.relowner')} AS acl
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${OURS} AND c.relkind = 'S' ORDER BY 1`,
  policies: `SELECT *, roles::text AS roles FROM pg_policies ORDER BY schemaname, tablename, policyname`,
  schemas: `SELECT n.nspname, ${acl('n.nspacl', 'n', 'n.nspowner')} AS acl FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)' ORDER BY 1`,
  functions: `SELECT p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS definition, ${acl('p.proacl', 'f', 'p.proowner')} AS acl
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${OURS} AND p.prokind <> 'a' ORDER BY 1`,
  constraints: `SELECT conname, conrelid::regclass::text AS relation, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid <> 0 AND connamespace IN (SELECT n.oid FROM pg_namespace n WHERE ${OURS}) ORDER BY 2, 1`,
  database: `SELECT ${acl('datacl', 'd', 'datdba')} AS acl FROM pg_database WHERE datname = current_database()`,
  roles: `SELECT rolname, rolcanlogin, rolsuper, rolinherit FROM pg_roles WHERE rolname LIKE $1 || '%' ORDER BY 1`,
  members: `SELECT roleid::regrole::text AS role, member::regrole::text AS member FROM pg_auth_members
    WHERE roleid::regrole::text LIKE $1 || '%' OR member::regrole::text LIKE $1 || '%' ORDER BY 1, 2`,
  defaults: `SELECT defaclrole::regrole::text AS role, defaclobjtype, defaclacl::text AS acl FROM pg_default_acl ORDER BY 1, 2`,
} as const

/**
 * What a database is made of, object by object, for comparing before and after. Rows are not in it.
 *
 * @param rolePrefix roles belong to the whole server: only those that begin so
 */
export async function snapshotOf(client: Client, rolePrefix: string): Promise<Record<string, unknown[]>> {
  await client.query('SET search_path TO pg_catalog')
  const snapshot: Record<string, unknown[]> = {}
  for (const [what, sql] of Object.entries(QUESTIONS)) {
    const { rows } = await client.query(sql, sql.includes('$1') ? [rolePrefix] : [])
    snapshot[what] = rows
  }
  await client.query('RESET search_path')
  return snapshot
}
