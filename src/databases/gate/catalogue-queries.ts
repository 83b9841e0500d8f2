import { escapeLiteral } from 'pg'
import type { TenantView } from '../tenancy/tenancy.ts'

/**
 * The gate's questions to `pg_catalog`. Each answers with one row and one column of JSON text, so that no
 * driver setting changes what arrives. Every name is qualified: a schema of the search path may hold traps.
 */

/**
 * Rows that changed have another `xmin`; rows that went change the sum. In-place updates (ANALYZE) do not count.
 * Shifted and not multiplied: an oid above 2^31, as in a server that has stored billions of long values, would
 * overflow.
 */
const changes = (table: string): string =>
  `(SELECT pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashint8((oid::int8 << 32) | xmin::text::int8)::int8), 0) FROM pg_catalog.${table})`

const FINGERPRINTED = [
  'pg_proc',
  'pg_operator',
  'pg_type',
  'pg_cast',
  'pg_class',
  'pg_rewrite',
  'pg_constraint',
  'pg_extension',
  'pg_namespace',
  'pg_policy',
]

/** `pg_inherits` has no oid; an attached partition changes its parent's row in `pg_class`, a child's columns too. */
export const FINGERPRINT_QUERY = `SELECT ${FINGERPRINTED.map(changes).join(` || ' ' || `)}
  || ' ' || (SELECT pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(xmin::text::int8), 0) FROM pg_catalog.pg_inherits)
  || ' ' || pg_catalog.current_schemas(true)::text AS answer`

export const SEARCH_PATH_QUERY = `SELECT pg_catalog.to_json(pg_catalog.current_schemas(true))::text AS answer`

/**
 * The same for the roles of tenants: the schemas of this role's path that all of them may use. They get it at
 * start-up, so that PostgreSQL finds what the gate has judged.
 */
export const tenantPathQuery = ({ readers, writers }: TenantView): string =>
  `SELECT pg_catalog.to_json(ARRAY['pg_catalog'] || ARRAY(
     SELECT s.name::text FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(name, place)
     WHERE s.name <> 'pg_catalog' AND ${[readers, writers]
       .map((group) => `pg_catalog.has_schema_privilege(${escapeLiteral(group)}, s.name, 'USAGE')`)
       .join(' AND ')} ORDER BY s.place))::text AS answer`

const list = (object: string, from: string): string =>
  `SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(${object})), '[]')::text AS answer FROM ${from}`

const extensionOf = (catalogue: string, oid: string): string =>
  `(SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass AND d.objid = ${oid} AND d.deptype = 'e'
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1)`

const FUNCTIONS = list(
  `'oid', p.oid::int8, 'schema', n.nspname, 'name', p.proname, 'volatility', p.provolatile, 'kind', p.prokind,
   'language', l.lanname, 'securityDefiner', p.prosecdef,
   'leastArguments', p.pronargs - p.pronargdefaults - (p.provariadic <> 0)::int,
   'mostArguments', CASE WHEN p.provariadic <> 0 THEN 1000 ELSE p.pronargs END,
   'takesRow', coalesce(a.typtype IN ('c', 'p') OR (a.typtype = 'd' AND b.typtype = 'c'), false),
   'plumbing', ARRAY[2275, 2281]::pg_catalog.oid[] && p.proargtypes::pg_catalog.oid[],
   'extension', CASE WHEN p.oid >= 16384 THEN ${extensionOf('pg_proc', 'p.oid')} END,
   'definition', CASE WHEN p.oid >= 16384 AND p.prokind IN ('f', 'w') AND p.provolatile <> 'v' AND NOT p.prosecdef
       AND l.lanname IN ('sql', 'plpgsql') THEN pg_catalog.pg_get_functiondef(p.oid) END,
   'settings', coalesce(p.proconfig, '{}'),
   'parts', coalesce((SELECT pg_catalog.array_remove(ARRAY[g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn,
       g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn]::pg_catalog.oid[], 0::pg_catalog.oid)::int8[]
       FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid AND p.oid >= 16384), '{}')`,
  `pg_catalog.pg_proc p
   JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
   JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   LEFT JOIN pg_catalog.pg_type a ON a.oid = p.proargtypes[0]
   LEFT JOIN pg_catalog.pg_type b ON b.oid = a.typbasetype`,
)

const OPERATORS = list(
  `'schema', n.nspname, 'name', o.oprname,
   'functions', ARRAY(SELECT r.oprcode::pg_catalog.oid::int8 FROM pg_catalog.pg_operator r
      WHERE r.oid IN (o.oid, o.oprcom, o.oprnegate) AND r.oprcode::pg_catalog.oid <> 0)`,
  `pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace`,
)

/** Row types of tables without types of their own, and arrays of them, are left out: there are many, all harmless. */
const TYPES = list(
  `'oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
   'extension', CASE WHEN t.oid >= 16384 THEN ${extensionOf('pg_type', 't.oid')} END,
   'madeOf', ARRAY(
      SELECT m.o::int8 FROM pg_catalog.unnest(ARRAY[t.typelem, t.typbasetype,
        (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
        (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid)]) AS m(o) WHERE m.o >= 16384
      UNION
      SELECT a.atttypid::int8 FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = t.typrelid AND t.typrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384),
   'checks', ARRAY(SELECT pg_catalog.pg_get_expr(k.conbin, 0) FROM pg_catalog.pg_constraint k
      WHERE k.contypid = t.oid AND t.oid >= 16384 AND k.contype = 'c' AND t.typtype = 'd'),
   'functions', ARRAY(SELECT f.o::int8 FROM pg_catalog.pg_range r,
      pg_catalog.unnest(ARRAY[r.rngcanonical::pg_catalog.oid, r.rngsubdiff::pg_catalog.oid]) AS f(o)
      WHERE r.rngtypid = t.oid AND t.oid >= 16384 AND f.o <> 0)`,
  `pg_catalog.pg_type t
   JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
   LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
   LEFT JOIN pg_catalog.pg_class ec ON ec.oid = e.typrelid
   WHERE t.oid < 16384 OR (n.nspname !~ '^pg_temp_' AND
     (c.oid IS NULL OR c.relkind = 'c' OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384))
     AND (ec.oid IS NULL OR ec.relkind = 'c' OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = ec.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384)))`,
)

const CASTS = list(
  `'source', c.castsource::int8, 'target', c.casttarget::int8,
   'function', CASE WHEN c.castfunc <> 0 THEN c.castfunc::int8 END`,
  `pg_catalog.pg_cast c WHERE c.oid >= 16384`,
)

/**
 * Whether row security leaves nothing behind: all of it is Postern's own, whose names it has, which calls
 * `tenant()` and no other function, by the text, and nothing that a person made, by what it depends on.
 */
const onlyOwnPolicies = (prefix: string): string => {
  const schema = escapeLiteral(prefix)
  const calls = (expression: string): string =>
    `pg_catalog.regexp_replace(coalesce(pg_catalog.pg_get_expr(${expression}, y.polrelid), ''), 'tenant\\(\\)( t\\(t\\))?', '', 'g') ~ '[[:alnum:]_"$]\\('`
  return `NOT EXISTS (SELECT FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid AND (
      y.polname NOT IN (${schema} || '_session', ${schema} || '_tenant', ${schema} || '_open')
      OR ${calls('y.polqual')} OR ${calls('y.polwithcheck')}
      OR EXISTS (SELECT FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_proc p
          ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.refobjid
        LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
        WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = y.oid
          AND NOT (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid)
          AND NOT coalesce(pn.nspname = ${schema} AND p.proname = 'tenant', false))))`
}

/**
 * Without temporary ones, of which a session can make very many: no other can reach them, and it is judged when it makes them.
 * `unplain` are the tables above something that is not a heap: a foreign partition makes its parent foreign, too.
 */
const relations = (rowSecurity: string): string => `WITH RECURSIVE unplain(oid) AS (
    SELECT c.oid FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
     WHERE c.relkind = 'f' OR (c.relkind IN ('r', 'm') AND coalesce(a.amname, '') <> 'heap')
    UNION
    SELECT i.inhparent FROM unplain u JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.oid)
  ${list(
    `'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
     'rowSecurity', ${rowSecurity}, 'plain', NOT EXISTS (SELECT 1 FROM unplain u WHERE u.oid = c.oid),
     'definition', CASE WHEN c.relkind = 'v' AND c.oid >= 16384 THEN pg_catalog.pg_get_viewdef(c.oid) END,
     'columnTypes', CASE WHEN c.oid < 16384 THEN '{}' ELSE ARRAY(SELECT DISTINCT a.atttypid::int8 FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384) END`,
    `pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'pg_toast' AND c.relpersistence <> 't'`,
  )}`

export const CATALOGUE_QUERIES = {
  functions: FUNCTIONS,
  operators: OPERATORS,
  types: TYPES,
  casts: CASTS,
  relations: relations('c.relrowsecurity'),
} as const

/** The same question for a protected database, whose policies leave nothing behind. */
export const tenantRelationsQuery = ({ schema }: TenantView): string =>
  relations(`c.relrowsecurity AND NOT (${onlyOwnPolicies(schema)})`)
