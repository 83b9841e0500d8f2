import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { type Gate, loadGate } from '../../src/databases/gate/judge.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

/** What people and assistants ask every day. A gate that refuses these is switched off. */
const HARMLESS = `
SELECT 1
select 1;
SELECT * FROM orders LIMIT 10 OFFSET 20
SELECT count(*), count(DISTINCT customer_id) FROM orders
SELECT customer_id, sum(total) FROM orders GROUP BY customer_id HAVING sum(total) > 100 ORDER BY 2 DESC NULLS LAST
SELECT DISTINCT ON (customer_id) customer_id, id, placed_at FROM orders ORDER BY customer_id, placed_at DESC
SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.name ILIKE '%smith%'
SELECT * FROM orders o LEFT JOIN customers c USING (customer_id) WHERE c.name IS NULL
SELECT * FROM orders NATURAL JOIN customers
SELECT * FROM customers c CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.customer_id ORDER BY id DESC LIMIT 3) recent
SELECT date_trunc('month', placed_at) AS month, sum(total) FROM orders GROUP BY 1 ORDER BY 1
SELECT extract(year FROM placed_at), date_part('week', placed_at), to_char(placed_at, 'YYYY-MM-DD') FROM orders
SELECT placed_at AT TIME ZONE 'Europe/Berlin', placed_at + INTERVAL '1 day', age(now(), placed_at) FROM orders
SELECT date_bin('15 minutes', placed_at, TIMESTAMP '2001-01-01') FROM orders
SELECT placed_at::date, CAST(total AS int), total::numeric(10,2), '{1,2}'::int[] FROM orders
SELECT CASE WHEN total > 100 THEN 'big' WHEN total > 10 THEN 'middle' ELSE 'small' END FROM orders
SELECT CASE status WHEN 'new' THEN 1 ELSE 2 END FROM orders
SELECT coalesce(note, 'none'), nullif(total, 0), greatest(1, 2), least(1, 2) FROM orders
SELECT sum(total) FILTER (WHERE status = 'paid'), avg(total), stddev_samp(total), percentile_cont(0.95) WITHIN GROUP (ORDER BY total) FROM orders
SELECT mode() WITHIN GROUP (ORDER BY status), rank(5) WITHIN GROUP (ORDER BY total) FROM orders
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY placed_at), lag(total, 1, 0) OVER w, sum(total) OVER (w ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY placed_at)
SELECT ntile(4) OVER (ORDER BY total), first_value(id) OVER (ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM orders
SELECT region, product, sum(total) FROM orders GROUP BY GROUPING SETS ((region, product), (region), ())
SELECT region, GROUPING(region), sum(total) FROM orders GROUP BY ROLLUP (region)
SELECT region, sum(total) FROM orders GROUP BY CUBE (region, product)
WITH monthly AS (SELECT 1 AS m, 2 AS s), ranked AS MATERIALIZED (SELECT *, rank() OVER (ORDER BY s) FROM monthly) SELECT * FROM ranked WHERE rank = 1
WITH RECURSIVE tree AS (SELECT id, parent_id, 1 AS depth FROM parts WHERE parent_id IS NULL UNION ALL SELECT p.id, p.parent_id, t.depth + 1 FROM parts p JOIN tree t ON p.parent_id = t.id) SELECT * FROM tree
WITH RECURSIVE t(n) AS (VALUES (1) UNION SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t
SELECT id FROM orders UNION SELECT id FROM customers EXCEPT SELECT 3 INTERSECT ALL SELECT 4
SELECT * FROM generate_series(date '2024-01-01', date '2024-12-31', interval '1 month') AS g(month)
SELECT * FROM generate_series(1, 10) WITH ORDINALITY AS t(v, n)
SELECT unnest(ARRAY[1,2,3]), array_length(tags, 1), tags[1], tags[2:3], array_to_string(tags, ',') FROM orders
SELECT array_agg(id ORDER BY id), string_agg(name, ', ' ORDER BY name) FROM customers
SELECT * FROM orders WHERE tags && ARRAY['a'] AND 'b' = ANY (tags) AND tags @> '{c}'
SELECT data->>'name', data->'a'->0, data #>> '{a,b}', data @> '{"x": 1}', data ? 'k', jsonb_path_query(data, '$.a[*]') FROM events
SELECT json_build_object('id', id, 'total', total), row_to_json(o), to_jsonb(o) FROM orders o
SELECT jsonb_agg(DISTINCT status), jsonb_object_agg(id, total) FROM orders
SELECT * FROM jsonb_array_elements('[1,2]'::jsonb) AS e, jsonb_each('{"a": 1}') AS kv(k, v)
SELECT * FROM jsonb_to_recordset('[{"a": 1}]') AS x(a int, b text)
SELECT * FROM json_table('[{"a": 1}]', '$[*]' COLUMNS (a int PATH '$.a')) AS t
SELECT JSON_OBJECT('a': 1), JSON_ARRAY(1, 2), JSON_VALUE('{"a": 1}', '$.a'), '{}' IS JSON
SELECT to_tsvector('english', body) @@ websearch_to_tsquery('english', 'cats dogs'), ts_rank(to_tsvector(body), to_tsquery('cat')), ts_headline(body, to_tsquery('cat')) FROM articles
SELECT regexp_replace(name, '\\s+', ' ', 'g'), name ~* '^a', name SIMILAR TO 'a%', substring(name FROM 1 FOR 3), split_part(name, ' ', 1), position('a' IN name), trim(BOTH ' ' FROM name), overlay(name PLACING 'x' FROM 1) FROM customers
SELECT upper(name) || ' ' || lower(name), length(name), left(name, 3), format('%s (%I)', name, 'x'), concat_ws('-', 1, 2), md5(name), encode(sha256('a'), 'hex') FROM customers
SELECT round(total, 2), ceil(total), floor(total), total % 2, power(2, 10), sqrt(2), width_bucket(total, 0, 100, 10), random(), abs(-1) FROM orders
SELECT xmlagg(xmlelement(name row, xmlattributes(id AS id), total)) FROM orders
SELECT xpath('/a/b', '<a><b>1</b></a>'), xmlforest(1 AS a)
SELECT * FROM xmltable('/r/i' PASSING '<r><i>1</i></r>' COLUMNS i int PATH '.')
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(id, name)
SELECT exists(SELECT 1 FROM orders WHERE total > 10), (SELECT max(total) FROM orders), ARRAY(SELECT id FROM orders)
SELECT * FROM orders WHERE id IN (SELECT order_id FROM lines) AND total > ALL (SELECT 1) AND (customer_id, id) IN ((1, 2), (3, 4))
SELECT * FROM orders WHERE total BETWEEN 1 AND 10 AND id NOT BETWEEN SYMMETRIC 5 AND 1 AND note IS DISTINCT FROM 'x'
SELECT * FROM orders WHERE placed_at >= CURRENT_DATE - 30 AND placed_at < LOCALTIMESTAMP AND CURRENT_USER <> 'x'
SELECT * FROM orders WHERE (placed_at, placed_at + interval '1 day') OVERLAPS (DATE '2024-01-01', DATE '2024-02-01')
SELECT * FROM orders WHERE customer_id = $1 AND total > $2::numeric
SELECT * FROM orders TABLESAMPLE SYSTEM (1) REPEATABLE (42)
SELECT * FROM ONLY orders ORDER BY name COLLATE "C" FETCH FIRST 5 ROWS WITH TIES
SELECT int4range(1, 10) @> 5, upper(int4range(1, 10)), '[2024-01-01,2024-02-01)'::daterange && daterange('2024-01-15', '2024-03-01')
SELECT '192.168.0.0/16'::inet >> '192.168.1.1'::inet, host('10.0.0.1'::inet), point(1, 2) <-> point(3, 4)
SELECT gen_random_uuid(), clock_timestamp(), statement_timestamp(), timeofday(), uuidv7()
SELECT pg_size_pretty(pg_total_relation_size('pg_class')), pg_relation_size('pg_class'::regclass), pg_database_size(current_database())
SELECT obj_description('pg_class'::regclass), col_description('pg_class'::regclass, 1), to_regclass('orders'), 'orders'::text::regclass
SELECT has_table_privilege('pg_class', 'SELECT'), has_schema_privilege('public', 'USAGE'), pg_get_userbyid(10)
SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY 1, 2
SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_name = 'orders'
SELECT tc.table_name, kcu.column_name, ccu.table_name AS refers FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu USING (constraint_name) JOIN information_schema.constraint_column_usage ccu USING (constraint_name) WHERE tc.constraint_type = 'FOREIGN KEY'
SELECT c.relname, pg_get_indexdef(i.indexrelid), pg_get_expr(i.indpred, i.indrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'pg_class'::regclass
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute a LEFT JOIN pg_attrdef d ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum) WHERE a.attnum > 0
SELECT relname, n_live_tup, seq_scan, idx_scan, last_autovacuum FROM pg_stat_user_tables ORDER BY n_live_tup DESC
SELECT schemaname, tablename, attname, n_distinct, most_common_vals FROM pg_stats LIMIT 5
SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'
SELECT extname, extversion FROM pg_extension
SELECT name, setting, unit FROM pg_settings WHERE name LIKE 'work%'
SELECT current_database(), current_schema, current_schemas(true), version(), pg_backend_pid(), inet_server_port(), current_setting('TimeZone')
SELECT "select", "from", "update" FROM (SELECT 1 AS "select", 2 AS "from", 3 AS "update") AS "table"
SELECT 'it''s', E'tab\\t', $$dollar$$, $tag$ $$ $tag$, U&'\\0061', B'101', X'1F', 1e3, 0x1F, 1_000, NULL, TRUE
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND NOT nspname = 'information_schema'
SELECT 'a' < 'b' COLLATE "C", 5 OPERATOR(pg_catalog.+) 3, -(-1), +1, NOT false, 1 <> 2, 1 != 2, @ -5, |/ 4.0
SELECT id FROM customers ORDER BY id USING <, random() LIMIT ALL
TABLE orders
VALUES (1, 'a'), (2, 'b') ORDER BY 1
(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1
EXPLAIN SELECT * FROM orders
EXPLAIN (ANALYZE, BUFFERS, VERBOSE, TIMING off, SUMMARY, FORMAT JSON) SELECT 1
EXPLAIN (GENERIC_PLAN) SELECT * FROM orders WHERE id = $1
EXPLAIN ANALYZE VERBOSE VALUES (1)
SHOW server_version
SHOW search_path
SHOW TRANSACTION ISOLATION LEVEL
`
  .trim()
  .split('\n')

let database: TestDatabase
let superuser: Client
let gate: Gate
let catalogue: GateCatalogue

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  gate = await loadGate()
  catalogue = await loadGateCatalogue(async (sql) => (await superuser.query(sql)).rows)
})

afterAll(async () => {
  await superuser.end()
  await database.drop()
})

describe('harmless statements', () => {
  it('are many', () => expect(HARMLESS.length).toBeGreaterThan(80))

  it.each(HARMLESS)('%s', (sql) => {
    const judged = gate.judge(sql, catalogue)
    expect(judged.ok ? judged.value.access : judged.error).toBe('read')
  })

  it.each(HARMLESS.filter((sql) => !/orders|customers|parts|lines|events|articles|\$1/.test(sql)))(
    'proves that nothing survives, and runs: %s',
    async (sql) => {
      const judged = gate.judge(sql, catalogue)
      expect(judged.ok && judged.value.leavesNothing).toBe(true)
      await superuser.query(sql)
    },
  )
})
