import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask, callTool, rpc } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'

const LEVELS = ['read-only', 'read-write', 'admin'] as const
type Level = (typeof LEVELS)[number]

let database: TestDatabase
let owner: Client
let gateway: RunningGateway
const tokens: Record<string, string> = {}

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  owner = new Client({ connectionString: database.url })
  await owner.connect()
  await owner.query(`
    CREATE TABLE parts (id int PRIMARY KEY, name text NOT NULL);
    COMMENT ON TABLE parts IS 'What machines are made of';
    CREATE TABLE part_prices (part_id int REFERENCES parts, price numeric);
    CREATE SEQUENCE tickets;
    CREATE VIEW part_names AS SELECT name FROM parts;
    CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql VOLATILE AS $$ INSERT INTO parts VALUES (99, 'sneaky') RETURNING id $$;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO postern_reader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO postern_reader, postern_writer;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO postern_reader, postern_writer;
  `)
  gateway = await startGateway({
    configuration: {
      // The role of the reads may write as well: here it is Postern alone that keeps it from that.
      databases: [{ name: 'main', url: database.readerUrl, writerUrl: database.writerUrl }],
    },
  })
  for (const level of LEVELS) tokens[level] = (await gateway.issue({ note: level, level })).token
})
afterAll(async () => {
  await gateway?.close()
  await owner?.end()
  await database?.drop()
})

const reset = (): Promise<unknown> =>
  owner.query(`
    TRUNCATE parts, part_prices; INSERT INTO parts VALUES (1, 'bolt'), (2, 'nut'), (3, 'washer');
    INSERT INTO part_prices VALUES (1, 0.10); SELECT setval('tickets', 1, false)
  `)

/** Everything a write could change, read past the gateway. Roles and locks of the server are other test files' as well. */
async function state(): Promise<unknown> {
  const { rows } = await owner.query(`
    SELECT (SELECT string_agg(p::text, ' ' ORDER BY id) FROM parts p) AS parts,
      (SELECT string_agg(p::text, ' ' ORDER BY part_id) FROM part_prices p) AS prices,
      (SELECT last_value::text || is_called FROM tickets) AS tickets,
      (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations,
      (SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace) AS functions,
      (SELECT count(*) FROM pg_roles WHERE rolname = 'intruder') AS roles,
      (SELECT count(*) FROM pg_largeobject_metadata) AS objects,
      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks
  `)
  return rows[0]
}

/** `done`, or the code of the refusal. */
type Outcome = string

const WIRES = {
  'MCP query_database': async (token: string, sql: string): Promise<Outcome> => {
    const result = await callTool(gateway.url, token, 'query_database', { query: sql })
    if (result.isError !== true) return 'done'
    return (result._meta as { 'postern/refusal': { code: string } })['postern/refusal'].code
  },
  'REST /mcp/tools/query_database': async (token: string, sql: string): Promise<Outcome> => {
    const { status, body } = await ask(`${gateway.url}/mcp/tools/query_database`, token, {
      json: { query: sql },
    })
    return status === 200 ? 'done' : (body as { code: string }).code
  },
  'SQL /api/v1/query': async (token: string, sql: string): Promise<Outcome> => {
    const { status, body } = await ask(`${gateway.url}/api/v1/query`, token, { json: { sql } })
    return status === 200 ? 'done' : (body as { code: string }).code
  },
} as const
const WIRE_NAMES = Object.keys(WIRES) as (keyof typeof WIRES)[]

const CELLS = LEVELS.flatMap((level) => WIRE_NAMES.map((wire) => ({ level, wire })))
const tokenOf = (level: Level): string => tokens[level] ?? ''

const READS = [
  'SELECT * FROM parts',
  'TABLE parts',
  'VALUES (1), (2)',
  'WITH p AS (SELECT id FROM parts) SELECT count(*) FROM p JOIN part_prices ON part_id = id',
  'EXPLAIN SELECT * FROM parts',
  'SHOW server_version',
  'SELECT name FROM part_names',
]

const SCHEMA = [
  `SELECT column_name FROM information_schema.columns WHERE table_name = 'parts'`,
  `SELECT obj_description('parts'::regclass)`,
  `SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'v'`,
]

/** One statement each that the role may run: only Postern decides. `after` is what an admin leaves behind. */
const WRITES: readonly { readonly sql: string; readonly after: Readonly<Record<string, unknown>> }[] = [
  { sql: `INSERT INTO parts VALUES (4, 'gear')`, after: { parts: '(1,bolt) (2,nut) (3,washer) (4,gear)' } },
  { sql: `UPDATE parts SET name = 'screw' WHERE id = 1`, after: { parts: '(1,screw) (2,nut) (3,washer)' } },
  { sql: 'DELETE FROM parts WHERE id = 3', after: { parts: '(1,bolt) (2,nut)' } },
  {
    sql: `INSERT INTO parts VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'again'`,
    after: { parts: '(1,again) (2,nut) (3,washer)' },
  },
  {
    sql: `WITH gone AS (DELETE FROM parts WHERE id = 3 RETURNING id) SELECT id FROM gone`,
    after: { parts: '(1,bolt) (2,nut)' },
  },
  {
    sql: `MERGE INTO parts USING (VALUES (2)) AS v (id) ON parts.id = v.id WHEN MATCHED THEN UPDATE SET name = 'merged'`,
    after: { parts: '(1,bolt) (2,merged) (3,washer)' },
  },
]

/** Refused to everybody, whoever asks. */
const NEVER = [
  `INSERT INTO parts VALUES (5, 'a'); INSERT INTO parts VALUES (6, 'b')`,
  'BEGIN',
  'COMMIT',
  `COPY parts FROM PROGRAM 'true'`,
  `COPY parts TO '/tmp/parts'`,
  'SET SESSION AUTHORIZATION DEFAULT',
  'RESET ALL',
]

/** What no reader gets past the gate: a write in the clothes of a read. */
const DISGUISED = [
  'SELECT sneaky()',
  `SELECT nextval('tickets')`,
  'SELECT * INTO copy FROM parts',
  'EXPLAIN ANALYZE DELETE FROM parts',
  'SELECT * FROM parts FOR UPDATE',
  `SELECT lo_create(0)`,
  `SELECT set_config('work_mem', '1MB', false)`,
  'SELECT pg_advisory_lock(1)',
  'CREATE TABLE more ()',
  'DROP TABLE part_prices',
  'TRUNCATE part_prices',
  'CREATE ROLE intruder',
  `DO $$ BEGIN DELETE FROM parts; END $$`,
  'CALL sneaky()',
]

describe('P3 reading', () => {
  it.each(CELLS)('P3 $level reads data and explores the schema by $wire', async ({ level, wire }) => {
    await reset()
    const before = await state()
    for (const sql of [...READS, ...SCHEMA]) expect(await WIRES[wire](tokenOf(level), sql), sql).toBe('done')
    expect(await state()).toEqual(before)
  })

  it.each(LEVELS)('P3 %s explores the schema with the tools, on MCP and on REST alike', async (level) => {
    const token = tokenOf(level)
    for (const [tool, args] of [
      ['schema_search', { query: 'machine' }],
      ['get_schema_info', { table_name: 'parts' }],
      ['count_rows', { table: 'parts' }],
      ['execute_explain', { query: 'SELECT * FROM parts', analyze: true }],
    ] as const) {
      const mcp = await callTool(gateway.url, token, tool, args)
      expect(mcp.isError, `${tool}: ${mcp.content[0]?.text}`).not.toBe(true)
      const rest = await ask(`${gateway.url}/mcp/tools/${tool}`, token, { json: args })
      expect(rest.status, JSON.stringify(rest.body)).toBe(200)
      if (tool !== 'execute_explain') expect(JSON.stringify(rest.body)).toContain('parts')
    }
  })
})

describe('P3 writing', () => {
  it.each(WIRE_NAMES)('P3 read-only writes nothing by %s', async (wire) => {
    await reset()
    const before = await state()
    for (const { sql } of WRITES)
      expect(await WIRES[wire](tokenOf('read-only'), sql), sql).toBe('sql_refused')
    for (const sql of [...DISGUISED, ...NEVER]) {
      expect(await WIRES[wire](tokenOf('read-only'), sql), sql).toBe('sql_refused')
    }
    expect(await state()).toEqual(before)
  })

  it.each(WIRE_NAMES)('P3 read-write writes nothing unconfirmed by %s', async (wire) => {
    await reset()
    const before = await state()
    for (const { sql } of WRITES) {
      expect(await WIRES[wire](tokenOf('read-write'), sql), sql).toBe('write_needs_confirmation')
    }
    for (const sql of [...DISGUISED, ...NEVER]) {
      expect(['sql_refused', 'write_needs_confirmation'], sql).toContain(
        await WIRES[wire](tokenOf('read-write'), sql),
      )
    }
    expect(await state()).toEqual(before)
  })

  it.each(WIRE_NAMES)('P3 admin writes, exactly what the statement says, by %s', async (wire) => {
    for (const { sql, after } of WRITES) {
      await reset()
      const before = await state()
      expect(await WIRES[wire](tokenOf('admin'), sql), sql).toBe('done')
      expect(await state(), sql).toEqual({ ...(before as object), ...after })
    }
  })

  it.each(CELLS)(
    'P3 nobody sends several statements, transactions or files: $level by $wire',
    async ({ level, wire }) => {
      await reset()
      const before = await state()
      for (const sql of NEVER) expect(await WIRES[wire](tokenOf(level), sql), sql).toBe('sql_refused')
      expect(await state()).toEqual(before)
    },
  )

  it.each(WIRE_NAMES)('P3 not even an admin does what the database role may not, by %s', async (wire) => {
    await reset()
    const before = await state()
    for (const sql of ['DROP TABLE parts', 'CREATE ROLE intruder', 'ALTER TABLE parts ADD COLUMN x int']) {
      expect(await WIRES[wire](tokenOf('admin'), sql), sql).toBe('sql_failed')
    }
    expect(await state()).toEqual(before)
  })

  it.each(LEVELS)(
    'P3 a tool that reads writes for nobody, whatever its arguments hold: %s',
    async (level) => {
      await reset()
      const before = await state()
      for (const [tool, args] of [
        ['count_rows', { table: 'parts', where: 'true); DELETE FROM parts; --' }],
        ['count_rows', { table: 'parts', where: 'sneaky() > 0' }],
        ['count_rows', { table: 'parts; DELETE FROM parts' }],
        ['execute_explain', { query: 'DELETE FROM parts', analyze: true }],
        ['execute_explain', { query: 'SELECT sneaky()', analyze: true }],
        ['schema_search', { query: `'; DELETE FROM parts; --` }],
        ['get_schema_info', { table_name: `parts"; DELETE FROM parts; --` }],
      ] as const) {
        await callTool(gateway.url, tokenOf(level), tool, args)
        await ask(`${gateway.url}/mcp/tools/${tool}`, tokenOf(level), { json: args })
        expect(await state(), `${tool} ${JSON.stringify(args)}`).toEqual(before)
      }
    },
  )
})

/** What administration there is: token management and the record. */
const ADMINISTRATION: readonly (readonly [method: string, path: string, json?: unknown])[] = [
  ['GET', '/api/v1/admin/tokens'],
  ['POST', '/api/v1/admin/tokens', { note: 'made', level: 'admin' }],
  ['POST', '/api/v1/admin/tokens/VICTIM/rotate', {}],
  ['DELETE', '/api/v1/admin/tokens/VICTIM'],
  ['GET', '/api/v1/admin/audit'],
  ['GET', '/api/v1/admin/audit/verify'],
]

const tokenList = async (): Promise<unknown> => {
  const { body } = await ask(`${gateway.url}/api/v1/admin/tokens`, gateway.admin)
  return (body as { tokens: { id: string; status: string }[] }).tokens.map(({ id, status }) => [id, status])
}

describe('P3 administering', () => {
  it.each(['read-only', 'read-write'] as const)('P3 %s administers nothing on REST', async (level) => {
    const victim = await gateway.issue({ note: 'victim' })
    const before = await tokenList()
    for (const [method, path, json] of ADMINISTRATION) {
      const answer = await ask(`${gateway.url}${path.replace('VICTIM', victim.id)}`, tokenOf(level), {
        method,
        ...(json === undefined ? {} : { json }),
      })
      expect(answer, path).toMatchObject({
        status: 403,
        body: { code: 'level_too_low', message: `level admin is needed, this credential has ${level}` },
      })
    }
    expect(await tokenList()).toEqual(before)
    expect((await ask(`${gateway.url}/mcp/tools`, victim.token)).status).toBe(200)
  })

  it('P3 admin administers on REST', async () => {
    const victim = await gateway.issue({ note: 'victim' })
    for (const [method, path, json] of ADMINISTRATION) {
      const answer = await ask(`${gateway.url}${path.replace('VICTIM', victim.id)}`, tokenOf('admin'), {
        method,
        ...(json === undefined ? {} : { json }),
      })
      // The token has been rotated by the time it is removed: the old one ended at once.
      expect([200, 201, 409], `${method} ${path}: ${JSON.stringify(answer.body)}`).toContain(answer.status)
    }
    expect((await ask(`${gateway.url}/mcp/tools`, victim.token)).status).toBe(401)
  })

  it.each(LEVELS)(
    'P3 %s sees on MCP and REST the same tools, none of them for administration',
    async (level) => {
      const { body } = await rpc(gateway.url, tokenOf(level), 'tools/list')
      const mcp = (body as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name)
      const rest = (await ask(`${gateway.url}/mcp/tools`, tokenOf(level))).body as {
        tools: { name: string; level: string }[]
      }
      expect(mcp).toEqual(rest.tools.map((tool) => tool.name))
      expect(mcp).toEqual([
        'count_rows',
        'execute_explain',
        'get_schema_info',
        'query_database',
        'schema_search',
      ])
      for (const name of ['token.add', 'token.list', 'token.remove', 'audit.search', 'sql']) {
        const called = await rpc(gateway.url, tokenOf(level), 'tools/call', { name, arguments: {} })
        expect(called.body).toMatchObject({ error: { data: { code: 'unknown_tool' } } })
      }
    },
  )

  it('P3 no SQL reaches what Postern keeps: its tokens are not in the database', async () => {
    for (const level of LEVELS) {
      for (const sql of ['SELECT * FROM tokens', 'SELECT * FROM audit_entries']) {
        expect(await WIRES['SQL /api/v1/query'](tokenOf(level), sql)).toBe('sql_failed')
      }
    }
  })
})
