import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type Answer, ask, callTool } from '../support/postern.ts'

/**
 * The same as `tenancy-sql.test.ts` from where an attacker really is: an administrator and a reader of harbour, signed in at a
 * running gateway with the demo, against default.
 */

let gateway: RunningGateway
let admin: string
let reader: string
let untouched: unknown

const PASSWORD = 'correct-horse-battery-staple'

const signIn = async (username: string): Promise<string> => {
  const { status, body } = await ask(`${gateway.url}/api/v1/auth/login`, null, {
    json: { username, password: PASSWORD },
  })
  expect(status).toBe(200)
  return (body as { token: string }).token
}

const query = (token: string, sql: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/query`, token, { json: { sql, ...more } })

const rowsOf = async (
  token: string,
  sql: string,
  more?: Readonly<Record<string, unknown>>,
): Promise<unknown> => {
  const { status, body } = await query(token, sql, more)
  return status === 200 ? (body as { rows: unknown }).rows : body
}

/** What default has, as default itself sees it. */
const seenByDefault = (): Promise<unknown> =>
  rowsOf(
    gateway.admin,
    `SELECT (SELECT md5(string_agg(u::text, '' ORDER BY id)) FROM users u), (SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM customers c),
       (SELECT md5(string_agg(o::text, '' ORDER BY id)) FROM orders o), (SELECT count(*) FROM metrics)`,
  )

beforeAll(async () => {
  gateway = await startGateway({ args: ['--demo'] })
  for (const [name, role] of [
    ['mira', '--admin'],
    ['rhea', '--role=reader'],
  ] as const) {
    const args = ['user', 'add', '--username', name, '--tenant', 'harbour', '--password', PASSWORD, role]
    const { code, stderr } = await gateway.postern(args)
    expect([code, stderr]).toEqual([0, expect.any(String)])
  }
  admin = await signIn('mira')
  reader = await signIn('rhea')
  untouched = await seenByDefault()
})

afterEach(async () => {
  expect(await seenByDefault(), 'the rows of default').toEqual(untouched)
})

afterAll(async () => {
  await gateway?.close()
})

/** Text that only default's rows hold: addresses of people, and the name of the tenant itself. */
const THEIRS = /default\.example|Northfield/

const WHOSE = 'SELECT DISTINCT tenant_id FROM customers'

describe('X8 a user of another tenant', () => {
  it('sees the rows of that tenant, from the first query on: as admin, as reader, over MCP', async () => {
    for (const token of [admin, reader]) expect(await rowsOf(token, WHOSE)).toEqual([['harbour']])
    expect(await rowsOf(gateway.admin, WHOSE)).toEqual([['default']])
    expect(await rowsOf(reader, 'SELECT count(*) FROM orders')).toEqual([[4_035]])
    expect(await rowsOf(gateway.admin, 'SELECT count(*) FROM orders')).toEqual([[7_965]])
    const counted = await callTool(gateway.url, gateway.admin, 'count_rows', { table: 'orders' })
    expect(counted.content[0]?.text).toContain('7965 rows')
    expect(await rowsOf(reader, 'SELECT DISTINCT tenant_id FROM monthly_revenue')).toEqual([['harbour']])
    expect(await rowsOf(reader, 'SELECT id FROM tenants')).toEqual([['harbour']])
    expect(await rowsOf(reader, 'SELECT count(*) FROM platforms')).toEqual([[5]])
  })

  it('of whom no row speaks sees empty tables', async () => {
    const args = [
      'user',
      'add',
      '--username',
      'nemo',
      '--tenant',
      'nowhere',
      '--password',
      PASSWORD,
      '--admin',
    ]
    expect((await gateway.postern(args)).code).toBe(0)
    expect(await rowsOf(await signIn('nemo'), 'SELECT count(*) FROM orders')).toEqual([[0]])
  })

  it('is not shown the other one by the schema tools', async () => {
    const { body } = await ask(`${gateway.url}/mcp/tools/get_schema_info`, admin, { json: {} })
    const text = JSON.stringify(body)
    expect(text).toContain('monthly_revenue')
    expect(text).not.toMatch(/monthly_revenue_all|tenant_roles/)
    expect(text).not.toMatch(THEIRS)
  })
})

describe('X8 an administrator of another tenant', () => {
  it.each([
    ['SET ROLE postgres'],
    ['SET SESSION AUTHORIZATION postgres'],
    ['SET LOCAL ROLE postern_writers'],
    ['RESET ALL'],
    [`SELECT set_config('role', 'postgres', false)`],
    [`SELECT set_config('session_authorization', 'postgres', true)`],
    [`DO $$ BEGIN EXECUTE 'SET ROLE postgres'; END $$`],
    [`ALTER ROLE CURRENT_USER PASSWORD 'mine'`],
    ['ALTER ROLE CURRENT_USER SET search_path = nowhere'],
    ['ALTER USER CURRENT_USER SUPERUSER'],
    ['GRANT pg_read_all_data TO CURRENT_USER'],
    ['CREATE ROLE mine'],
    ['COPY customers TO STDOUT'],
    [`COPY customers TO PROGRAM 'cat'`],
    ['COPY customers FROM STDIN'],
    ['TRUNCATE customers'],
    ['DROP TABLE customers'],
    ['ALTER TABLE customers DISABLE ROW LEVEL SECURITY'],
    ['DROP POLICY postern_session ON customers'],
    ['CREATE POLICY mine ON customers USING (true)'],
    ['CREATE VIEW public.mine AS SELECT * FROM customers'],
    ['CREATE TABLE public.mine (n int)'],
    ['CREATE TEMP TABLE mine (n int)'],
    [`CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`],
    ['CREATE EXTENSION dblink'],
    ['CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()'],
    [`SELECT lo_import('/etc/passwd')`],
    [`SELECT pg_read_file('PG_VERSION')`],
    ['SELECT * FROM monthly_revenue_all'],
    ['SELECT * FROM metrics_2026_05'],
    ['SELECT * FROM postern.tenant_roles'],
    [`INSERT INTO postern.tenant_roles VALUES (current_user, 'default')`],
    ['SELECT * FROM pg_authid'],
    ['SELECT * FROM pg_statistic'],
    ['SELECT * FROM pg_stat_activity'],
    ['SELECT * FROM pg_stat_user_tables'],
    ['SELECT * FROM pg_locks'],
    [`SELECT pg_total_relation_size('orders')`],
    [`SELECT nextval('orders_id_seq')`],
    [`SELECT query_to_xml('EXPLAIN ANALYZE SELECT FROM orders', true, false, '')`],
    [`SELECT table_to_xml('pg_stat_user_tables', true, false, '')`],
    [`SELECT * FROM ts_stat('SELECT to_tsvector(email) FROM users')`],
    ['EXPLAIN ANALYZE SELECT FROM orders WHERE id = 1'],
    ['EXPLAIN (ANALYZE) DELETE FROM orders WHERE false'],
    ['EXPLAIN (COSTS, ANALYZE true, FORMAT JSON) SELECT FROM orders'],
    [`EXPLAIN (ANALYZE 'on') SELECT FROM orders`],
    ['EXPLAIN (ANALYZE 1) SELECT FROM orders'],
    ['EXPLAIN SELECT FROM orders WHERE total_cents > 100'],
    ['EXPLAIN (FORMAT json) DELETE FROM orders'],
    ['LOCK TABLE orders'],
    ['SELECT pg_advisory_lock(1)'],
    ['LISTEN news'],
    [`UPDATE customers SET tenant_id = 'default'`],
    [`INSERT INTO warehouses (tenant_id, code, city) VALUES ('default', 'x', 'y')`],
    [
      `INSERT INTO customers (id, tenant_id, name, email, city, country) VALUES (1, 'harbour', 'n', 'e', 'c', 'DE') ON CONFLICT (id) DO UPDATE SET name = 'taken'`,
    ],
    [`SELECT 1 / (SELECT 0 FROM users WHERE tenant_id = 'harbour' LIMIT 1)`],
    ['SELECT email::int FROM users'],
    ['SET row_security = off; SELECT * FROM customers'],
  ])('is refused %s, and learns nothing of the other tenant by it', async (sql) => {
    const { status, body } = await query(admin, sql)
    expect([sql, status]).toEqual([sql, expect.toSatisfy((code: number) => code >= 400 && code < 500)])
    expect(JSON.stringify(body)).not.toMatch(THEIRS)
    expect(await rowsOf(admin, WHOSE)).toEqual([['harbour']])
  })

  it.each([
    [`UPDATE customers SET name = 'taken' WHERE tenant_id = 'default'`],
    ['DELETE FROM orders WHERE id = 1 RETURNING *'],
    [`DELETE FROM metrics WHERE tenant_id <> 'harbour'`],
    [`MERGE INTO customers c USING (VALUES (1::bigint)) v (id) ON c.id = v.id WHEN MATCHED THEN DELETE`],
    [
      `INSERT INTO customers (id, tenant_id, name, email, city, country) VALUES (1, 'harbour', 'n', 'e', 'c', 'DE') ON CONFLICT DO NOTHING`,
    ],
  ])('changes nothing by %s', async (sql) => {
    const { status, body } = await query(admin, sql)
    expect(status).toBe(200)
    expect(JSON.stringify(body)).not.toMatch(THEIRS)
    expect(body).toMatchObject({ affected: 0 })
  })

  it('is shown own rows by whatever a session keeps: settings, prepared statements, cursors', async () => {
    const session = 'attack'
    for (const sql of [
      `SET row_security = on`,
      `SET search_path TO postern, public`,
      `SET postern.tenant = 'default'`,
      `PREPARE p AS ${WHOSE}`,
      `DECLARE c CURSOR WITH HOLD FOR ${WHOSE}`,
    ])
      expect([sql, (await query(admin, sql, { session })).status]).toEqual([sql, 200])
    expect(await rowsOf(admin, 'EXECUTE p', { session })).toEqual([['harbour']])
    expect(await rowsOf(admin, 'FETCH ALL FROM c', { session })).toEqual([['harbour']])
    expect(await rowsOf(admin, 'SELECT DISTINCT tenant_id FROM public.customers', { session })).toEqual([
      ['harbour'],
    ])
    const off = await query(admin, 'SET row_security = off', { session })
    expect(off.status).toBe(200)
    expect((await query(admin, WHOSE, { session })).body).toMatchObject({ code: 'sql_failed' })
  })

  it('does not reach sessions of another tenant by their name', async () => {
    const session = 'shared-name'
    expect((await query(gateway.admin, `SET application_name = 'of default'`, { session })).status).toBe(200)
    expect(await rowsOf(admin, 'SHOW application_name', { session })).toEqual([['postern']])
    expect(await rowsOf(gateway.admin, 'SHOW application_name', { session })).toEqual([['of default']])
  })

  it('may ask for plans, without estimates and without the counts of rows that were removed', async () => {
    const { status, body } = await query(
      admin,
      'EXPLAIN (ANALYZE false, COSTS off) SELECT FROM orders WHERE id = 1',
    )
    expect(status).toBe(200)
    expect(JSON.stringify(body)).not.toContain('Removed')
    const plain = await callTool(gateway.url, reader, 'execute_explain', {
      query: 'SELECT FROM orders WHERE id = 1',
    })
    expect(plain.content[0]?.text).toContain('Filter:')
    expect(plain.content[0]?.text).not.toMatch(/cost=|rows=/)
    const explained = await callTool(gateway.url, admin, 'execute_explain', {
      query: 'SELECT 1',
      analyze: true,
    })
    expect(explained.isError).toBe(true)
    expect(explained.content[0]?.text).toContain('EXPLAIN ANALYZE counts rows of other tenants')
  })

  it('finds no tenant named in the catalogues', async () => {
    for (const sql of [
      'SELECT rolname FROM pg_roles',
      'SELECT * FROM pg_policies',
      'SELECT * FROM postern.protected_relations',
    ]) {
      const { status, body } = await query(admin, sql)
      expect(status).toBe(200)
      expect(JSON.stringify((body as { rows: unknown }).rows).replaceAll('{default}', '')).not.toMatch(
        /harbour|"default"/,
      )
    }
  })
})
