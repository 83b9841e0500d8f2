import type { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { snapshotOf } from '../../../test/support/database-snapshot.ts'
import { protectable, type Protectable } from '../../../test/support/protect.ts'
import type { CatalogueRow } from '../catalogue-row.ts'
import { checkProtection } from './check-protection.ts'
import { planProtection } from './protect.ts'
import type { ProtectionFacts, RelationFacts } from './protection-facts.ts'
import { planScript } from './script.ts'
import { tenantRoles } from './tenant-roles.ts'

let here: Protectable
let left: Protectable | undefined

afterEach(async () => {
  await left?.drop()
  left = undefined
})

const begin = async (sql: string): Promise<Protectable> => {
  here = left = await protectable()
  await here.admin.query(sql)
  return here
}

const numbers = async (client: Client, sql: string): Promise<number[]> => {
  const { rows } = await client.query<{ n: number }>(sql)
  return rows.map(({ n }) => n)
}

const SHOP = `
  CREATE ROLE PREFIX_owner;
  CREATE TABLE tenants (id text PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (n int PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenants, note text);
  CREATE TABLE events (n int, tenant_id text NOT NULL) PARTITION BY RANGE (n);
  CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (10);
  CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (10) TO (100);
  CREATE TABLE parent_things (n int, tenant_id text);
  CREATE TABLE child_things (more text) INHERITS (parent_things);
  CREATE TABLE tickets (n serial PRIMARY KEY, tenant_id text NOT NULL);
  CREATE TABLE countries (code char(2) PRIMARY KEY);
  CREATE TABLE secrets (n int);
  CREATE VIEW order_notes AS SELECT n, note FROM orders;
  CREATE VIEW asked WITH (security_invoker = true, security_barrier = true) AS SELECT n FROM orders;
  CREATE VIEW never_asked WITH (security_invoker = off) AS SELECT n FROM orders;
  CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, count(*) AS n FROM orders GROUP BY 1;
  CREATE TABLE own_rules (n int, tenant_id text, public boolean);
  CREATE POLICY only_public ON own_rules USING (public);
  ALTER TABLE own_rules ENABLE ROW LEVEL SECURITY;
  ALTER TABLE own_rules OWNER TO PREFIX_owner;
  CREATE ROLE PREFIX_app;
  GRANT SELECT ON orders, own_rules TO PREFIX_app;
  INSERT INTO tenants VALUES ('default', 'D'), ('harbour', 'H');
  INSERT INTO orders VALUES (1, 'default', 'a'), (2, 'harbour', 'b'), (3, 'default', 'c');
  INSERT INTO events VALUES (1, 'default'), (2, 'harbour'), (11, 'default'), (12, 'harbour');
  INSERT INTO parent_things VALUES (1, 'default'), (2, 'harbour'), (3, NULL);
  INSERT INTO child_things VALUES (4, 'default', 'x'), (5, 'harbour', 'y');
  INSERT INTO own_rules VALUES (1, 'default', true), (2, 'default', false), (3, 'harbour', true);
  INSERT INTO countries VALUES ('DE');
`
const OPTIONS = { shared: ['countries'], keyColumns: [['tenants', 'id']] } as const

const shop = async (): Promise<Protectable> => {
  here = left = await protectable()
  await here.admin.query(SHOP.replaceAll('PREFIX', here.prefix))
  return here
}

describe('a protected database', () => {
  it('shows each tenant its own rows, in tables, partitions, children and views', async () => {
    await shop()
    await here.protect(OPTIONS)
    const reader = await here.as('default', 'read')
    const other = await here.as('harbour')
    expect(await numbers(reader, 'SELECT n FROM orders ORDER BY n')).toEqual([1, 3])
    expect(await numbers(other, 'SELECT n FROM orders ORDER BY n')).toEqual([2])
    expect(await numbers(reader, 'SELECT n FROM events ORDER BY n')).toEqual([1, 11])
    expect(await numbers(reader, 'SELECT n FROM parent_things ORDER BY n')).toEqual([1, 4])
    expect(await numbers(reader, 'SELECT n FROM child_things ORDER BY n')).toEqual([4])
    expect(await numbers(reader, 'SELECT n FROM order_notes ORDER BY n')).toEqual([1, 3])
    expect(await numbers(reader, 'SELECT n FROM asked ORDER BY n')).toEqual([1, 3])
    expect(await numbers(reader, 'SELECT n FROM never_asked ORDER BY n')).toEqual([1, 3])
    expect((await reader.query('SELECT id FROM tenants')).rows).toEqual([{ id: 'default' }])
    expect((await reader.query('SELECT code FROM countries')).rows).toEqual([{ code: 'DE' }])
    for (const table of ['secrets', 'totals', 'events_low', `${here.prefix}.tenant_roles`]) {
      await expect(reader.query(`SELECT * FROM ${table}`)).rejects.toThrow('permission denied')
    }
  })

  it('lets a writer change the rows of its tenant and no others, and a reader none', async () => {
    await shop()
    await here.protect(OPTIONS)
    const writer = await here.as('harbour')
    const reader = await here.as('harbour', 'read')
    await writer.query(`INSERT INTO tickets (tenant_id) VALUES ('harbour'), (${here.prefix}.tenant())`)
    expect((await writer.query(`UPDATE orders SET note = 'mine'`)).rowCount).toBe(1)
    expect((await writer.query('DELETE FROM events')).rowCount).toBe(2)
    await expect(writer.query(`INSERT INTO orders VALUES (9, 'default')`)).rejects.toThrow(
      'row-level security',
    )
    await expect(writer.query(`UPDATE orders SET tenant_id = 'default'`)).rejects.toThrow(
      'row-level security',
    )
    await expect(writer.query('TRUNCATE orders')).rejects.toThrow('permission denied')
    await expect(writer.query(`INSERT INTO countries VALUES ('FR')`)).rejects.toThrow('permission denied')
    await expect(reader.query('DELETE FROM orders')).rejects.toThrow('permission denied')
    expect(
      await numbers(here.admin, `SELECT n FROM orders WHERE note IS DISTINCT FROM 'mine' ORDER BY n`),
    ).toEqual([1, 3])
  })

  it('changes nothing for others: a role of an application, an owner, policies of its own', async () => {
    await shop()
    const seen = async (): Promise<unknown> => {
      const answers: unknown[] = []
      for (const role of ['app', 'owner']) {
        await here.admin.query(`SET ROLE ${here.prefix}_${role}`)
        answers.push(await numbers(here.admin, 'SELECT n FROM own_rules ORDER BY n'))
        if (role === 'app') answers.push(await numbers(here.admin, 'SELECT n FROM orders ORDER BY n'))
        await here.admin.query('RESET ROLE')
      }
      return answers
    }
    const before = await seen()
    expect(before).toEqual([
      [1, 3],
      [1, 2, 3],
      [1, 2, 3],
    ])
    await here.protect(OPTIONS)
    expect(await seen()).toEqual(before)
    expect(await numbers(await here.as('default'), 'SELECT n FROM own_rules ORDER BY n')).toEqual([1, 2])
  })

  it('holds where a view or a function reads with the rights of the owner of the table', async () => {
    await shop()
    const { admin, prefix } = here
    await admin.query(`
      CREATE VIEW owned_view AS SELECT n FROM own_rules; ALTER VIEW owned_view OWNER TO ${prefix}_owner;
      CREATE FUNCTION owned() RETURNS SETOF int LANGUAGE sql SECURITY DEFINER AS 'SELECT n FROM own_rules'; ALTER FUNCTION owned OWNER TO ${prefix}_owner`)
    await here.protect(OPTIONS)
    for (const [tenant, rows] of [
      ['default', [1, 2]],
      ['harbour', [3]],
    ] as const) {
      const client = await here.as(tenant, 'read')
      expect(await numbers(client, 'SELECT n FROM owned_view ORDER BY n')).toEqual(rows)
      expect(await numbers(client, 'SELECT n FROM owned() AS n ORDER BY n')).toEqual(rows)
    }
    const { rows } = await admin.query(
      `SELECT FROM ${prefix}.protected_relations WHERE relation = 'owned_view'::regclass`,
    )
    expect(rows, 'the view was left as it is').toEqual([])
  })

  it('is as it was before when it is undone, object by object', async () => {
    await shop()
    const before = await snapshotOf(here.admin, here.prefix)
    await here.protect(OPTIONS)
    const between = await snapshotOf(here.admin, here.prefix)
    for (const what of ['relations', 'sequences', 'policies', 'schemas', 'functions', 'roles', 'members'])
      expect(between[what], what).not.toEqual(before[what])
    expect(await here.undo()).toEqual([])
    expect(await snapshotOf(here.admin, here.prefix)).toEqual(before)
  })

  it('is the same after a second time, and is undone to what it was before the first', async () => {
    await shop()
    const before = await snapshotOf(here.admin, here.prefix)
    await here.protect(OPTIONS)
    const once = await snapshotOf(here.admin, here.prefix)
    await here.protect(OPTIONS)
    // What was named stays: shared tables and key columns need not be said again.
    await here.protect()
    expect(await snapshotOf(here.admin, here.prefix)).toEqual(once)
    await here.undo()
    expect(await snapshotOf(here.admin, here.prefix)).toEqual(before)
  })

  it('takes in new tables, partitions and tenants, and heals what somebody took away', async () => {
    await shop()
    await here.protect(OPTIONS)
    const { admin, prefix } = here
    await admin.query(`
      CREATE TABLE late (n int, tenant_id text); INSERT INTO late VALUES (1, 'default'), (2, 'harbour'), (3, 'bay');
      CREATE TABLE events_more PARTITION OF events FOR VALUES FROM (100) TO (1000);
      DROP TABLE tickets; DROP POLICY ${prefix}_session ON orders; ALTER TABLE orders DISABLE ROW LEVEL SECURITY;`)
    await expect((await here.as('default')).query('SELECT n FROM late')).rejects.toThrow('permission denied')
    await here.protect({ tenants: ['default', 'harbour', 'bay'] })
    expect(await numbers(await here.as('bay'), 'SELECT n FROM late')).toEqual([3])
    expect(await numbers(await here.as('harbour'), 'SELECT n FROM orders')).toEqual([2])
    const { rows } = await admin.query(
      `SELECT count(*)::int AS policies FROM pg_policies WHERE tablename IN ('events_more', 'orders', 'late')`,
    )
    expect(rows).toEqual([{ policies: 9 }])
    const gone = await admin.query(
      `SELECT FROM ${prefix}.protected_relations WHERE relation::text ~ '^[0-9]+$'`,
    )
    expect(gone.rowCount).toBe(0)
  })

  it('makes the login of a tenant right again that the tenant has spoilt', async () => {
    await shop()
    await here.protect(OPTIONS)
    const { name } = here.roles.of('harbour', 'write')
    const writer = await here.as('harbour')
    await writer.query(`ALTER ROLE ${name} PASSWORD 'mine'; ALTER ROLE ${name} SET search_path = nowhere`)
    await expect(here.as('harbour')).rejects.toMatchObject({ code: '28P01' })
    await here.protect()
    expect(await numbers(await here.as('harbour'), 'SELECT n FROM orders')).toEqual([2])
  })

  it('gives a role that looks like one of a tenant and is none no rows', async () => {
    await shop()
    await here.protect(OPTIONS)
    const { admin, prefix, roles } = here
    await admin.query(`GRANT SELECT ON orders TO PUBLIC; DELETE FROM ${prefix}.tenant_roles`)
    expect(roles.of('default', 'read').name).toMatch(/_r_/)
    expect(await numbers(await here.as('default', 'read'), 'SELECT n FROM orders')).toEqual([])
  })
})

describe('what Postern looks for before it serves a database', () => {
  const check = (): Promise<string | null> =>
    checkProtection(
      async (sql, params) => (await here.admin.query<CatalogueRow>(sql, [...params])).rows,
      here.prefix,
      'shop',
    )

  it('is there after protecting, whatever the types of the columns, and not before', async () => {
    await shop()
    await here.admin
      .query(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ka-shifted', deterministic = false);
      CREATE TABLE a (tenant_id uuid); CREATE TABLE b (tenant_id bigint); CREATE TABLE c (tenant_id numeric); CREATE TABLE d (tenant_id varchar(9));
      CREATE TABLE e (tenant_id char(9)); CREATE TABLE f (tenant_id name); CREATE TABLE g (tenant_id text COLLATE loose); CREATE TABLE "H h" (tenant_id text);
      GRANT SELECT ON a, b, c, d, e, f, g, "H h" TO PUBLIC`)
    expect(await check()).toContain('there is no function')
    await here.protect(OPTIONS)
    expect(await check()).toBeNull()
    await here.undo()
    expect(await check()).not.toBeNull()
  })

  it('is not there where protecting has warned that something stands open', async () => {
    await shop()
    await here.protect(OPTIONS)
    const { admin } = here
    for (const [open, close] of [
      ['GRANT SELECT ON totals TO PUBLIC', 'REVOKE ALL ON totals FROM PUBLIC'],
      ['GRANT INSERT ON secrets TO PUBLIC', 'REVOKE ALL ON secrets FROM PUBLIC'],
      ['GRANT CREATE ON SCHEMA public TO PUBLIC', 'REVOKE CREATE ON SCHEMA public FROM PUBLIC'],
      [`CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`, 'DROP FUNCTION f()'],
    ] as const) {
      await admin.query(open)
      expect([open, await check()]).toEqual([open, expect.any(String)])
      const warned = (await here.protect()).map(({ code }) => code)
      expect([open, warned]).toEqual([
        open,
        expect.toSatisfy((codes: string[]) =>
          codes.some((code) => /^(public_access|schema_create|definer_function)$/.test(code)),
        ),
      ])
      await admin.query(close)
      expect([close, await check()]).toEqual([close, null])
    }
  })
})

describe('what Postern keeps in the database', () => {
  it('is granted to nobody by default privileges: who is of which tenant is read by no one', async () => {
    await begin('CREATE TABLE things (n int, tenant_id text)')
    const { admin, prefix } = here
    await admin.query(`CREATE ROLE ${prefix}_app;
      ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO ${prefix}_app, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC`)
    await here.protect()
    const { rows } = await admin.query(
      `SELECT relname AS name, x.grantee::regrole::text AS grantee, x.privilege_type AS privilege FROM pg_class c, aclexplode(relacl) x
       WHERE relnamespace = '${prefix}'::regnamespace AND relkind = 'r' AND x.grantee <> c.relowner`,
    )
    expect(rows).toEqual([{ name: 'protected_relations', grantee: '-', privilege: 'SELECT' }])
    await expect((await here.as('default')).query(`CREATE TABLE ${prefix}.mine ()`)).rejects.toThrow(
      'permission denied',
    )
    await admin.query(
      `ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM ${prefix}_app, PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM PUBLIC`,
    )
  })
})

describe('columns', () => {
  const ID = '7f2c1c7e-9a35-4f4e-8f0a-2b1c5d6e7f80'
  it.each([
    ['uuid', ID, '00000000-0000-4000-8000-000000000000'],
    ['bigint', '42', '43'],
    ['smallint', '42', '43'],
    ['varchar(40)', 'harbour', 'default'],
    ['char(40)', 'harbour', 'default'],
    ['name', 'harbour', 'default'],
    ['tenant_name', 'harbour', 'default'],
  ])('of type %s hold the tenant, and an index on them is used', async (type, mine, theirs) => {
    await begin(`CREATE DOMAIN tenant_name AS text CHECK (VALUE <> '');
      CREATE TABLE things (n int, tenant_id ${type}); CREATE INDEX ON things (tenant_id);
      INSERT INTO things SELECT n, CASE WHEN n = 500 THEN '${mine}' ELSE '${theirs}' END::${type} FROM generate_series(1, 1000) n; ANALYZE things`)
    await here.protect({ tenants: [mine, 'stranger'] })
    const client = await here.as(mine)
    expect(await numbers(client, 'SELECT n FROM things')).toEqual([500])
    // Not an error: a tenant that is no such value has no rows.
    expect(await numbers(await here.as('stranger'), 'SELECT n FROM things')).toEqual([])
    await client.query('SET enable_seqscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>('EXPLAIN SELECT n FROM things')
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Index (?:Scan|Cond)/)
  })

  it('of type numeric hold the tenant, too; their = is not leakproof, so no index is used', async () => {
    await begin(`CREATE TABLE things (n int, tenant_id numeric); INSERT INTO things VALUES (1, 42), (2, 43)`)
    await here.protect({ tenants: ['42'] })
    expect(await numbers(await here.as('42'), 'SELECT n FROM things')).toEqual([1])
  })

  it('whose collation takes different names for one do not mix tenants', async () => {
    await begin(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ka-shifted', deterministic = false);
      CREATE TABLE things (n int, tenant_id text COLLATE loose); INSERT INTO things VALUES (1, 'har-bour'), (2, 'harbour')`)
    expect(await numbers(here.admin, `SELECT n FROM things WHERE tenant_id = 'harbour' ORDER BY n`)).toEqual([
      1, 2,
    ])
    await here.protect()
    expect(await numbers(await here.as('harbour'), 'SELECT n FROM things')).toEqual([2])
  })

  it('that cannot hold a tenant, or are not there, are problems, and nothing is planned', async () => {
    await begin(
      `CREATE TYPE color AS ENUM ('red'); CREATE TABLE things (n int, tenant_id color); CREATE TABLE bare (n int)`,
    )
    expect(await here.plan()).toMatchObject({ ok: false, error: [expect.stringContaining('of type color')] })
    expect(await here.plan({ tables: ['bare'], keyColumns: [['nothing', 'id']] })).toMatchObject({
      ok: false,
      error: ['there is no table "nothing" in schema public', 'table public.bare has no column "tenant_id"'],
    })
  })
})

describe('names', () => {
  const HOSTILE = [
    `Mixed Case`,
    `quo"te`,
    `semi;colon`,
    `apo'strophe`,
    `new\nline -- x`,
    `back\\slash`,
    `$make$`,
    `ünï`,
  ]
  it.each(HOSTILE)('like %j are only names, in statements and in comments', async (name) => {
    here = left = await protectable()
    const { admin } = here
    const quoted = admin.escapeIdentifier(name)
    await admin.query(`CREATE SCHEMA ${quoted}; CREATE TABLE ${quoted}.${quoted} (n serial, ${quoted} text);
      CREATE VIEW ${quoted}."the view" AS SELECT * FROM ${quoted}.${quoted};
      INSERT INTO ${quoted}.${quoted} VALUES (1, 'default'), (2, 'harbour')`)
    const before = await snapshotOf(admin, here.prefix)
    const options = { schemas: [name], column: name }
    const plan = await here.plan(options)
    if (!plan.ok) throw new Error(plan.error.join('\n'))
    const script = planScript(plan.value.statements, `Protects ${name}`)
    // As psql reads it: a script that says the same as the statements, in one transaction.
    await admin.query(script)
    const twice = await snapshotOf(admin, here.prefix)
    await here.protect(options)
    expect(await snapshotOf(admin, here.prefix)).toEqual(twice)
    const writer = await here.as('harbour')
    expect(await numbers(writer, `SELECT n FROM ${quoted}.${quoted}`)).toEqual([2])
    expect(await numbers(writer, `SELECT n FROM ${quoted}."the view"`)).toEqual([2])
    await here.undo()
    expect(await snapshotOf(admin, here.prefix)).toEqual(before)
  })
})

describe('what stands in the way', () => {
  it('is a schema, a policy or a role of somebody else under our name', async () => {
    await begin('CREATE TABLE things (n int, tenant_id text)')
    const { admin, prefix, roles } = here
    await admin.query(`CREATE SCHEMA ${prefix}; CREATE ROLE ${roles.groups.readers} LOGIN;
      CREATE ROLE ${roles.of('harbour', 'read').name} BYPASSRLS; CREATE POLICY ${prefix}_open ON things`)
    const plan = await here.plan({ schemas: ['public', 'nowhere'] })
    expect(plan).toEqual({
      ok: false,
      error: [
        `there is a schema "${prefix}" that is not Postern's: choose another tenancy.rolePrefix`,
        'there is no schema "nowhere"',
        expect.stringContaining('is BYPASSRLS'),
        expect.stringContaining('may log in'),
        'table public.things has a policy of another Postern, or one named like it',
      ],
    })
  })

  it('is a role of ours in another group', async () => {
    await begin('CREATE TABLE things (n int, tenant_id text)')
    await here.protect()
    const { name } = here.roles.of('harbour', 'read')
    await here.admin.query(`GRANT pg_read_all_data TO ${name}`)
    expect(await here.plan()).toEqual({
      ok: false,
      error: [`role ${name} is a member of pg_read_all_data: REVOKE pg_read_all_data FROM ${name}`],
    })
  })

  it('leaves everything as it was when PostgreSQL refuses a statement', async () => {
    await begin('CREATE TABLE things (n int, tenant_id text); CREATE TABLE zz (n int, tenant_id text)')
    const before = await snapshotOf(here.admin, here.prefix)
    const plan = await here.plan()
    await here.admin.query('DROP TABLE zz')
    const { runPlan } = await import('./run-plan.ts')
    if (!plan.ok) throw new Error('no plan')
    const ran = await runPlan(here.admin, plan.value.statements)
    expect(ran).toMatchObject({ ok: false, error: { sqlstate: '42P01' } })
    await here.admin.query('CREATE TABLE zz (n int, tenant_id text)')
    expect(await snapshotOf(here.admin, here.prefix)).toEqual(before)
  })
})

describe('undoing', () => {
  it('keeps roles that another database of the server needs', async () => {
    await begin('CREATE TABLE things (n int, tenant_id text)')
    await here.protect()
    const { prefix, admin, roles } = here
    const second = await (await import('../../../test/support/postgres.ts')).testPostgres()
    const other = await second.createDatabase()
    const { Client: PgClient } = await import('pg')
    const client = new PgClient({ connectionString: other.url })
    await client.connect()
    await client.query('CREATE TABLE elsewhere (n int, tenant_id text)')
    await here.protect({}, client)
    expect(await here.undo()).toMatchObject([
      {
        code: 'role_kept',
        about: expect.arrayContaining([roles.of('harbour', 'read').name, `${prefix}_readers`]) as unknown,
      },
    ])
    expect((await client.query(`SELECT FROM ${prefix}.protected_relations`)).rowCount).toBe(1)
    const members = await admin.query(
      `SELECT FROM pg_auth_members WHERE roleid = '${prefix}_writers'::regrole`,
    )
    expect(members.rowCount).toBe(2)
    await client.end()
    await other.drop()
  })

  it('is refused where nothing is protected', async () => {
    await begin('CREATE TABLE things (n int)')
    await expect(here.undo()).rejects.toThrow('is not protected')
  })
})

describe('warnings', () => {
  it('say what tenants could get around, and what they will miss', async () => {
    await shop()
    const { admin, prefix } = here
    await admin.query(`
      GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT SELECT ON secrets, totals TO PUBLIC;
      CREATE FUNCTION leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM orders';
      CREATE FUNCTION quiet() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; ALTER FUNCTION quiet OWNER TO ${prefix}_owner;
      CREATE TABLE by_uuid (tenant_id uuid, n int UNIQUE, o int REFERENCES orders);
      CREATE TABLE restricted (tenant_id text); CREATE POLICY r ON restricted AS RESTRICTIVE USING (false);
      CREATE VIEW over_secret AS SELECT s.n FROM secrets s; GRANT SELECT ON over_secret TO ${prefix}_app; REVOKE SELECT ON secrets FROM PUBLIC;
      ALTER TABLE orders OWNER TO ${prefix}_owner`)
    const warnings = await here.protect(OPTIONS)
    const of = (code: string): readonly (readonly string[])[] =>
      warnings.filter((warning) => warning.code === code).map(({ about }) => about)
    expect(of('public_access')).toEqual([['public.totals']])
    expect(of('schema_create')).toEqual([['public']])
    expect(of('definer_function')).toEqual([
      ['public.leak(), owner postgres'],
      [`public.quiet(), owner ${prefix}_owner`],
    ])
    expect(of('own_policies')).toEqual([['public.restricted']])
    expect(of('view_left_out')).toEqual([['public.over_secret']])
    expect(of('no_column')).toEqual([['public.secrets']])
    expect(of('tenant_value')).toEqual([['default', 'harbour']])
    expect(of('owner_copy')).toEqual([['public.orders']])
    expect(of('foreign_key')).toEqual([['public.by_uuid: by_uuid_o_fkey']])
    expect(of('unique_key')).toEqual([
      ['public.by_uuid: by_uuid_n_key', 'public.orders: orders_pkey', 'public.tickets: tickets_pkey'],
    ])
    const reader = await here.as('default', 'read')
    await expect(reader.query('SELECT * FROM restricted')).rejects.toThrow('permission denied')
    await expect(reader.query('SELECT * FROM over_secret')).rejects.toThrow('permission denied')
  })
})

describe('the plan for an older PostgreSQL', () => {
  const roles = tenantRoles(Buffer.alloc(32, 3), 'postern')
  const orders: RelationFacts = {
    oid: '1',
    schema: 'public',
    name: 'orders',
    kind: 'table',
    partition: false,
    owner: 'postgres',
    ownerBypasses: true,
    rowSecurity: false,
    forced: false,
    columns: [{ name: 'tenant_id', type: 'text', loose: false }],
    policies: [],
    invoker: null,
    parents: [],
    reads: [],
    stranded: [],
    publicMay: [],
    groups: [],
    uniqueKeys: [],
    foreignKeys: [],
    sequences: [],
    note: null,
  }
  const view: RelationFacts = { ...orders, oid: '2', name: 'v', kind: 'view', columns: [], reads: ['1'] }
  const facts = (version: number): ProtectionFacts => ({
    version,
    database: 'shop',
    ownSchema: 'absent',
    relations: [orders, view],
    schemas: [{ name: 'public', publicMay: ['CREATE', 'USAGE'], groups: [] }],
    connect: ['PUBLIC'],
    roles: [],
    definers: [],
    recorded: [],
    vanished: 0,
  })
  const planned = (version: number): { readonly sql: string; readonly codes: readonly string[] } => {
    const plan = planProtection(facts(version), {
      prefix: 'postern',
      roles,
      tenants: ['default'],
      provisioner: null,
      column: 'tenant_id',
      schemas: ['public'],
      tables: null,
      shared: [],
      keyColumns: [],
    })
    if (!plan.ok) throw new Error(plan.error.join('\n'))
    return {
      sql: plan.value.statements.map(({ sql }) => sql).join(';\n'),
      codes: plan.value.warnings.map(({ code }) => code),
    }
  }

  it('gives memberships no options before 16', () => {
    expect(planned(180_000).sql).toContain('WITH INHERIT TRUE, SET FALSE')
    expect(planned(160_004).sql).toContain('WITH INHERIT TRUE, SET FALSE')
    expect(planned(150_009).sql).not.toContain('SET FALSE')
    expect(planned(150_009).sql).toMatch(/GRANT "postern_readers" TO "postern_r_[0-9a-f]{32}"/)
  })

  it('does not switch views before 15, and does not grant those that would bypass', () => {
    expect(planned(150_009).sql).toContain('ALTER VIEW "public"."v" SET (security_invoker = true)')
    expect(planned(140_002).sql).not.toContain('"v"')
    expect(planned(140_002).codes).toContain('view_left_out')
  })

  it('warns of schemas where everybody may make objects, as was the default before 15', () => {
    expect(planned(140_002).codes).toContain('schema_create')
  })

  it('is none before 12', () => {
    expect(() => planned(110_020)).toThrow('older than version 12')
  })
})
