import type { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadGate } from '../../src/databases/gate/judge.ts'
import { checkProtection, type ProtectionQuery } from '../../src/databases/tenancy/check-protection.ts'
import { tenantKey } from '../../src/databases/tenancy/tenant-key.ts'
import type { Caller } from '../../src/identity/caller.ts'
import type { Level } from '../../src/identity/grant.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../support/databases.ts'
import { type Protectable, protectable } from '../support/protect.ts'

/** An operator's own tables with what people have in them: triggers, rules, parents, views of statistics, extensions. */

let here: Protectable
const open: Harness[] = []

beforeEach(async () => {
  here = await protectable()
  await here.admin.query(`
    CREATE TABLE orders (n int PRIMARY KEY, tenant_id text NOT NULL, note text, total bigint);
    CREATE TABLE countries (code text PRIMARY KEY, name text);
    INSERT INTO orders VALUES (1, 'default', 'a'), (2, 'harbour', 'b'), (3, 'default', 'c');
    INSERT INTO countries VALUES ('DE', 'Germany')`)
})
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.databases.close()
  await here.drop()
})

async function gateway(): Promise<Harness> {
  const harness = await openHarness(
    [optionsOf(here.database.readerUrl, { tenancy: { rolePrefix: here.prefix, provisioner: null } })],
    { tenantKey: tenantKey(Buffer.alloc(32, 7)), gate: await loadGate() },
  )
  open.push(harness)
  return harness
}

const harbour = (level: Level = 'admin'): Caller => {
  const caller = callerOf(`harbour-${level}`, level)
  return { ...caller, grant: { ...caller.grant, tenant: 'harbour' } }
}

const checked = (): Promise<string | null> => {
  const query: ProtectionQuery = async (sql, params) =>
    (await here.admin.query<Record<string, unknown>>(sql, [...params])).rows
  return checkProtection(query, here.prefix, 'shop')
}

/** What a tenant can see or do in a database that is served as it is. */
const seen = async (sql: string): Promise<readonly unknown[]> =>
  (await (await here.as('harbour')).query(sql)).rows

const TALLY = `CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN NEW.total := (SELECT count(*) FROM orders WHERE tenant_id = 'default'); RETURN NEW; END $$;
  REVOKE EXECUTE ON FUNCTION tally() FROM PUBLIC;`
const COUNTED = 'UPDATE orders SET note = note RETURNING total::int'

describe('X8 what an owner has run when tenants write', () => {
  it('a trigger that runs as a superuser counts rows of others: the database is not served', async () => {
    await here.admin.query(
      `${TALLY} CREATE TRIGGER tallies BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tally()`,
    )
    await here.protect({ shared: ['countries'] })
    expect(await seen(COUNTED)).toEqual([{ total: 2 }])
    expect(await checked()).toMatch(/trigger tallies on orders is called by what tenants write, and runs as/)
    await here.admin.query(
      `CREATE ROLE ${here.prefix}_o; GRANT SELECT ON orders TO ${here.prefix}_o; ALTER FUNCTION tally() OWNER TO ${here.prefix}_o`,
    )
    expect(await seen(COUNTED)).toEqual([{ total: 0 }])
    expect(await checked()).toBeNull()
  })

  it('also on a partition that came later, which tenants reach through its parent only', async () => {
    await here.admin.query(`CREATE TABLE parted (tenant_id text, n int, total bigint) PARTITION BY RANGE (n)`)
    await here.protect({ shared: ['countries'] })
    expect(await checked()).toBeNull()
    await here.admin.query(`${TALLY} CREATE TABLE late PARTITION OF parted DEFAULT;
      CREATE TRIGGER tallies BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION tally()`)
    expect(await seen(`INSERT INTO parted VALUES ('harbour', 1) RETURNING total::int`)).toEqual([
      { total: 2 },
    ])
    expect(await checked()).toMatch(/trigger tallies on late/)
    await here.admin.query('ALTER TABLE late DISABLE TRIGGER tallies')
    expect(await checked()).toBeNull()
  })

  it('a rule of a superuser shows rows of others: the database is not served', async () => {
    await here.admin
      .query(`CREATE TABLE notes (n int, tenant_id text); INSERT INTO notes VALUES (1, 'harbour');
      CREATE RULE nothing AS ON DELETE TO notes DO INSTEAD NOTHING`)
    await here.protect({ shared: ['countries'] })
    expect(await checked()).toBeNull()
    await here.admin.query(
      `CREATE RULE shows AS ON UPDATE TO notes DO ALSO SELECT DISTINCT tenant_id FROM orders ORDER BY 1`,
    )
    expect(await seen('UPDATE notes SET n = 2')).toContainEqual({ tenant_id: 'default' })
    expect(await checked()).toMatch(/rule shows on notes is called by what tenants write, and runs as/)
    await here.admin.query(
      `CREATE ROLE ${here.prefix}_o; GRANT SELECT ON orders TO ${here.prefix}_o; ALTER TABLE notes OWNER TO ${here.prefix}_o`,
    )
    expect(await seen('UPDATE notes SET n = 2')).toEqual([{ tenant_id: 'harbour' }])
    expect(await checked()).toBeNull()
  })
})

describe('X8 what is shared', () => {
  it('cannot be a parent of what holds rows of tenants: it would show them', async () => {
    await here.admin.query(`CREATE TABLE people (name text);
      CREATE TABLE staff (tenant_id text) INHERITS (people); INSERT INTO staff VALUES ('Ada of default', 'default')`)
    const planned = await here.plan({ shared: ['people'] })
    expect(planned).toMatchObject({
      ok: false,
      error: ['table public.people cannot be shared: it shows the rows of public.staff, which is below it'],
    })
    await here.admin.query('ALTER TABLE staff NO INHERIT people')
    await here.protect({ shared: ['people'] })
    expect(await checked()).toBeNull()
    await here.admin.query('ALTER TABLE staff INHERIT people')
    expect(await seen('SELECT name FROM people')).toEqual([{ name: 'Ada of default' }])
    expect(await checked()).toMatch(/people is shared, and shows what is below it: staff/)
  })

  it.each(['UPDATE', 'INSERT', 'DELETE', 'UPDATE (name)'])(
    'and that PUBLIC may change by %s could be changed by one tenant for all',
    async (right) => {
      await here.admin.query(`GRANT ${right} ON countries TO PUBLIC`)
      const warnings = await here.protect({ shared: ['countries'] })
      expect(warnings).toContainEqual(
        expect.objectContaining({ code: 'public_access', about: ['public.countries'] }),
      )
      expect(await checked()).toMatch(/countries is shared, and PUBLIC may change it/)
      await here.admin.query(`REVOKE ${right} ON countries FROM PUBLIC`)
      expect(await checked()).toBeNull()
    },
  )
})

describe('X8 numbers of others', () => {
  it('are refused to an admin by way of views and functions of the operator, and of extensions', async () => {
    await here.admin.query(`
      CREATE VIEW sizes AS SELECT relname, n_live_tup FROM pg_stat_user_tables;
      CREATE VIEW sized AS SELECT pg_total_relation_size(oid::regclass) FROM pg_class;
      CREATE VIEW deeper AS SELECT random(), s.* FROM sizes s, pg_sleep(0);
      CREATE FUNCTION live() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables';
      CREATE EXTENSION tablefunc; CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_trgm`)
    await here.protect({ shared: ['countries', 'sized'] })
    const harness = await gateway()
    for (const sql of [
      'SELECT * FROM sizes',
      'SELECT * FROM sized',
      'SELECT n_live_tup FROM public.deeper',
      'CREATE TEMP TABLE t AS SELECT * FROM sizes',
      'PREPARE p AS SELECT * FROM deeper',
      'SELECT live()',
      'CREATE TEMP VIEW v AS SELECT live()',
      `SELECT * FROM crosstab('SELECT relname, schemaname, n_live_tup FROM pg_stat_user_tables') AS c (a name, b bigint)`,
      'SELECT userid, calls, rows FROM pg_stat_statements',
      'SELECT * FROM pg_stat_statements(true)',
    ])
      expect([sql, await harness.refusal(harbour(), sql, { session: 's' })]).toEqual([
        sql,
        expect.objectContaining({ code: 'sql_refused', rule: 'sql.tenants' }),
      ])
    expect(await harness.rows(harbour(), `SELECT similarity('a', 'a')`)).toEqual([[1]])
  })

  it('and values of theirs can be worked out of estimates: EXPLAIN shows none', async () => {
    await here.admin.query(`CREATE TABLE salaries (tenant_id text, amount int);
      INSERT INTO salaries SELECT 'default', 30000 + (n * 7919) % 50021 FROM generate_series(1, 4000) n;
      INSERT INTO salaries VALUES ('harbour', 1); ANALYZE salaries`)
    await here.protect({ shared: ['countries'] })
    const client = await here.as('harbour', 'read')
    const estimated = async (above: number): Promise<number> => {
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
        `EXPLAIN (FORMAT json) SELECT FROM salaries WHERE amount > ${above}`,
      )
      return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
    }
    let [low, high] = [0, 1_000_000]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if ((await estimated(middle)) > 1) low = middle
      else high = middle
    }
    const { rows } = await here.admin.query<{ most: number }>('SELECT max(amount) AS most FROM salaries')
    // Twenty questions, and the highest salary of another tenant is known to one in a hundred.
    expect(Math.abs(low / (rows[0]?.most ?? 0) - 1)).toBeLessThan(0.01)

    const harness = await gateway()
    const plan = 'SELECT FROM salaries WHERE amount > 80000'
    for (const explain of [
      '',
      '(COSTS)',
      '(COSTS on)',
      '(FORMAT json)',
      '(COSTS off, COSTS 1)',
      'VERBOSE',
      '(GENERIC_PLAN)',
    ])
      for (const level of ['read-only', 'admin'] as const)
        expect([explain, await harness.refusal(harbour(level), `EXPLAIN ${explain} ${plan}`)]).toEqual([
          explain,
          expect.objectContaining({ rule: 'sql.tenants' }),
        ])
    for (const explain of ['(COSTS off)', `(COSTS 'false', FORMAT json)`, '(VERBOSE, COSTS 0)'])
      expect(
        JSON.stringify(await harness.rows(harbour('read-only'), `EXPLAIN ${explain} ${plan}`)),
      ).not.toMatch(/cost|rows|Rows/)
  })
})

describe('X8 keeping others waiting', () => {
  it('LOCK TABLE and advisory locks are refused to admins', async () => {
    await here.protect({ shared: ['countries'] })
    const harness = await gateway()
    for (const sql of [
      'LOCK TABLE orders',
      'LOCK orders, countries IN ACCESS SHARE MODE NOWAIT',
      'SELECT pg_advisory_lock(1)',
      'SELECT pg_try_advisory_xact_lock_shared(1)',
      'CREATE TEMP TABLE t AS SELECT pg_catalog.pg_advisory_lock(1)',
    ])
      expect([sql, await harness.refusal(harbour(), sql, { session: 's' })]).toEqual([
        sql,
        expect.objectContaining({ rule: 'sql.tenants' }),
      ])
  })
})

describe('X8 taking the protection back', () => {
  const left = async (): Promise<unknown[]> =>
    (await here.admin.query(`SELECT rolname FROM pg_roles WHERE starts_with(rolname, '${here.prefix}')`)).rows

  it('works whatever has been granted to the roles, by a tenant or by the operator', async () => {
    await here.protect({ shared: ['countries'] })
    const theirs = here.roles.of('default', 'read').name
    const client = await here.as('harbour')
    // Anybody may make a large object, and grant it to a role that it finds in pg_roles.
    const oid = (await client.query<{ oid: number }>(`SELECT lo_from_bytea(0, 'x') AS oid`)).rows[0]?.oid ?? 0
    await client.query(`GRANT SELECT ON LARGE OBJECT ${oid} TO ${theirs}`)
    await here.admin.query(`ALTER LARGE OBJECT ${oid} OWNER TO postgres`)
    const { readers } = here.roles.groups
    await here.admin.query(`
      CREATE FUNCTION placed() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION placed() TO ${readers};
      CREATE TABLE other (n int); GRANT SELECT (n) ON other TO ${readers}; CREATE POLICY own ON other TO ${readers} USING (n > 0)`)
    expect(await here.undo()).toEqual([])
    expect(await left()).toEqual([])
    expect((await here.admin.query(`SELECT lo_get(${oid})::text AS value`)).rows).toEqual([
      { value: '\\x78' },
    ])
  })

  it('keeps the role of a tenant that owns something, and says so', async () => {
    await here.protect({ shared: ['countries'] })
    const client: Client = await here.as('harbour')
    const { rows } = await client.query<{ oid: number }>(`SELECT lo_from_bytea(0, 'x') AS oid`)
    expect(await here.undo()).toEqual([
      expect.objectContaining({ code: 'role_kept', about: [here.roles.of('harbour', 'write').name] }),
    ])
    await here.admin.query(`SELECT lo_unlink(${rows[0]?.oid ?? 0})`)
  })
})

describe('X8 protecting again', () => {
  it('goes on with the column that was said last, without saying it again', async () => {
    await here.admin.query(
      `CREATE TABLE deals (tenant_id text, buyer text); INSERT INTO deals VALUES ('default', 'harbour'), ('harbour', 'default')`,
    )
    const mine = 'SELECT tenant_id FROM deals'
    await here.protect({ shared: ['countries'] })
    expect(await seen(mine)).toEqual([{ tenant_id: 'harbour' }])
    await here.protect({ keyColumns: [['deals', 'buyer']] })
    expect(await seen(mine)).toEqual([{ tenant_id: 'default' }])
    await here.protect()
    expect(await seen(mine)).toEqual([{ tenant_id: 'default' }])
    await here.undo()
    const { rows } = await here.admin.query(
      `SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'deals'`,
    )
    expect(rows).toEqual([{ relrowsecurity: false, relforcerowsecurity: false }])
  })

  it('shows rows of others at no moment to a tenant that asks all the while', async () => {
    await here.admin.query('GRANT SELECT ON orders TO PUBLIC')
    await here.protect({ shared: ['countries'] })
    const client = await here.as('harbour')
    const protecting = { done: false }
    let asked = 0
    const asking = (async () => {
      while (!protecting.done) {
        const { rows } = await client.query('SELECT DISTINCT tenant_id FROM orders')
        expect(rows).toEqual([{ tenant_id: 'harbour' }])
        asked += 1
      }
    })()
    for (let times = 0; times < 5; times += 1) await here.protect()
    protecting.done = true
    await asking
    expect(asked).toBeGreaterThan(0)
  })
})

describe('X8 a foreign server that everybody may use', () => {
  it('would let tenants read it by tables of their own: the database is not served', async () => {
    await here.admin.query(
      `CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw`,
    )
    await here.protect({ shared: ['countries'] })
    expect(await checked()).toBeNull()
    await here.admin.query('GRANT USAGE ON FOREIGN SERVER elsewhere TO PUBLIC')
    expect(await checked()).toMatch(/server elsewhere tenants may make foreign tables of it/)
  })
})

describe('X8 keys without the tenant', () => {
  it('are named, also those that only carry it along, and what excludes ranges', async () => {
    await here.admin.query(`CREATE EXTENSION btree_gist;
      CREATE TABLE rooms (tenant_id text, code text, held int4range,
        EXCLUDE USING gist (held WITH &&), EXCLUDE USING gist (tenant_id WITH =, held WITH &&));
      CREATE UNIQUE INDEX carried ON rooms (code) INCLUDE (tenant_id); CREATE UNIQUE INDEX held ON rooms (tenant_id, code)`)
    const warnings = await here.protect({ shared: ['countries'] })
    expect(warnings.find(({ code }) => code === 'unique_key')?.about).toEqual([
      'public.orders: orders_pkey',
      'public.rooms: carried',
      'public.rooms: rooms_held_excl',
    ])
  })
})
