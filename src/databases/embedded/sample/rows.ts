/**
 * The rows of the sample, about 115,000. `pg_temp.roll(seed)` is a pseudo-random number of [0, 1) made from
 * MD5: the same rows on every machine, at every start. Every time lies before the end of June 2026.
 * A row's tenant is that of the row it belongs to.
 */
export const SAMPLE_ROWS = `
CREATE FUNCTION pg_temp.roll(seed text) RETURNS double precision LANGUAGE sql IMMUTABLE
  AS $$ SELECT ('x' || substr(md5(seed), 1, 8))::bit(32)::bigint / 4294967296.0::double precision $$;
CREATE FUNCTION pg_temp.pick(seed text, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT choices[1 + floor(pg_temp.roll(seed) * cardinality(choices))::int] $$;

INSERT INTO tenants VALUES
  ('default', 'Northfield Tools', '2022-01-10 08:00+00'),
  ('harbour', 'Harbour & Hull', '2023-05-02 08:00+00');

INSERT INTO users (id, tenant_id, email, full_name, role, active, last_login_at, created_at)
SELECT i, tenant, lower(first || '.' || last) || i || '@' || tenant || '.example', first || ' ' || last,
  pg_temp.pick('user role' || i, '{operator,operator,operator,planner,sales,manager}'),
  pg_temp.roll('user active' || i) < 0.85,
  CASE WHEN pg_temp.roll('user login' || i) < 0.9
    THEN timestamptz '2026-06-30 18:00+00' - floor(pg_temp.roll('user seen' || i) * 86400 * 60) * interval '1 second' END,
  timestamptz '2022-01-10 08:00+00' + floor(pg_temp.roll('user since' || i) * 1500) * interval '1 day'
FROM generate_series(1, 120) AS i
CROSS JOIN LATERAL (SELECT CASE WHEN i % 3 = 0 THEN 'harbour' ELSE 'default' END AS tenant,
  pg_temp.pick('first' || i, '{Ada,Bruno,Carla,Deniz,Elif,Femi,Grete,Hugo,Ines,Jonas,Kaja,Lars,Mina,Noor,Otto,Pia}') AS first,
  pg_temp.pick('last' || i, '{Adler,Berg,Costa,Dunn,Ek,Fischer,Garnier,Holm,Ivanov,Jansen,Kowalski,Lund,Moreau,Novak}') AS last) AS person;

INSERT INTO customers (id, tenant_id, name, email, city, country, credit_limit, account_manager_id, created_at)
SELECT i, tenant, name || ' ' || i, 'office' || i || '@' || lower(replace(name, ' ', '-')) || '.example',
  place[1], place[2], 1000 * (1 + floor(pg_temp.roll('credit' || i) * 50)),
  1 + 3 * floor(pg_temp.roll('manager' || i) * 40) + CASE WHEN tenant = 'harbour' THEN 2 ELSE 0 END,
  timestamptz '2022-02-01 08:00+00' + floor(pg_temp.roll('customer since' || i) * 1500) * interval '1 day'
FROM generate_series(1, 2000) AS i
CROSS JOIN LATERAL (SELECT CASE WHEN i % 3 = 0 THEN 'harbour' ELSE 'default' END AS tenant,
  pg_temp.pick('company a' || i, '{Green,Old,Blue,North,River,Stone,Bright,Iron}') || ' ' ||
  pg_temp.pick('company b' || i, '{Gardens,Marine,Works,Supply,Yard,Builders,Trading,Workshop}') AS name,
  string_to_array(pg_temp.pick('city' || i, '{Hamburg/DE,Oslo/NO,Porto/PT,Gdansk/PL,Bergen/NO,Lyon/FR,Turku/FI,Cork/IE,Bremen/DE,Malmo/SE}'), '/') AS place) AS facts;

INSERT INTO products (id, tenant_id, sku, name, category, unit_price, weight_kg, discontinued)
SELECT i, CASE WHEN i % 3 = 0 THEN 'harbour' ELSE 'default' END, upper(left(kind, 2)) || '-' || lpad(i::text, 4, '0'),
  pg_temp.pick('material' || i, '{Steel,Brass,Oak,Bronze,Carbon,Ash,Stainless,Galvanised}') || ' ' || kind,
  CASE WHEN kind IN ('Cleat', 'Winch', 'Shackle', 'Anchor') THEN 'boat' ELSE 'garden' END,
  round((3 + pg_temp.roll('price' || i) * 240)::numeric, 2), round((0.1 + pg_temp.roll('weight' || i) * 12)::numeric, 3),
  pg_temp.roll('discontinued' || i) < 0.08
FROM generate_series(1, 300) AS i
CROSS JOIN LATERAL (SELECT pg_temp.pick('kind' || i, '{Spade,Rake,Hinge,Bracket,Cleat,Winch,Shackle,Anchor}') AS kind) AS facts;

INSERT INTO warehouses (id, tenant_id, code, city) VALUES
  (1, 'default', 'MAIN', 'Hamburg'), (2, 'default', 'NORTH', 'Oslo'),
  (3, 'harbour', 'QUAY', 'Bremen'), (4, 'harbour', 'DOCK', 'Turku');

INSERT INTO inventory (tenant_id, product_id, warehouse_id, quantity, reorder_level, counted_at)
SELECT p.tenant_id, p.id, w.id, floor(pg_temp.roll('stock' || p.id || '/' || w.id) * 400)::int,
  10 * (1 + floor(pg_temp.roll('reorder' || p.id) * 6))::int,
  timestamptz '2026-06-01 06:00+00' + floor(pg_temp.roll('count' || p.id || '/' || w.id) * 28) * interval '1 day'
FROM products AS p JOIN warehouses AS w USING (tenant_id) ORDER BY p.id, w.id;

INSERT INTO orders (id, tenant_id, customer_id, status, reference, ordered_at, promised_on, shipped_at)
SELECT i, c.tenant_id, c.id, status, CASE WHEN i % 4 <> 0 THEN 'PO-' || upper(substr(md5('po' || i), 1, 6)) END, ordered_at,
  (ordered_at AT TIME ZONE 'UTC')::date + 5 + floor(pg_temp.roll('promise' || i) * 25)::int,
  CASE WHEN status IN ('shipped', 'delivered')
    THEN ordered_at + (1 + floor(pg_temp.roll('ship' || i) * 20)) * interval '1 day' END
FROM generate_series(1, 12000) AS i
CROSS JOIN LATERAL (SELECT timestamptz '2025-01-01 07:00+00' + i * interval '1 hour' + floor(pg_temp.roll('minute' || i) * 3600) * interval '1 second' AS ordered_at,
  CASE WHEN i < 10500 THEN pg_temp.pick('status' || i, '{delivered,delivered,delivered,delivered,delivered,shipped,cancelled}')
    ELSE pg_temp.pick('status' || i, '{draft,confirmed,confirmed,in_production,in_production,shipped}') END::order_status AS status) AS facts
JOIN customers AS c ON c.id = 1 + floor(pg_temp.roll('buyer' || i) ^ 1.5 * 2000)::bigint
ORDER BY i;

INSERT INTO order_lines (order_id, line_no, tenant_id, product_id, quantity, unit_price)
SELECT o.id, line, o.tenant_id, p.id, 1 + floor(pg_temp.roll('quantity' || o.id || '/' || line) * 24)::int,
  round(p.unit_price * (0.85 + 0.15 * pg_temp.roll('discount' || o.id)::numeric), 2)
FROM orders AS o CROSS JOIN LATERAL generate_series(1, 1 + floor(pg_temp.roll('lines' || o.id) * 4)::int) AS line
JOIN products AS p ON p.id = 3 * floor(pg_temp.roll('article' || o.id || '/' || line) * 100)::bigint
  + CASE WHEN o.tenant_id = 'harbour' THEN 3 ELSE 1 + (o.id + line) % 2 END
ORDER BY o.id, line;

INSERT INTO machines (id, tenant_id, name, kind, state, installed_on)
SELECT i, CASE WHEN i % 3 = 0 THEN 'harbour' ELSE 'default' END, kind || '-' || lpad(i::text, 2, '0'), kind,
  pg_temp.pick('state' || i, '{running,running,running,running,idle,idle,maintenance,broken}')::machine_state,
  date '2015-03-01' + floor(pg_temp.roll('installed' || i) * 3500)::int
FROM generate_series(1, 24) AS i
CROSS JOIN LATERAL (SELECT (ARRAY['press', 'lathe', 'mill', 'laser', 'oven', 'robot'])[1 + (i / 3) % 6] AS kind) AS facts;

INSERT INTO metrics (id, tenant_id, machine_id, recorded_at, name, value)
SELECT i, m.tenant_id, m.id, timestamptz '2026-04-01 00:00+00' + i * interval '188 seconds', measure.name,
  round((measure.base * (0.7 + 0.6 * pg_temp.roll('metric' || i)))::numeric, 2)::double precision
FROM generate_series(1, 40000) AS i
JOIN machines AS m ON m.id = 1 + i % 24
JOIN (VALUES (0, 'temperature_c', 62), (1, 'vibration_mm_s', 4), (2, 'power_kw', 18), (3, 'pieces_per_hour', 140))
  AS measure (n, name, base) ON measure.n = (i / 24) % 4
ORDER BY i;

INSERT INTO work_orders (id, tenant_id, order_id, product_id, machine_id, quantity, due_on, finished_at)
SELECT i, p.tenant_id, o.order_id, p.id,
  1 + (p.id - 1) % 3 + 3 * floor(pg_temp.roll('work machine' || i) * 8)::bigint,
  coalesce(o.quantity, 50 + floor(pg_temp.roll('work quantity' || i) * 400)::int), due, CASE WHEN i <= 2700 THEN due::timestamp AT TIME ZONE 'UTC' + interval '14 hours' END
FROM generate_series(1, 3000) AS i
CROSS JOIN LATERAL (SELECT date '2025-02-01' + i / 6 + floor(pg_temp.roll('due' || i) * 10)::int AS due) AS facts
LEFT JOIN order_lines AS o ON i % 5 <> 0 AND o.order_id = 4 * i AND o.line_no = 1
JOIN products AS p ON p.id = coalesce(o.product_id, 1 + floor(pg_temp.roll('work product' || i) * 300)::bigint)
ORDER BY i;

INSERT INTO labour_entries (id, tenant_id, work_order_id, user_id, worked_on, minutes, note)
SELECT i, w.tenant_id, w.id, 3 * floor(pg_temp.roll('worker' || i) * 40)::bigint + CASE WHEN w.tenant_id = 'harbour' THEN 3 ELSE 1 + i % 2 END,
  w.due_on - floor(pg_temp.roll('day' || i) * 8)::int, 15 * (1 + floor(pg_temp.roll('minutes' || i) * 32)::int),
  CASE WHEN i % 9 = 0 THEN pg_temp.pick('labour note' || i, '{set-up,"tool change",rework,"waiting for material",cleaning}') END
FROM generate_series(1, 9000) AS i JOIN work_orders AS w ON w.id = 1 + i % 3000 ORDER BY i;

INSERT INTO platforms (id, name, capabilities, created_at) VALUES
  ('parcelo', 'Parcelo', '{"labels": true, "returns": true, "tracking": true}', '2022-01-01 00:00+00'),
  ('freightline', 'Freightline', '{"labels": true, "returns": false, "tracking": true}', '2022-01-01 00:00+00'),
  ('bikeway', 'Bikeway', '{"labels": false, "returns": false, "tracking": true}', '2023-03-01 00:00+00'),
  ('marketly', 'Marketly', '{"orders": true, "stock": true}', '2022-06-01 00:00+00'),
  ('boatmart', 'Boatmart', '{"orders": true, "stock": false}', '2024-02-01 00:00+00');

INSERT INTO connections (id, tenant_id, platform_id, name, enabled, settings, last_sync_at, created_at)
SELECT i, CASE WHEN i % 3 = 0 THEN 'harbour' ELSE 'default' END,
  (ARRAY['parcelo', 'freightline', 'bikeway', 'marketly', 'boatmart'])[1 + (i / 3) % 5], 'account ' || i,
  pg_temp.roll('enabled' || i) < 0.9, jsonb_build_object('retries', 1 + i % 5, 'region', pg_temp.pick('region' || i, '{eu-north,eu-west}')),
  timestamptz '2026-06-30 12:00+00' - floor(pg_temp.roll('sync' || i) * 86400) * interval '1 second',
  timestamptz '2023-06-01 08:00+00' + i * interval '9 days'
FROM generate_series(1, 45) AS i;

INSERT INTO assignments (id, tenant_id, connection_id, order_id, kind, status, attempts, error, created_at, updated_at)
SELECT i, o.tenant_id, 3 * floor(pg_temp.roll('via' || i) * 15)::bigint + CASE WHEN o.tenant_id = 'harbour' THEN 3 ELSE 1 + i % 2 END,
  o.id, pg_temp.pick('kind of job' || i, '{delivery,delivery,delivery,delivery,pickup,return}'), facts.status,
  CASE facts.status WHEN 'queued' THEN 0 WHEN 'failed' THEN 2 + i % 3 ELSE 1 END,
  CASE WHEN facts.status = 'failed' THEN pg_temp.pick('carrier error' || i, '{"address not found","label rejected","carrier timed out","parcel too heavy"}') END,
  o.ordered_at + interval '1 day', o.ordered_at + interval '1 day' + floor(pg_temp.roll('took' || i) * 7200) * interval '1 second'
FROM generate_series(1, 8000) AS i
CROSS JOIN LATERAL (SELECT CASE WHEN i < 7700 THEN pg_temp.pick('job' || i, '{succeeded,succeeded,succeeded,succeeded,succeeded,succeeded,failed,cancelled}')
  ELSE pg_temp.pick('job' || i, '{queued,queued,running,failed}') END::assignment_status AS status) AS facts
JOIN orders AS o ON o.id = i + i / 2 ORDER BY i;

INSERT INTO webhook_deliveries (id, tenant_id, connection_id, assignment_id, event, status_code, duration_ms, delivered_at)
SELECT i, a.tenant_id, a.connection_id, a.id, 'assignment.' || a.status, answer.code, CASE WHEN answer.code IS NOT NULL THEN 20 + floor(pg_temp.roll('ms' || i) ^ 4 * 4000)::int END,
  a.updated_at + (i / 8000) * interval '1 minute'
FROM generate_series(1, 10000) AS i JOIN assignments AS a ON a.id = 1 + (i - 1) % 8000
CROSS JOIN LATERAL (SELECT nullif(pg_temp.pick('answer' || i, '{200,200,200,200,200,200,202,204,404,500,503,0}'), '0')::smallint AS code) AS answer
ORDER BY i;

DO $$
DECLARE identity record;
BEGIN
  FOR identity IN
    SELECT attrelid::regclass AS relation, attname AS name FROM pg_attribute
    WHERE attidentity <> '' AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relispartition AND relkind IN ('r', 'p'))
  LOOP
    EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, %L), (SELECT max(%I) FROM %s))', identity.relation, identity.name, identity.name, identity.relation);
  END LOOP;
END $$;
DROP FUNCTION pg_temp.pick(text, text[]);
DROP FUNCTION pg_temp.roll(text);
`
