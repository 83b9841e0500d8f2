import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { type Gate, loadGate } from '../../src/databases/gate/judge.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

let database: TestDatabase
let superuser: Client
let gate: Gate
let catalogue: GateCatalogue

const query = async (sql: string) => (await superuser.query<Record<string, unknown>>(sql)).rows
const judge = (sql: string, options = {}) => gate.judge(sql, catalogue, options)
const ruleOf = (sql: string) => {
  const judged = judge(sql)
  return judged.ok ? null : judged.error.rule
}
const leavesNothing = (sql: string) => {
  const judged = judge(sql)
  if (!judged.ok) throw new Error(`${sql}: ${judged.error.message}`)
  return judged.value.leavesNothing
}

/** What a careless or hostile owner could have made. */
const OBJECTS = `
  CREATE TYPE mood AS ENUM ('fine', 'sad');
  CREATE TABLE orders (id serial PRIMARY KEY, customer_id int, total numeric, mood mood, tags text[]);
  CREATE SCHEMA other;
  CREATE TABLE other.orders (id int);

  CREATE FUNCTION evil(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION evil_bool(int, int) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT true';
  CREATE FUNCTION good(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION good_bool(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2';
  CREATE FUNCTION vat(numeric) RETURNS numeric STABLE LANGUAGE plpgsql AS
    'DECLARE r numeric; BEGIN r := $1 * 0.19; IF r > 1 THEN SELECT max(total) INTO r FROM orders; END IF; RETURN r; END';
  CREATE FUNCTION dynamic(text) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE n int; BEGIN EXECUTE $1 INTO n; RETURN n; END';
  CREATE FUNCTION dynamic_rows(text) RETURNS SETOF int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE $1; END';
  CREATE FUNCTION dynamic_loop(text) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE r record; BEGIN FOR r IN EXECUTE $1 LOOP NULL; END LOOP; RETURN 1; END';
  CREATE FUNCTION hidden_assignment(int) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE x int; BEGIN x := set_config(''a.b'', ''c'', false)::int; RETURN x; END';
  CREATE FUNCTION hidden_subscript() RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE x int[]; BEGIN x[nextval(''orders_id_seq'')::int] := 1; RETURN x[1]; END';
  CREATE FUNCTION hidden_raise() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', pg_read_file(''/etc/passwd''); RETURN 1; END';
  CREATE FUNCTION hidden_cursor() RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE c CURSOR FOR SELECT pg_advisory_lock(1); BEGIN OPEN c; RETURN 1; END';
  CREATE FUNCTION fact(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN n < 2 THEN 1 ELSE n * fact(n - 1) END; END';
  CREATE FUNCTION ring_a(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION ring_b(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT ring_a($1)';
  CREATE OR REPLACE FUNCTION ring_a(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT ring_b($1) + evil($1)';
  CREATE FUNCTION definer(int) RETURNS int STABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION as_other_role(int) RETURNS int STABLE LANGUAGE sql SET role = 'pg_monitor' AS 'SELECT $1';
  CREATE FUNCTION writable(int) RETURNS int STABLE LANGUAGE sql SET default_transaction_read_only = off AS 'SELECT $1';
  CREATE FUNCTION other.count(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION own_path(int) RETURNS bigint STABLE LANGUAGE sql SET search_path = other, pg_temp AS 'SELECT count($1)';
  CREATE FUNCTION harmless_path(int) RETURNS int STABLE LANGUAGE sql SET search_path = '' AS 'SELECT $1 + 1';
  CREATE FUNCTION alias_of_file(text) RETURNS text IMMUTABLE LANGUAGE internal AS 'pg_read_file_all';
  CREATE FUNCTION overloaded(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION overloaded(text) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION overloaded(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION computed(orders) RETURNS numeric STABLE LANGUAGE sql AS 'SELECT $1.total * 2';
  CREATE FUNCTION touch(orders) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION touch_any(anyelement) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION ${'n'.repeat(63)}(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
  CREATE PROCEDURE proc(int) LANGUAGE sql AS 'SELECT 1';

  CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_bool);
  CREATE OPERATOR ==== (LEFTARG = int, RIGHTARG = int, FUNCTION = good_bool);
  CREATE OPERATOR !==! (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_bool);
  CREATE OPERATOR ==~ (LEFTARG = int, RIGHTARG = int, FUNCTION = good_bool, NEGATOR = !==!);
  CREATE OPERATOR other.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);

  CREATE FUNCTION evil_state(int, int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1';
  CREATE AGGREGATE evil_sum(int) (SFUNC = evil_state, STYPE = int);
  CREATE AGGREGATE good_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

  CREATE DOMAIN evil_domain AS int CHECK (evil(VALUE) > 0);
  CREATE DOMAIN good_domain AS int CHECK (VALUE > 0 AND abs(VALUE) < 10);
  CREATE DOMAIN over_evil AS evil_domain;
  CREATE TYPE evil_row AS (a int, b evil_domain);
  CREATE TYPE deep_row AS (a evil_row[]);
  CREATE TYPE plain_row AS (a int, b text);
  CREATE TABLE with_domain (d evil_domain);
  CREATE FUNCTION evil_diff(int, int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8';
  CREATE TYPE span AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = evil_diff);
  ALTER FUNCTION evil_diff(int, int) VOLATILE;
  CREATE FUNCTION to_row(int) RETURNS plain_row VOLATILE LANGUAGE sql AS 'SELECT ROW($1, NULL)::plain_row';
  CREATE CAST (int AS plain_row) WITH FUNCTION to_row(int);

  CREATE VIEW v_plain AS SELECT id, total FROM orders WHERE total > 10;
  CREATE VIEW v_evil AS SELECT evil(id) FROM orders;
  CREATE VIEW v_secret AS SELECT * FROM pg_stat_activity;
  CREATE VIEW v_row AS SELECT o.touch FROM orders o;
  CREATE MATERIALIZED VIEW m_evil AS SELECT evil(id) FROM orders;
  CREATE TABLE guarded (id int);
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  CREATE VIEW v_guarded AS SELECT * FROM guarded;
  CREATE TABLE parts (id int) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
  CREATE EXTENSION file_fdw;
  CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
  CREATE FOREIGN TABLE far (id int) SERVER files OPTIONS (program 'echo 1', format 'csv');
  CREATE TABLE mixed (id int) PARTITION BY RANGE (id);
  CREATE FOREIGN TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (1) TO (10) SERVER files OPTIONS (program 'echo 1', format 'csv');
  CREATE TABLE public.pg_authid_copy (id int);
  CREATE EXTENSION dblink; CREATE EXTENSION tablefunc; CREATE EXTENSION citext; CREATE EXTENSION pg_trgm;
  CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION tsm_system_rows; CREATE EXTENSION lo;
  CREATE TABLE people (name citext, extra hstore);
`

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(OBJECTS)
  gate = await loadGate()
  catalogue = await loadGateCatalogue(query)
})

afterAll(async () => {
  await superuser.end()
  await database.drop()
})

describe('functions that people made', () => {
  it.each([
    'SELECT evil(1)',
    'SELECT public.evil(1)',
    'SELECT "evil"(1)',
    'SELECT EVIL(1)',
    'SELECT definer(1)',
    'SELECT as_other_role(1)',
    'SELECT writable(1)',
    'SELECT own_path(1)',
    'SELECT other.count(1)',
    "SELECT alias_of_file('/etc/passwd')",
    'SELECT overloaded(1)',
    "SELECT dynamic('delete from orders')",
    "SELECT * FROM dynamic_rows('delete from orders')",
    "SELECT dynamic_loop('delete from orders')",
    'SELECT hidden_assignment(1)',
    'SELECT hidden_subscript()',
    'SELECT hidden_raise()',
    'SELECT hidden_cursor()',
    'SELECT ring_a(1)',
    'SELECT ring_b(1)',
    'SELECT proc(1)',
    `SELECT ${'n'.repeat(70)}(1)`,
    'SELECT pg_catalog.public.evil(1)',
    'SELECT evil(VARIADIC ARRAY[1])',
    'SELECT evil("$1" => 1)',
    'SELECT * FROM evil(1) WITH ORDINALITY',
    'SELECT * FROM LATERAL ROWS FROM (good(1), evil(1)) x',
    'SELECT good(evil(1))',
    'SELECT 1 FROM orders WINDOW w AS (ORDER BY evil(id))',
    'EXPLAIN SELECT evil(1)',
    'SELECT lower(x.evil_text) FROM (SELECT evil(1) AS evil_text) x',
    'SELECT touch(o) FROM orders o',
    'SELECT o.touch FROM orders o',
    'SELECT (o).touch FROM orders o',
    'SELECT public.orders.touch FROM public.orders',
    'SELECT (SELECT o FROM orders o LIMIT 1).touch',
    'SELECT o.touch_any FROM orders o',
    'SELECT 1 FROM orders o WHERE o.touch = 1',
    'SELECT evil_sum(id) FROM orders',
    'SELECT evil_sum(id) OVER () FROM orders',
    "SELECT dblink_connect('a')",
    "SELECT * FROM dblink('dbname=x', 'delete from orders') AS t(a int)",
    "SELECT * FROM crosstab('delete from orders') AS t(a int, b int)",
    "SELECT * FROM connectby('orders', 'id', 'customer_id', '1', 0) AS t(a int, b int, c int)",
    'SELECT set_limit(0.1)',
    'SELECT file_fdw_handler()',
  ])('%s', (sql) => {
    expect(ruleOf(sql)).toMatch(/^sql\.function/)
  })

  it('asks about the circle again from the other side', () => {
    expect(ruleOf('SELECT ring_b(1)')).toBe('sql.function')
    expect(ruleOf('SELECT ring_a(2)')).toBe('sql.function')
    expect(ruleOf('SELECT ring_b(2)')).toBe('sql.function')
  })

  it.each([
    'SELECT good(1)',
    'SELECT overloaded(1, 2)',
    'SELECT vat(total) FROM orders',
    'SELECT fact(5)',
    'SELECT harmless_path(1)',
    'SELECT o.computed FROM orders o',
    'SELECT computed(o) FROM orders o',
    'SELECT good_sum(id) FROM orders',
  ])('allows %s, the careful way', (sql) => {
    expect(leavesNothing(sql)).toBe(sql.includes('good_sum'))
  })

  it.each([
    "SELECT gen_salt('bf'), gen_random_bytes(4), uuid_generate_v4(), crypt('a', 'b')",
    "SELECT similarity('a', 'b'), 'a' % 'b'",
    "SELECT * FROM people WHERE name = 'x' AND extra -> 'a' = 'b'",
    'SELECT * FROM orders TABLESAMPLE system_rows(10)',
    'SELECT * FROM orders TABLESAMPLE bernoulli(10) REPEATABLE (1)',
  ])('trusts known extensions: %s', (sql) => {
    expect(leavesNothing(sql)).toBe(true)
  })
})

describe('operators, casts, types that people made', () => {
  it.each([
    'SELECT 1 === 2',
    'SELECT 1 OPERATOR(public.===) 2',
    'SELECT 1 = ANY (SELECT 2 WHERE 1 === 2)',
    'SELECT 1 === ANY (ARRAY[1])',
    'SELECT 1 === ALL (SELECT 1)',
    'SELECT id FROM orders ORDER BY id USING ===',
    'SELECT NOT (1 ==~ 2)',
    'SELECT 1 !==! 2',
  ])('%s', (sql) => {
    expect(ruleOf(sql)).toBe('sql.operator')
  })

  it.each([
    'SELECT 1::evil_domain',
    'SELECT CAST(1 AS public.evil_domain)',
    'SELECT evil_domain(1)',
    "SELECT evil_domain '1'",
    'SELECT 1::over_evil',
    "SELECT '{1}'::evil_domain[]",
    "SELECT '(1,2)'::evil_row",
    "SELECT '({})'::deep_row",
    "SELECT '{}'::_evil_row",
    "SELECT * FROM json_populate_record(NULL::evil_row, '{}')",
    "SELECT * FROM jsonb_to_record('{}') AS x(a evil_domain)",
    "SELECT * FROM ROWS FROM (jsonb_to_record('{}') AS (a evil_domain)) x",
    "SELECT * FROM json_table('[1]', '$[*]' COLUMNS (a evil_domain PATH '$')) t",
    "SELECT json_value('1', '$' RETURNING evil_domain)",
    "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS a evil_domain)",
    "SELECT xmlserialize(content '<a/>' AS evil_domain)",
    "SELECT '[1,2)'::span",
    'SELECT 1::plain_row',
    'SELECT NULL::with_domain',
    'WITH RECURSIVE r(n) AS (SELECT 1::evil_domain UNION ALL SELECT n FROM r) SELECT * FROM r',
  ])('%s', (sql) => {
    expect(ruleOf(sql)).toMatch(/^sql\.(type|function)/)
  })

  it('allows harmless ones', () => {
    expect(leavesNothing("SELECT 'fine'::mood")).toBe(true)
    expect(leavesNothing('SELECT 1::good_domain, 2::public.good_domain')).toBe(true)
    expect(leavesNothing('SELECT 1 ==== 2')).toBe(false)
    expect(leavesNothing("SELECT 'a' OPERATOR(other.+) 'b'")).toBe(true)
  })
})

describe('relations', () => {
  it.each(['SELECT * FROM v_evil', 'SELECT * FROM v_secret', 'SELECT * FROM v_row', 'TABLE public."v_evil"'])(
    '%s',
    (sql) => {
      expect(ruleOf(sql)).toBe('sql.view')
    },
  )

  it.each<[string, boolean]>([
    ['SELECT * FROM orders', true],
    ['SELECT * FROM other.orders', true],
    ['SELECT * FROM v_plain', true],
    ['SELECT * FROM m_evil', true],
    ['SELECT * FROM parts', true],
    ['SELECT * FROM orders_id_seq', true],
    ['SELECT * FROM pg_authid_copy', true],
    ['SELECT * FROM guarded', false],
    ['SELECT * FROM v_guarded', false],
    ['SELECT * FROM with_domain', false],
    ['SELECT * FROM far', false],
    ['SELECT * FROM mixed', false],
    ['SELECT * FROM nowhere', false],
    ['SELECT * FROM pg_temp.mine', false],
  ])('%s leaves nothing: %s', (sql, expected) => {
    expect(leavesNothing(sql)).toBe(expected)
  })

  it('names what it reads', () => {
    const judged = judge(
      'WITH a AS (SELECT * FROM orders) SELECT * FROM a JOIN other.orders o ON true JOIN nowhere n ON true',
    )
    expect(judged.ok && [...judged.value.relations].sort()).toEqual([
      'nowhere',
      'other.orders',
      'public.orders',
    ])
  })
})

describe('a catalogue that changes', () => {
  it('is the same object while nothing changed, and judges anew when something did', async () => {
    expect(await loadGateCatalogue(query, catalogue)).toBe(catalogue)
    const changes: [string, string][] = [
      ['ALTER FUNCTION good(int) VOLATILE', 'SELECT good(1)'],
      [
        'CREATE OR REPLACE VIEW v_plain AS SELECT id, total FROM orders WHERE evil(id) > 0',
        'SELECT * FROM v_plain',
      ],
      ['ALTER DOMAIN good_domain ADD CHECK (evil(VALUE) > 1)', 'SELECT 1::good_domain'],
      ['CREATE FUNCTION lower(int) RETURNS int VOLATILE LANGUAGE sql AS $$SELECT 1$$', "SELECT lower('a')"],
    ]
    for (const [ddl, sql] of changes) {
      expect(ruleOf(sql), sql).toBeNull()
      await superuser.query(ddl)
      const newer = await loadGateCatalogue(query, catalogue)
      expect(newer.version).not.toBe(catalogue.version)
      catalogue = newer
      expect(ruleOf(sql), sql).not.toBeNull()
    }
    await superuser.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY')
    expect(leavesNothing('TABLE orders')).toBe(true)
    catalogue = await loadGateCatalogue(query, catalogue)
    expect(leavesNothing('TABLE orders')).toBe(false)
    await superuser.query(
      'CREATE FOREIGN TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER files OPTIONS (program $$echo 1$$)',
    )
    catalogue = await loadGateCatalogue(query, catalogue)
    expect(leavesNothing('TABLE parts')).toBe(false)
  })
})

describe('writes, for those who may', () => {
  const write = (sql: string) => judge(sql, { writes: true })

  it.each<[string, string, boolean]>([
    ['DELETE FROM orders', 'DeleteStmt', false],
    ['WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d', 'SelectStmt', false],
    ['SELECT evil(1)', 'SelectStmt', false],
    ['CREATE TABLE t (a int)', 'CreateStmt', false],
    ['EXPLAIN ANALYZE DELETE FROM orders', 'ExplainStmt', false],
    ['SET work_mem = 1000', 'VariableSetStmt', true],
    ['PREPARE p AS SELECT 1', 'PrepareStmt', true],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'DeclareCursorStmt', true],
  ])('%s', (sql, statement, sessionState) => {
    const judged = write(sql)
    expect(judged.ok && judged.value).toMatchObject({
      statement,
      sessionState,
      access: 'write',
      leavesNothing: false,
    })
    expect(judge(sql).ok).toBe(false)
  })

  it('still knows a read', () => {
    expect(write('SELECT 1')).toMatchObject({ ok: true, value: { access: 'read', leavesNothing: true } })
  })

  it.each([
    ['COMMIT', 'sql.transaction'],
    ['BEGIN', 'sql.transaction'],
    ['SET TRANSACTION READ WRITE', 'sql.session'],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'sql.session'],
    ['SET ROLE postgres', 'sql.session'],
    ['SET "ROLE" = postgres', 'sql.session'],
    ['RESET ROLE', 'sql.session'],
    ['SET SESSION AUTHORIZATION postgres', 'sql.session'],
    ['RESET ALL', 'sql.session'],
    ['DISCARD ALL', 'sql.session'],
    ['SET standard_conforming_strings = off', 'sql.session'],
    ['SET client_encoding = SJIS', 'sql.session'],
    ['LISTEN a', 'sql.session'],
    ["LOAD 'x'", 'sql.session'],
    ['COPY orders FROM STDIN', 'sql.copy'],
    ["COPY orders TO PROGRAM 'id'", 'sql.copy'],
    ['DELETE FROM orders; DELETE FROM orders', 'sql.one_statement'],
    ['', 'sql.empty'],
  ])('refuses %s for anybody', (sql, rule) => {
    const judged = write(sql)
    expect(judged.ok ? null : judged.error.rule).toBe(rule)
  })
})
