import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, ask, postern, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { httpTransport, sessionClient } from '../../support/session-client.ts'
import {
  call,
  configuration,
  logOf,
  type Observer,
  observe,
  openRoom,
  ROOT,
  type Room,
  soon,
} from '../pgedge/room.ts'

const PASSWORD = 'correct horse battery staple'
/** Roles belong to the whole server, which other test files use at the same time. */
const PREFIX = `x8_${randomBytes(4).toString('hex')}`
const MAKER = `${PREFIX}_maker`

const TENANTS = ['default', 'harbour'] as const
type Tenant = (typeof TENANTS)[number]
const LEVELS = ['reader', 'writer', 'admin'] as const

/** Whose rows each tenant has, by number. */
const OWN: Readonly<Record<Tenant, readonly number[]>> = { default: [1, 3], harbour: [2] }

let database: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving

const tokens = new Map<string, string>()
const tokenOf = (tenant: Tenant, who: string): string => tokens.get(`${tenant} ${who}`) ?? ''

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  outside = await observe(database)
  await outside.query(`
    CREATE TABLE orders (n int PRIMARY KEY, tenant_id text NOT NULL, note text);
    CREATE TABLE countries (code text PRIMARY KEY);
    CREATE TABLE secrets (word text);
    CREATE VIEW noted AS SELECT n, note FROM orders;
    INSERT INTO orders SELECT n, CASE WHEN n = 2 THEN 'harbour' ELSE 'default' END, 'of ' || n FROM generate_series(1, 3) n;
    INSERT INTO countries VALUES ('DE'); INSERT INTO secrets VALUES ('hidden');
    ANALYZE;
    CREATE ROLE ${MAKER} LOGIN CREATEROLE PASSWORD 'maker-1'`)
  room = await openRoom({
    'postern.yaml': configuration({
      auth: {
        tokens: { root: { value: ROOT, level: 'admin' } },
        argon2: { memoryKb: 8_192, timeCost: 1 },
      },
      databases: [
        {
          name: 'shop',
          url: database.readerUrl,
          maxConnectionsPerCredential: 16,
          tenancy: { rolePrefix: PREFIX, provisioner: { user: MAKER, password: 'maker-1' } },
        },
        { name: 'plain', url: database.readerUrl },
      ],
    }),
  })
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await database?.drop()
  const cleaner = new Client({ connectionString: (await testPostgres()).url() })
  await cleaner.connect()
  const { rows } = await cleaner.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY length(rolname) DESC',
    [PREFIX],
  )
  for (const { name } of rows) await cleaner.query(`DROP ROLE ${cleaner.escapeIdentifier(name)}`)
  await cleaner.end()
})

const rest = (token: string, sql: string, more: object = {}): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/query`, token, { json: { sql, ...more } })

/** The same statement on each of the ways in; what each answers, as rows or as a code. */
async function everywhere(token: string, sql: string): Promise<unknown[]> {
  const read = ({ status, body }: Answer): unknown => {
    const { rows, code, structuredContent } = body as {
      rows?: unknown
      code?: string
      structuredContent?: { rows?: unknown }
    }
    return status === 200 ? (rows ?? structuredContent?.rows) : code
  }
  const tool = await ask(`${gateway.url}/mcp/tools/query_database`, token, { json: { query: sql } })
  const mcp = await call(gateway.url, token, 'query_database', { query: sql })
  return [read(await rest(token, sql)), read(tool), mcp.code ?? mcp.rows]
}

const ORDERS = 'SELECT n FROM orders ORDER BY n'
const rowsOf = (tenant: Tenant): unknown => OWN[tenant].map((n) => [n])

describe('X8 before it is protected', () => {
  it('X8 a database that says it is protected and is not answers nobody, and tells the operator what to run', async () => {
    const refused = await rest(ROOT, ORDERS)
    expect([refused.status, (refused.body as { code: string }).code]).toEqual([503, 'database_unavailable'])
    expect((refused.body as { message: string }).message).toContain(`there is no function ${PREFIX}.tenant()`)
    expect((refused.body as { message: string }).message).toContain('postern database protect shop')
    expect((await rest(ROOT, ORDERS, { database: 'plain' })).status).toBe(200)
  })

  it('X8 one command protects it, while the gateway runs', async () => {
    expect((await room.run(['tenant', 'add', 'harbour'])).code).toBe(0)
    const done = await postern(
      ['database', 'protect', 'shop', '--shared', 'countries', '--apply', '--yes', '--json'],
      { cwd: room.dir, env: { POSTERN_DATABASE_ADMIN_URL: database.url } },
    )
    expect([done.code, done.stderr]).toEqual([0, expect.any(String) as string])
    await soon(async () => (await rest(ROOT, ORDERS)).status).toBe(200)

    for (const tenant of TENANTS) {
      for (const level of LEVELS) {
        const username = `${level}.${tenant}`
        const added = await room.run(
          ['user', 'add', '--username', username, '--tenant', tenant, '--role', level, '--password-stdin'],
          `${PASSWORD}\n`,
        )
        expect(added.code, added.stderr).toBe(0)
        const { status, body } = await ask(`${gateway.url}/api/v1/auth/login`, null, {
          json: { username, password: PASSWORD, tenant_id: tenant },
        })
        expect(status).toBe(200)
        tokens.set(`${tenant} ${level}`, (body as { token: string }).token)
      }
      const { token } = await room.add(`of ${tenant}`, '--tenant', tenant, '--level', 'admin')
      tokens.set(`${tenant} token`, token)
    }
  })
})

describe('X8 every query sees the rows of its own tenant', () => {
  it.each(TENANTS.flatMap((tenant) => [...LEVELS, 'token'].map((who) => [tenant, who] as const)))(
    'X8 %s, %s: over REST, as a tool and over MCP',
    async (tenant, who) => {
      const token = tokenOf(tenant, who)
      const same = (rows: unknown): unknown[] => [rows, rows, rows]
      expect(await everywhere(token, ORDERS)).toEqual(same(rowsOf(tenant)))
      expect(await everywhere(token, 'SELECT n FROM noted ORDER BY n')).toEqual(same(rowsOf(tenant)))
      expect(await everywhere(token, 'SELECT count(*)::int FROM orders')).toEqual(
        same([[OWN[tenant].length]]),
      )
      expect(await everywhere(token, `SELECT n FROM orders WHERE tenant_id <> '${tenant}'`)).toEqual(same([]))
      expect(await everywhere(token, 'SELECT code FROM countries')).toEqual(same([['DE']]))
      expect(await everywhere(token, 'SELECT word FROM secrets')).toEqual(same('sql_failed'))
    },
  )

  it.each(TENANTS)(
    'X8 an admin of %s changes its rows and puts none into those of another',
    async (tenant) => {
      const admin = tokenOf(tenant, 'admin')
      const other = tenant === 'default' ? 'harbour' : 'default'
      for (const sql of [
        `INSERT INTO orders VALUES (77, '${other}', 'smuggled')`,
        `UPDATE orders SET tenant_id = '${other}'`,
      ]) {
        const { status, body } = await rest(admin, sql)
        expect([status, (body as { sqlstate: string }).sqlstate]).toEqual([422, '42501'])
      }
      expect((await rest(admin, `UPDATE orders SET note = 'seen by ${tenant}'`)).body).toMatchObject({
        affected: OWN[tenant].length,
      })
      expect((await rest(admin, `DELETE FROM orders WHERE tenant_id = '${other}'`)).body).toMatchObject({
        affected: 0,
      })
      expect(await outside.query(`SELECT n FROM orders WHERE note = 'seen by ${tenant}' ORDER BY n`)).toEqual(
        OWN[tenant].map((n) => ({ n })),
      )
      expect(await outside.query(`SELECT n FROM orders WHERE note = 'smuggled'`)).toEqual([])
    },
  )

  it.each([
    'SET ROLE NONE',
    `SET ROLE ${PREFIX}_readers`,
    'SET SESSION AUTHORIZATION DEFAULT',
    `SELECT set_config('role', 'none', false)`,
    `SELECT set_config('postern.tenant', 'default', false)`,
    'SET row_security = off',
    'RESET ROLE',
  ])('X8 after %s in a session an admin still sees its own rows only', async (sql) => {
    const admin = tokenOf('harbour', 'admin')
    const session = `s${randomBytes(3).toString('hex')}`
    await rest(admin, sql, { session })
    const { status, body } = await rest(admin, ORDERS, { session })
    // Refused, or the own rows: never those of somebody else.
    if (status === 200) expect((body as { rows: unknown }).rows).toEqual(rowsOf('harbour'))
    else expect([403, 404, 422]).toContain(status)
    await rest(admin, ORDERS, { session })
  })

  it('X8 what shows other tenants at work is refused to admins, too, with the rule', async () => {
    const admin = tokenOf('harbour', 'admin')
    for (const sql of [
      'SELECT relname, n_live_tup FROM pg_stat_user_tables',
      `SELECT pg_total_relation_size('orders')`,
      'SELECT * FROM pg_locks',
    ]) {
      const { status, body } = await rest(admin, sql)
      expect([status, body]).toEqual([403, expect.objectContaining({ rule: 'sql.tenants' })])
    }
  })

  it('X8 the tools that describe the schema count no rows of others and name no table that tenants cannot read', async () => {
    for (const tenant of TENANTS) {
      const answer = await call(gateway.url, tokenOf(tenant, 'reader'), 'get_schema_info', {})
      const { tables } = answer.structured as { tables: { name: string; estimated_rows?: number }[] }
      expect(tables.map(({ name }) => name).toSorted()).toEqual(['countries', 'noted', 'orders'])
      expect(tables.every((table) => table.estimated_rows === undefined)).toBe(true)
      expect(answer.text).not.toMatch(/\d rows/)
      const counted = await call(gateway.url, tokenOf(tenant, 'reader'), 'count_rows', { table: 'orders' })
      expect(counted.structured['count']).toBe(OWN[tenant].length)
      const found = await call(gateway.url, tokenOf(tenant, 'reader'), 'schema_search', { query: 'orders' })
      expect(JSON.stringify(found.structured)).not.toContain('estimated_rows')
    }
  })

  it('X8 a session of MCP is of the tenant of its token', async () => {
    for (const tenant of TENANTS) {
      const client = await sessionClient(
        '2025-11-25',
        httpTransport({
          url: `${gateway.url}/mcp`,
          headers: { authorization: `Bearer ${tokenOf(tenant, 'admin')}` },
        }),
      )
      try {
        const { structuredContent } = await client.call('query_database', { query: ORDERS })
        expect((structuredContent as { rows: unknown }).rows).toEqual(rowsOf(tenant))
      } finally {
        await client.close()
      }
    }
  })
})

describe('X8 a database that is not protected', () => {
  it("X8 is the first tenant's: to another it is like any that is not theirs, and in no list", async () => {
    const plain = { database: 'plain' }
    expect((await rest(tokenOf('default', 'reader'), 'SELECT 1', plain)).body).toMatchObject({ rows: [[1]] })
    const answers = await Promise.all(
      ['plain', 'nowhere'].map(async (name) =>
        rest(tokenOf('harbour', 'admin'), 'SELECT 1', { database: name }),
      ),
    )
    for (const [at, { status, body }] of answers.entries()) {
      expect([status, body]).toEqual([
        403,
        expect.objectContaining({ code: 'database_not_allowed', rule: 'database', candidates: ['shop'] }),
      ])
      expect(JSON.stringify(body).includes('plain')).toBe(at === 0)
    }
  })

  it('X8 access explain says the same', async () => {
    const explained = async (tenant: Tenant, name: string): Promise<unknown> => {
      const url = `${gateway.url}/api/v1/access/explain?tool=query_database&database=${name}`
      const { allowed, code } = (await ask(url, tokenOf(tenant, 'token'))).body as {
        allowed: boolean
        code?: string
      }
      return code ?? allowed
    }
    expect(await explained('default', 'plain')).toBe(true)
    expect(await explained('harbour', 'plain')).toBe('database_not_allowed')
    expect(await explained('harbour', 'nowhere')).toBe('database_not_allowed')
    expect(await explained('harbour', 'shop')).toBe(true)
  })
})

describe('X8 a tenant that comes later', () => {
  it('X8 has its roles made at the first query, and sees its rows at once', async () => {
    await room.run(['tenant', 'add', 'late'])
    const { token } = await room.add('of late', '--tenant', 'late', '--level', 'admin')
    await outside.query(`INSERT INTO orders VALUES (90, 'late', 'x')`)
    expect(await everywhere(token, ORDERS)).toEqual([[[90]], [[90]], [[90]]])
    expect((await rest(token, `UPDATE orders SET note = 'mine'`)).body).toMatchObject({ affected: 1 })
    expect(await everywhere(tokenOf('harbour', 'admin'), ORDERS)).toEqual([
      rowsOf('harbour'),
      rowsOf('harbour'),
      rowsOf('harbour'),
    ])
  })

  it('X8 is told clearly where nobody can make them, and nobody else notices', async () => {
    await outside.query(`ALTER ROLE ${MAKER} NOCREATEROLE`)
    await room.run(['tenant', 'add', 'later'])
    const { token } = await room.add('of later', '--tenant', 'later')
    const { status, headers, body } = await rest(token, ORDERS)
    expect([status, headers.get('retry-after')]).toEqual([503, '30'])
    expect(body).toMatchObject({ code: 'tenant_not_ready', error: 'unavailable' })
    expect((body as { message: string }).message).toContain('postern database protect shop')
    expect(JSON.stringify(body)).not.toContain(PREFIX)
    expect((await rest(tokenOf('harbour', 'reader'), ORDERS)).body).toMatchObject({ rows: rowsOf('harbour') })
    const line = () => logOf(gateway).find(({ msg }) => msg === 'A tenant cannot use a protected database')
    await soon(line).toMatchObject({ level: 'WARN', database: 'shop', tenant: 'later' })
    expect(gateway.stderr()).not.toContain('maker-1')
  })

  it('X8 a table that PUBLIC may read closes the database until that is mended', async () => {
    await outside.query('GRANT SELECT ON secrets TO PUBLIC')
    const harbour = tokenOf('harbour', 'reader')
    await soon(async () => (await rest(harbour, ORDERS)).status).toBe(503)
    expect((await rest(harbour, 'SELECT word FROM secrets')).status).toBe(503)
    const { body } = await rest(tokenOf('default', 'admin'), ORDERS)
    expect((body as { message: string }).message).toContain('public.secrets has no row security')
    await outside.query('REVOKE SELECT ON secrets FROM PUBLIC')
    await soon(async () => (await rest(harbour, ORDERS)).status).toBe(200)
  })
})
