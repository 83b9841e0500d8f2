import { escapeIdentifier } from 'pg'
import type { PlannedStatement } from './plan.ts'
import type { ProtectionFacts } from './protection-facts.ts'

/**
 * The schema of our own: who belongs to which tenant, which only the function may look up, and what was protected,
 * which everybody may read.
 */
export function ownSchema(facts: ProtectionFacts, prefix: string): readonly PlannedStatement[] {
  const schema = escapeIdentifier(prefix)
  const literal = `'${schema}`
  const body = `SELECT tenant FROM ${schema}.tenant_roles WHERE role_name = session_user`
  return [
    ...(facts.ownSchema === 'absent'
      ? [{ sql: `CREATE SCHEMA ${schema}`, why: 'a schema of its own for what Postern keeps here' }]
      : []),
    {
      sql: `CREATE TABLE IF NOT EXISTS ${schema}.tenant_roles (role_name name PRIMARY KEY, tenant text NOT NULL)`,
      why: 'which role is of which tenant; granted to nobody',
    },
    {
      sql: `CREATE TABLE IF NOT EXISTS ${schema}.protected_relations (
  relation regclass PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('tenant', 'shared', 'view')),
  column_name name,
  row_security boolean NOT NULL,
  forced boolean NOT NULL,
  security_invoker text
)`,
      why: 'what is protected and shared, and how it was before, so that it can be undone',
    },
    ...(facts.vanished > 0
      ? [
          {
            sql: `DELETE FROM ${schema}.protected_relations WHERE relation NOT IN (SELECT oid FROM pg_class)`,
            why: 'tables that are no longer there',
          },
        ]
      : []),
    {
      sql: `CREATE OR REPLACE FUNCTION ${schema}.tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$${body}$$`,
      why: 'the tenant of a session: of the role that logged in, which no statement can change',
    },
    {
      sql: `DO $own$ DECLARE given record; BEGIN
  FOR given IN SELECT c.oid::regclass AS relation, coalesce(quote_ident(r.rolname), 'PUBLIC') AS grantee
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE c.oid IN (${literal}.tenant_roles'::regclass, ${literal}.protected_relations'::regclass) AND x.grantee <> c.relowner
  LOOP EXECUTE format('REVOKE ALL ON %s FROM %s', given.relation, given.grantee); END LOOP;
  FOR given IN SELECT coalesce(quote_ident(r.rolname), 'PUBLIC') AS grantee
    FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE n.oid = ${literal}'::regnamespace AND x.grantee <> n.nspowner
  LOOP EXECUTE format('REVOKE ALL ON SCHEMA %s FROM %s', ${literal}', given.grantee); END LOOP;
END $own$`,
      why: 'default privileges may have granted them to somebody',
    },
    {
      sql: `GRANT USAGE ON SCHEMA ${schema} TO PUBLIC`,
      why: 'the policies call the function for everybody, and Postern looks at what is protected',
    },
    { sql: `GRANT SELECT ON ${schema}.protected_relations TO PUBLIC`, why: 'the same' },
    { sql: `GRANT EXECUTE ON FUNCTION ${schema}.tenant() TO PUBLIC`, why: 'the same' },
  ]
}
