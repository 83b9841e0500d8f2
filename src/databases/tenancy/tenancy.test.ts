import { inspect } from 'node:util'
import type { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../../../test/support/databases.ts'
import { type Protectable, protectable } from '../../../test/support/protect.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Level } from '../../identity/grant.ts'
import { Fault } from '../../lib/fault.ts'
import { Secret } from '../../lib/secret.ts'
import { loadGateCatalogue } from '../gate/catalogue.ts'
import { loadGate } from '../gate/judge.ts'
import type { DatabaseContext, DatabaseOptions } from '../options.ts'
import { tenantKey } from './tenant-key.ts'

let here: Protectable
const open: Harness[] = []

const SHOP = `
  CREATE TABLE orders (n int PRIMARY KEY, tenant_id text NOT NULL, note text);
  CREATE TABLE countries (code text PRIMARY KEY);
  CREATE TABLE secrets (n int);
  INSERT INTO orders VALUES (1, 'default', 'a'), (2, 'harbour', 'b'), (3, 'default', 'c');
  INSERT INTO countries VALUES ('DE');`

beforeEach(async () => {
  here = await protectable()
  await here.admin.query(SHOP)
  await here.protect({ shared: ['countries'] })
})
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.databases.close()
  await here.drop()
})

async function harnessOf(
  more: Partial<DatabaseOptions> = {},
  context: Partial<DatabaseContext> = {},
): Promise<Harness> {
  const harness = await openHarness(
    [
      optionsOf(here.database.readerUrl, {
        tenancy: { rolePrefix: here.prefix, provisioner: null },
        ...more,
      }),
    ],
    { tenantKey: tenantKey(Buffer.alloc(32, 7)), ...context },
  )
  open.push(harness)
  return harness
}

const of = (tenant: string, level: Level = 'read-only', id = `${tenant}-${level}`): Caller => {
  const caller = callerOf(id, level)
  return { ...caller, grant: { ...caller.grant, tenant } }
}

const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const fault: unknown = await promise.catch((error: unknown) => error)
  if (!(fault instanceof Fault)) throw new Error(`no fault: ${inspect(fault)}`)
  return fault
}

const reader = (): string => new URL(here.database.readerUrl).username

const ORDERS = 'SELECT n FROM orders ORDER BY n'
const stateOf = (harness: Harness): string | undefined => harness.databases.status()[0]?.state

describe('statements of a protected database', () => {
  it('warns of no power that protecting gave the role that reads the catalogue', async () => {
    const harness = await harnessOf()
    await expect.poll(() => stateOf(harness)).toBe('up')
    expect(harness.observations.filter(({ kind }) => kind === 'database.role')).toEqual([])
  })

  it('names the rows of the own tenant as what is allowed, and how new tables come in', async () => {
    const harness = await harnessOf()
    await expect.poll(() => stateOf(harness)).toBe('up')
    const answer = await harness.refusal(of('default'), 'SELECT * FROM secrets')
    expect(answer).toMatchObject({
      rule: 'database.permission',
      allowed: expect.stringContaining('postern database protect') as unknown,
    })
  })

  it('run as a role of the tenant of their caller, reads and writes, whatever the level', async () => {
    const harness = await harnessOf()
    for (const level of ['read-only', 'read-write', 'admin'] as const) {
      expect(await harness.rows(of('default', level), ORDERS)).toEqual([[1], [3]])
      expect(await harness.rows(of('harbour', level), `/* careful */ ${ORDERS}`)).toEqual([[2]])
    }
    const writer = of('harbour', 'admin')
    expect(await harness.rows(writer, '/* write */ SELECT session_user')).toEqual([
      [here.roles.of('harbour', 'write').name],
    ])
    expect(await harness.rows(writer, 'SELECT session_user', { session: 's' })).toEqual([
      [here.roles.of('harbour', 'write').name],
    ])
    const update = await harness.run(writer, `/* write */ UPDATE orders SET note = 'mine'`)
    expect(update.ok && update.value.affected).toBe(1)
    expect(
      await harness.refusal(writer, `/* write */ INSERT INTO orders VALUES (9, 'default')`),
    ).toMatchObject({
      code: 'sql_failed',
      rule: 'database.permission',
    })
    expect(await harness.rows(of('default'), 'SELECT DISTINCT note FROM orders ORDER BY 1')).toEqual([
      ['a'],
      ['c'],
    ])
  })

  it('of one credential that is given to another tenant never meet the connections of the first', async () => {
    const harness = await harnessOf()
    const before = of('default', 'admin', 'static')
    const after = of('harbour', 'admin', 'static')
    const pid = 'SELECT pg_backend_pid()'
    const [[first] = []] = await harness.rows(before, pid)
    await harness.rows(before, `/* write */ CREATE TEMP TABLE mine AS ${ORDERS}`, { session: 's' })
    // The credential was not ended in between: not even then.
    const [[second] = []] = await harness.rows(after, pid)
    expect(second).not.toBe(first)
    expect(await harness.rows(after, ORDERS)).toEqual([[2]])
    expect(await harness.refusal(after, 'SELECT * FROM mine', { session: 's' })).toMatchObject({
      sqlstate: '42P01',
    })
    expect(await harness.rows(before, 'SELECT count(*)::int FROM mine', { session: 's' })).toEqual([[2]])
    const mixed = await Promise.all(
      Array.from({ length: 60 }, (_, at) => harness.rows(at % 2 === 0 ? before : after, ORDERS)),
    )
    for (const [at, rows] of mixed.entries()) expect(rows).toEqual(at % 2 === 0 ? [[1], [3]] : [[2]])
    harness.lifelines.end('static', 'changed')
    await expect.poll(() => harness.databases.status()[0]?.connections).toBeLessThanOrEqual(2)
  })

  it('never run as the configured role, which reads the catalogue only', async () => {
    const harness = await harnessOf()
    await harness.rows(of('default', 'admin'), '/* write */ SELECT 1')
    const { rows } = await here.admin.query<{ usename: string; query: string }>(
      `SELECT usename, query FROM pg_stat_activity WHERE application_name = 'postern' AND datname = current_database()`,
    )
    for (const { usename, query } of rows)
      expect([usename.startsWith(here.prefix), query.includes('pg_catalog')]).toContain(true)
    expect(await harness.databases.catalogueQuery('main', 'SELECT session_user AS role')).toEqual([
      { role: reader() },
    ])
  })

  it('look for names where the gate looked, whatever the configured role has in its search path', async () => {
    await here.admin.query(`CREATE SCHEMA shop; CREATE SCHEMA hidden; GRANT USAGE ON SCHEMA shop TO PUBLIC;
      CREATE TABLE shop.things (n int, tenant_id text); INSERT INTO shop.things VALUES (7, 'harbour');
      GRANT USAGE ON SCHEMA hidden TO ${reader()};
      ALTER ROLE ${reader()} IN DATABASE ${here.database.name} SET search_path = hidden, shop, public`)
    await here.protect({ schemas: ['public', 'shop'] })
    const harness = await harnessOf()
    expect(await harness.rows(of('harbour'), 'SELECT n FROM things')).toEqual([[7]])
    expect(await harness.rows(of('harbour'), 'SELECT current_schemas(true)::text')).toEqual([
      ['{pg_catalog,shop,public}'],
    ])
    // Another path, and names mean something else from one moment to the next.
    await here.admin.query(`ALTER ROLE ${reader()} IN DATABASE ${here.database.name} SET search_path = public;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${reader()}' AND datname = current_database()`)
    await expect
      .poll(
        () =>
          harness.rows(of('harbour'), '/* ddl write */ SELECT current_schemas(true)::text').catch(() => null),
        { timeout: 20_000 },
      )
      .toEqual([['{pg_catalog,public}']])
  }, 60_000)

  it('end with their connection where they change whose it is', async () => {
    const harness = await harnessOf()
    const role = here.roles.groups.writers
    expect(await harness.refusal(of('harbour', 'admin'), `/* write */ SET ROLE ${role}`)).toMatchObject({
      rule: 'database.permission',
    })
    expect(
      await harness.refusal(of('harbour', 'admin'), `/* write */ SET SESSION AUTHORIZATION ${role}`),
    ).toMatchObject({ rule: 'database.permission' })
  })
})

describe('a tenant without roles', () => {
  it('is answered clearly and at once; the database is up for the others', async () => {
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    await harness.rows(of('default'), ORDERS)
    const fault = await faultOf(harness.run(of('newcomer'), ORDERS))
    expect(fault).toMatchObject({ code: 'tenant_not_ready', retryAfterS: 30 })
    expect(fault.message).toContain('postern database protect main')
    expect(fault.message).not.toContain(here.prefix)
    expect(stateOf(harness)).toBe('up')
    const attempts = async (): Promise<number> =>
      harness.observations.filter(({ kind }) => kind === 'database.tenant_not_ready').length
    for (const at of [1, 2, 3])
      expect((await faultOf(harness.run(of('newcomer', 'admin', `c${at}`), ORDERS))).code).toBe(
        'tenant_not_ready',
      )
    expect(await attempts()).toBe(1)
    expect(await harness.rows(of('harbour'), ORDERS)).toEqual([[2]])

    await here.protect({ tenants: ['newcomer'] })
    expect((await faultOf(harness.run(of('newcomer'), ORDERS))).code).toBe('tenant_not_ready')
    clock.advance(1_100)
    expect(await harness.rows(of('newcomer'), ORDERS)).toEqual([])
  })

  it('is not one that sees nothing: a role that another database has made stands for nobody here', async () => {
    const harness = await harnessOf()
    await here.admin.query(`DELETE FROM ${here.prefix}.tenant_roles WHERE tenant = 'harbour'`)
    expect((await faultOf(harness.run(of('harbour'), ORDERS))).code).toBe('tenant_not_ready')
    expect(inspect(harness.observations)).toContain('stands for no tenant')
    expect(await harness.rows(of('default'), ORDERS)).toEqual([[1], [3]])
  })

  it('is not one whose role stands for another, or has more than row security holds', async () => {
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    await harness.rows(of('default'), ORDERS)
    await here.admin.query(
      `UPDATE ${here.prefix}.tenant_roles SET tenant = 'default' WHERE tenant = 'harbour'`,
    )
    expect((await faultOf(harness.run(of('harbour'), ORDERS))).code).toBe('tenant_not_ready')
    expect(inspect(harness.observations)).toContain('stands for another tenant')
    await here.protect({ tenants: ['harbour'] })
    const { name } = here.roles.of('harbour', 'read')
    for (const power of ['BYPASSRLS', 'SUPERUSER']) {
      await here.admin.query(`ALTER ROLE ${name} ${power}`)
      clock.advance(1_100)
      expect((await faultOf(harness.run(of('harbour'), ORDERS))).code).toMatch(
        /^(tenant_not_ready|database_unavailable)$/,
      )
      await here.admin.query(`ALTER ROLE ${name} NO${power}`)
    }
  })
})

describe('a provisioner', () => {
  const provisioner = (): { user: string; password: Secret } => ({
    user: `${here.prefix}_maker`,
    password: new Secret('maker-password-1'),
  })
  beforeEach(async () => {
    const { user, password } = provisioner()
    await here.admin.query(`CREATE ROLE ${user} LOGIN CREATEROLE PASSWORD '${password.reveal()}'`)
    await here.protect({ provisioner: user })
  })
  const tenancy = (): Partial<DatabaseOptions> => ({
    tenancy: { rolePrefix: here.prefix, provisioner: provisioner() },
  })

  it('makes the roles of a tenant when they are first needed, once for all who wait', async () => {
    const harness = await harnessOf(tenancy())
    await here.admin.query(`INSERT INTO orders VALUES (4, 'newcomer')`)
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, at) => harness.rows(of('newcomer', 'admin', `c${at}`), ORDERS)),
    )
    for (const rows of answers) expect(rows).toEqual([[4]])
    const update = await harness.run(of('newcomer', 'admin'), `/* write */ UPDATE orders SET note = 'x'`)
    expect(update.ok && update.value.affected).toBe(1)
    const { rows } = await here.admin.query(
      `SELECT role_name FROM ${here.prefix}.tenant_roles WHERE tenant = 'newcomer' ORDER BY 1`,
    )
    expect(rows).toEqual([
      { role_name: here.roles.of('newcomer', 'read').name },
      { role_name: here.roles.of('newcomer', 'write').name },
    ])
  })

  it('and another one at the same moment make the same roles', async () => {
    const harnesses = await Promise.all([harnessOf(tenancy()), harnessOf(tenancy()), harnessOf(tenancy())])
    for (const tenant of ['t1', 't2', 't3']) {
      const answers = await Promise.all(harnesses.map((harness) => harness.rows(of(tenant), 'SELECT 1')))
      expect(answers).toEqual([[[1]], [[1]], [[1]]])
    }
  })

  it('makes a role right again that lost its login, its group or its row', async () => {
    const harness = await harnessOf(tenancy())
    await harness.rows(of('newcomer'), ORDERS)
    const { name } = here.roles.of('newcomer', 'read')
    const damages = [
      `ALTER ROLE ${name} SET timezone = 'Asia/Tokyo'; ALTER ROLE ${name} NOLOGIN`,
      `ALTER ROLE ${name} PASSWORD 'another'`,
      `DELETE FROM ${here.prefix}.tenant_roles WHERE role_name = '${name}'`,
    ]
    for (const damage of damages) {
      await here.admin.query(damage)
      expect(await harness.rows(of('newcomer', 'read-only', damage), 'SELECT 1'), damage).toEqual([[1]])
    }
    expect(await harness.rows(of('newcomer', 'read-only', 'last'), 'SHOW timezone')).not.toEqual([
      ['Asia/Tokyo'],
    ])
  })

  it('that cannot make them is told to the operator; its password to nobody', async () => {
    await here.admin.query(`REVOKE INSERT ON ${here.prefix}.tenant_roles FROM ${provisioner().user}`)
    const harness = await harnessOf(tenancy())
    const fault = await faultOf(harness.run(of('newcomer'), ORDERS))
    expect(fault.code).toBe('tenant_not_ready')
    const told = inspect(harness.observations, { depth: 9 })
    expect(told).toMatch(/could not make the roles of tenant "newcomer" \(permission denied/)
    expect(told + inspect(fault, { depth: 9 })).not.toContain('maker-password-1')
    expect(await harness.rows(of('default'), ORDERS)).toEqual([[1], [3]])
  })
})

describe('a database that says it is protected', () => {
  it.each<[string, (admin: Client) => Promise<unknown>, RegExp]>([
    [
      'a table that PUBLIC may read',
      (a) => a.query('GRANT SELECT ON secrets TO PUBLIC'),
      /public\.secrets has no row security/,
    ],
    [
      'a column of one',
      (a) => a.query('GRANT SELECT (n) ON secrets TO PUBLIC'),
      /public\.secrets has no row security/,
    ],
    [
      'a table that was taken out',
      (a) => a.query('ALTER TABLE orders DISABLE ROW LEVEL SECURITY'),
      /public\.orders has no/,
    ],
    [
      'one not held for its owner',
      (a) => a.query('ALTER TABLE orders NO FORCE ROW LEVEL SECURITY'),
      /public\.orders has no/,
    ],
    [
      'a policy that is gone',
      (a) => a.query(`DROP POLICY ${here.prefix}_session ON orders`),
      /public\.orders has no/,
    ],
    [
      'a policy that says something else',
      (a) => a.query(`ALTER POLICY ${here.prefix}_session ON orders USING (true)`),
      /public\.orders has no/,
    ],
    [
      'a policy that is not for all',
      (a) => a.query(`ALTER POLICY ${here.prefix}_session ON orders TO ${here.roles.groups.readers}`),
      /public\.orders has no/,
    ],
    [
      'a check that lets all in',
      (a) => a.query(`ALTER POLICY ${here.prefix}_session ON orders WITH CHECK (true)`),
      /public\.orders has no/,
    ],
    [
      'a right to empty a table',
      (a) => a.query(`GRANT TRUNCATE ON orders TO ${here.roles.groups.writers}`),
      /tenants have TRUNCATE/,
    ],
    [
      'a view of a superuser',
      (a) => a.query('CREATE VIEW v AS SELECT * FROM orders; GRANT SELECT ON v TO PUBLIC'),
      /public\.v reads public\.v/,
    ],
    [
      'a view over another',
      (a) =>
        a.query(
          `CREATE ROLE ${here.prefix}_o; CREATE VIEW v AS SELECT * FROM secrets; ALTER VIEW v OWNER TO ${here.prefix}_o; GRANT SELECT ON v TO PUBLIC`,
        ),
      /public\.v reads public\.secrets/,
    ],
    [
      'a materialized view',
      (a) => a.query('CREATE MATERIALIZED VIEW m AS SELECT * FROM orders; GRANT SELECT ON m TO PUBLIC'),
      /public\.m is a materialized view/,
    ],
    [
      'a sequence to read',
      (a) => a.query(`CREATE SEQUENCE s; GRANT SELECT ON s TO PUBLIC`),
      /public\.s is a sequence/,
    ],
    [
      'the table of tenants',
      (a) => a.query(`GRANT SELECT ON ${here.prefix}.tenant_roles TO PUBLIC`),
      /tenant_roles has no row security/,
    ],
    [
      'a group that may log in',
      (a) => a.query(`ALTER ROLE ${here.roles.groups.readers} LOGIN`),
      /may log in, and is a group/,
    ],
    [
      'a role of a tenant with BYPASSRLS',
      (a) => a.query(`ALTER ROLE ${here.roles.of('harbour', 'write').name} BYPASSRLS`),
      /has BYPASSRLS/,
    ],
    [
      'a role that is named like one and a superuser',
      (a) => a.query(`CREATE ROLE ${here.prefix}_r_x SUPERUSER`),
      /is a superuser/,
    ],
    [
      'a role in another group',
      (a) => a.query(`GRANT pg_read_all_data TO ${here.roles.of('harbour', 'read').name}`),
      /is a member of pg_read_all_data/,
    ],
    [
      'a group in another',
      (a) => a.query(`GRANT pg_monitor TO ${here.roles.groups.readers}`),
      /is a member of pg_monitor/,
    ],
    [
      'a reader among the writers',
      (a) => a.query(`GRANT ${here.roles.groups.writers} TO ${here.roles.of('harbour', 'read').name}`),
      /is a member of/,
    ],
    [
      'a table that a tenant owns',
      (a) => a.query(`ALTER TABLE secrets OWNER TO ${here.roles.of('harbour', 'write').name}`),
      /owns secrets/,
    ],
    [
      'a schema to create in',
      (a) => a.query('GRANT CREATE ON SCHEMA public TO PUBLIC'),
      /schema public tenants may create/,
    ],
    [
      'a database to create in',
      (a) => a.query(`GRANT CREATE ON DATABASE ${here.database.name} TO ${here.roles.groups.readers}`),
      /may create schemas/,
    ],
    [
      'a function of a superuser',
      (a) =>
        a.query(
          'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$SELECT count(*) FROM orders$$',
        ),
      /function f\(\) tenants may call it/,
    ],
    [
      'another function in the place of ours',
      (a) =>
        a.query(
          `CREATE OR REPLACE FUNCTION ${here.prefix}.tenant() RETURNS text LANGUAGE sql STABLE AS $$SELECT current_setting('app.tenant')$$`,
        ),
      /is not the one that Postern makes/,
    ],
    ['no protection at all', () => here.undo(), /there is no function/],
  ])('and has %s is not served', async (_name, damage, message) => {
    await damage(here.admin)
    const harness = await harnessOf()
    const fault = await faultOf(harness.run(of('harbour'), ORDERS))
    expect(fault.code).toBe('database_unavailable')
    expect(fault.message).toMatch(/is not served because of how it is set up|not available/)
    expect(stateOf(harness)).toBe('refused')
    const [status] = harness.databases.status()
    expect(status?.message).toMatch(message)
    expect(status?.message).toContain('Run "postern database protect main"')
  })

  it("is served with what is shared, in use or nobody else's business", async () => {
    await here.admin.query(`
      CREATE ROLE ${here.prefix}_app LOGIN; GRANT SELECT ON secrets TO ${here.prefix}_app;
      CREATE VIEW v WITH (security_invoker) AS SELECT * FROM orders; GRANT SELECT ON v TO PUBLIC;
      CREATE ROLE ${here.prefix}_o; CREATE VIEW w AS SELECT * FROM orders; ALTER VIEW w OWNER TO ${here.prefix}_o;
      GRANT SELECT ON orders TO ${here.prefix}_o; GRANT SELECT ON w TO PUBLIC;
      CREATE EXTENSION pg_trgm`)
    const harness = await harnessOf()
    expect(await harness.rows(of('harbour'), 'SELECT n FROM v')).toEqual([[2]])
    expect(await harness.rows(of('harbour'), 'SELECT n FROM w')).toEqual([[2]])
    expect(await harness.rows(of('harbour'), 'SELECT * FROM countries')).toEqual([['DE']])
    const session = { session: 's' }
    await harness.rows(
      of('harbour', 'admin'),
      '/* write ddl */ CREATE TEMP TABLE t AS SELECT 1 AS n',
      session,
    )
    expect(await harness.rows(of('harbour', 'admin'), 'SELECT n FROM t', session)).toEqual([[1]])
  })

  it('and stops to be is not served from then on, until it is again', async () => {
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    expect(await harness.rows(of('harbour'), ORDERS)).toEqual([[2]])
    await here.admin.query('ALTER TABLE orders DISABLE ROW LEVEL SECURITY')
    clock.advance(11_000)
    expect((await faultOf(harness.run(of('harbour'), ORDERS))).code).toBe('database_unavailable')
    for (const tenant of ['default', 'harbour'])
      expect((await faultOf(harness.run(of(tenant), ORDERS))).code).toBe('database_unavailable')
    expect(stateOf(harness)).toBe('refused')
    await here.admin.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY')
    clock.advance(1_500)
    expect(await harness.rows(of('harbour'), ORDERS)).toEqual([[2]])
    expect(await harness.rows(of('default', 'read-only', 'fresh'), ORDERS)).toEqual([[1], [3]])
    expect(stateOf(harness)).toBe('up')
  })

  it('is not looked at again because of what a tenant does, for which all would wait', async () => {
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    const ddl = '/* write ddl */ CREATE TEMP TABLE mine AS SELECT n FROM orders'
    expect((await harness.run(of('harbour', 'admin'), ddl, { session: 's' })).ok).toBe(true)
    await here.admin.query('GRANT SELECT ON secrets TO PUBLIC')
    expect(await harness.rows(of('default'), ORDERS)).toEqual([[1], [3]])
    expect(await harness.rows(of('harbour', 'admin'), 'SELECT n FROM mine', { session: 's' })).toEqual([[2]])
    clock.advance(11_000)
    expect((await faultOf(harness.run(of('default'), ORDERS))).code).toBe('database_unavailable')
  })

  it('leaves room for others, however many credentials one tenant makes and sessions it keeps', async () => {
    const harness = await harnessOf({
      maxConnections: 4,
      maxConnectionsPerCredential: 2,
      acquireTimeoutMs: 300,
    })
    for (const [id, session] of [
      ['a', 's1'],
      ['a', 's2'],
      ['b', 's1'],
    ] as const)
      expect(await harness.rows(of('harbour', 'admin', id), ORDERS, { session })).toEqual([[2]])
    for (const id of ['b', 'c'])
      expect((await faultOf(harness.run(of('harbour', 'admin', id), ORDERS, { session: 's2' }))).code).toBe(
        'database_busy',
      )
    for (const id of ['d', 'e'])
      expect(await harness.rows(of('default', 'read-only', id), ORDERS)).toEqual([[1], [3]])
    // Credentials that end leave their places to their own tenant again.
    harness.lifelines.end('a', 'revoked')
    await expect.poll(() => harness.databases.status()[0]?.connections).toBeLessThanOrEqual(3)
    expect(await harness.rows(of('harbour', 'admin', 'c'), ORDERS, { session: 's' })).toEqual([[2]])
  })

  it('tells a caller who finds no connection free nothing of others', async () => {
    const clock = manualClock()
    const harness = await harnessOf({ maxConnections: 1, maxConnectionsPerCredential: 1 }, { clock })
    await harness.rows(of('default'), ORDERS)
    const running = harness.run(of('default'), 'SELECT pg_sleep(1)')
    const waiting = faultOf(harness.run(of('harbour'), ORDERS))
    await expect.poll(() => harness.databases.status()[0]?.waiting).toBe(1)
    clock.advance(5_100)
    const fault = await waiting
    expect(fault.code).toBe('database_busy')
    expect(fault.message).toContain('within 5000 ms (this credential uses 0 of 1 connections)')
    expect((await running).ok).toBe(true)
  })
})

describe('the gate of a protected database', () => {
  it.each([
    ['SELECT * FROM pg_stat_user_tables', 'pg_catalog.pg_stat_user_tables'],
    ['SELECT n_live_tup FROM pg_catalog.pg_stat_all_tables', 'pg_stat_all_tables'],
    ['SELECT count(*) FROM pg_locks', 'pg_locks'],
    ['SELECT * FROM pg_stat_activity', 'pg_stat_activity'],
    ['SELECT pg_stat_get_live_tuples(1)', 'pg_stat_get_live_tuples'],
    ['SELECT pg_total_relation_size(1)', 'pg_total_relation_size'],
    ['SELECT oid FROM pg_largeobject_metadata', 'pg_largeobject_metadata'],
    ['SELECT last_value FROM pg_sequences', 'pg_sequences'],
    ['WITH x AS (SELECT * FROM pg_statio_user_tables) SELECT * FROM x', 'pg_statio_user_tables'],
  ])('refuses %s to readers and to admins', async (sql, name) => {
    const harness = await harnessOf({}, { gate: await loadGate() } as Partial<DatabaseContext>)
    const reader = await harness.refusal(of('harbour'), sql)
    expect(reader.code).toBe('sql_refused')
    for (const text of [
      sql,
      `${sql.startsWith('WITH') ? '' : 'EXPLAIN (COSTS off) '}${sql}`,
      `CREATE TEMP TABLE x AS ${sql}`,
    ]) {
      const refused = await harness.refusal(of('harbour', 'admin'), text)
      expect(refused).toMatchObject({ code: 'sql_refused', rule: 'sql.tenants' })
      expect(refused.message).toContain(name)
    }
  })

  it('leaves everything else as it is', async () => {
    const harness = await harnessOf({}, { gate: await loadGate() } as Partial<DatabaseContext>)
    for (const sql of [ORDERS, 'SELECT relname FROM pg_class LIMIT 1', 'SELECT * FROM pg_stats LIMIT 1'])
      expect((await harness.run(of('harbour'), sql)).ok).toBe(true)
    const stats = await harness.rows(of('harbour'), `SELECT * FROM pg_stats WHERE tablename = 'orders'`)
    expect(stats).toEqual([])
  })
})

describe('what is known of a protected table', () => {
  const proven = async (harness: Harness, relation: string): Promise<unknown> => {
    const catalogue = await loadGateCatalogue(
      (sql) => harness.databases.catalogueQuery('main', sql),
      undefined,
      harness.databases.tenantView('main'),
    )
    const judged = (await loadGate()).judge(`SELECT * FROM ${relation}`, catalogue)
    return judged.ok && judged.value.leavesNothing
  }

  it("is that Postern's own policies leave nothing behind, and of any other it is not", async () => {
    await here.admin.query(`
      CREATE FUNCTION public.seen(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
      CREATE TABLE ids (id uuid, tenant_id uuid); CREATE TABLE nums (tenant_id bigint)`)
    await here.protect()
    const harness = await harnessOf()
    for (const table of ['orders', 'ids', 'nums', 'countries'])
      expect(await proven(harness, table), table).toBe(true)
    for (const change of [
      'CREATE POLICY other ON orders USING (true)',
      `ALTER POLICY ${here.prefix}_open ON orders USING (public.seen(note))`,
      `ALTER POLICY ${here.prefix}_open ON orders USING (pg_try_advisory_lock(n))`,
      `ALTER POLICY ${here.prefix}_open ON orders WITH CHECK (pg_try_advisory_lock(n))`,
      `ALTER POLICY ${here.prefix}_open ON orders USING (EXISTS (SELECT FROM countries))`,
    ]) {
      await here.admin.query(change)
      expect(await proven(harness, 'orders'), change).toBe(false)
      await here.admin.query(`DROP POLICY IF EXISTS other ON orders;
        DROP POLICY ${here.prefix}_open ON orders; CREATE POLICY ${here.prefix}_open ON orders USING (true)`)
      expect(await proven(harness, 'orders')).toBe(true)
    }
  })
})

describe('tenants of a database', () => {
  it('that is not protected are the first one only, unless it says otherwise', async () => {
    const url = here.database.readerUrl
    const harness = await openHarness([
      optionsOf(url, { name: 'main' }),
      optionsOf(url, { name: 'theirs', tenants: ['harbour'] }),
      optionsOf(url, { name: 'both', tenants: 'all' }),
    ])
    open.push(harness)
    const names = (caller: Caller): readonly (string | undefined)[] =>
      ['main', 'theirs', 'both', 'nowhere', undefined].map((name) => {
        const resolved = harness.databases.resolve(caller, name)
        return resolved.ok
          ? resolved.value
          : `${resolved.error.code} ${resolved.error.candidates?.join() ?? ''}`
      })
    expect(names(of('default'))).toEqual([
      'main',
      'database_not_allowed main,both',
      'both',
      'database_not_allowed main,both',
      'main',
    ])
    expect(names(of('harbour', 'admin'))).toEqual([
      'database_not_allowed theirs,both',
      'theirs',
      'both',
      'database_not_allowed theirs,both',
      'theirs',
    ])
    const bound = of('harbour')
    expect(names({ ...bound, grant: { ...bound.grant, databases: ['main'] } })).toEqual([
      'database_not_allowed ',
      'database_not_allowed ',
      'database_not_allowed ',
      'database_not_allowed ',
      'database_not_allowed ',
    ])
  })

  it('of a protected one are all, unless it says otherwise', async () => {
    const harness = await harnessOf()
    expect(harness.databases.resolve(of('anybody'), 'main')).toMatchObject({ ok: true })
    const narrow = await harnessOf({ tenants: ['default'] })
    expect(narrow.databases.resolve(of('harbour', 'admin'), 'main')).toMatchObject({ ok: false })
  })
})
