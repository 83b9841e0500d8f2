import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ModelServer, openModelServer } from '../../support/openai.ts'
import { ask, rpc, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { call, configuration, observe, type Observer, openRoom, ROOT, type Room, served } from './room.ts'

const READER = 'the-read-only-token-of-the-tests'
const QUESTION = 'Show me all active users'

let shop: TestDatabase
let outside: Observer
let model: ModelServer
let room: Room
let gateway: Serving
let asking: Serving

beforeAll(async () => {
  ;[shop, model] = await Promise.all([
    testPostgres().then((postgres) => postgres.createDatabase(undefined, { sample: true })),
    openModelServer(),
  ])
  outside = await observe(shop)
  const auth = { tokens: { root: { value: ROOT, level: 'admin' }, reader: { value: READER } } }
  const databases = [served('shop', shop)]
  room = await openRoom({
    'postern.yaml': configuration({ auth, databases }),
    'with-model.yaml': configuration({
      auth,
      databases,
      model: { baseUrl: model.baseUrl, apiKey: 'the-key-of-the-model', model: 'small-model', timeout: '5s' },
    }),
  })
  ;[gateway, asking] = await Promise.all([
    room.serve('serve', '--data-dir', 'one'),
    room.serve('serve', '--data-dir', 'two', '--config', 'with-model.yaml'),
  ])
})

afterAll(async () => {
  await room?.close()
  await model?.close()
  await outside?.close()
  await shop?.drop()
})

const use = (tool: string, args: Readonly<Record<string, unknown>>, at = gateway, token = READER) =>
  call(at.url, token, tool, args)

interface Table {
  readonly schema: string
  readonly name: string
  readonly columns?: readonly { readonly name: string; readonly type?: string }[]
  readonly comment?: string
}

const names = (tables: unknown): readonly string[] => (tables as Table[]).map(({ name }) => name)

describe('G12 the tools are there', () => {
  it('G12 all five, with the arguments that users of the peers know', async () => {
    const { body } = await rpc(gateway.url, READER, 'tools/list')
    const tools = (body as { result: { tools: { name: string; inputSchema: { properties: object } }[] } })
      .result.tools
    const argumentsOf = Object.fromEntries(
      tools.map(({ name, inputSchema }) => [name, Object.keys(inputSchema.properties)]),
    )
    expect(argumentsOf).toMatchObject({
      query_database: expect.arrayContaining(['query', 'limit', 'offset']) as unknown,
      get_schema_info: expect.arrayContaining(['schema_name', 'table_name', 'compact']) as unknown,
      execute_explain: expect.arrayContaining(['query']) as unknown,
      count_rows: expect.arrayContaining(['table']) as unknown,
      schema_search: expect.arrayContaining(['query']) as unknown,
    })
  })

  it('G12 each also answers without MCP framing', async () => {
    const post = async (tool: string, json: unknown) => {
      const { status, body } = await ask(`${gateway.url}/mcp/tools/${tool}`, READER, { json })
      expect([tool, status]).toEqual([tool, 200])
      return body
    }
    expect(await post('query_database', { query: 'SELECT 1 AS one' })).toMatchObject({ rows: [[1]] })
    expect(await post('get_schema_info', { table_name: 'users' })).toMatchObject({ total: 1 })
    expect(await post('execute_explain', { query: 'SELECT 1' })).toMatchObject({ analyzed: false })
    expect(await post('count_rows', { table: 'tenants' })).toMatchObject({ count: 2 })
    expect(
      names(((await post('schema_search', { query: 'customer' })) as { matches: unknown }).matches),
    ).toContain('customers')
  })
})

describe('G12 query_database', () => {
  const ids = 'SELECT id FROM users ORDER BY id'
  const all = async () =>
    (await outside.query<{ id: number }>('SELECT id::int FROM users ORDER BY id')).map(({ id }) => id)
  const idsOf = (rows: readonly (readonly unknown[])[]) => rows.map(([id]) => Number(id))

  it('G12 limit answers that many rows, says that there are more and how to go on', async () => {
    const expected = await all()
    const first = await use('query_database', { query: ids, limit: 7 })
    expect(idsOf(first.rows)).toEqual(expected.slice(0, 7))
    expect(first.structured).toMatchObject({
      row_count: 7,
      truncated: true,
      truncated_by: 'rows',
      next_offset: 7,
    })
    expect(first.text).toMatch(/truncated at 7 rows.*offset=7/)

    const second = await use('query_database', { query: ids, limit: 7, offset: 7 })
    expect(idsOf(second.rows)).toEqual(expected.slice(7, 14))
  })

  it('G12 offset walks through everything, each row once, and says when there is no more', async () => {
    const expected = await all()
    const seen: number[] = []
    let offset: number | undefined = 0
    while (offset !== undefined) {
      const { rows, structured } = await use('query_database', { query: ids, limit: 50, offset })
      seen.push(...idsOf(rows))
      offset = structured['next_offset'] as number | undefined
    }
    expect(seen).toEqual(expected)
    expect((await use('query_database', { query: ids, offset: 100_000 })).structured).toMatchObject({
      rows: [],
      truncated: false,
    })
  })

  it('G12 no limit is above the cap of the server, and the answer says where it was cut', async () => {
    const { structured } = await use('query_database', {
      query: 'SELECT n FROM generate_series(1, 5000) n',
      limit: 100_000,
    })
    expect(structured).toMatchObject({ row_count: 1000, truncated: true, next_offset: 1000 })
  })

  it('G12 names columns and types, and binds values', async () => {
    const { structured, rows } = await use('query_database', {
      query: 'SELECT $1::int + 1 AS next, $2 AS word, NULL AS nothing',
      params: [41, "it's"],
    })
    expect(structured['columns']).toMatchObject([
      { name: 'next', type: 'int4' },
      { name: 'word', type: 'text' },
      { name: 'nothing', type: 'text' },
    ])
    expect(rows).toEqual([[42, "it's", null]])
  })

  it.each([
    [{}, 'argument "query" is missing'],
    [{ query: 'SELECT 1', limit: 0 }, 'limit'],
    [{ query: 'SELECT 1', limit: 'many' }, 'limit'],
    [{ query: 'SELECT 1', offset: -1 }, 'offset'],
    [{ query: 'SELECT 1', ofset: 1 }, 'did you mean "offset"'],
  ])('G12 arguments that do not fit are refused by name: %j', async (args, message) => {
    const refused = await use('query_database', args)
    expect(refused.code).toBe('invalid_arguments')
    expect(refused.message).toContain(message)
  })
})

describe('G12 get_schema_info', () => {
  it('G12 table_name describes one table with columns, keys and comments', async () => {
    const { structured, text } = await use('get_schema_info', { table_name: 'orders' })
    const [table] = structured['tables'] as Table[]
    expect(table).toMatchObject({
      schema: 'public',
      name: 'orders',
      comment: expect.stringContaining('Orders') as string,
    })
    const real = await outside.query<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position`,
    )
    expect(table?.columns?.map(({ name }) => name)).toEqual(real.map(({ name }) => name))
    expect(text).toMatch(/customer_id bigint not null -> customers\.id/)
  })

  it('G12 schema_name keeps to that schema; an unknown one is refused and those that exist are named', async () => {
    const real = await outside.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM information_schema.tables WHERE table_schema = 'public'`,
    )
    const { structured } = await use('get_schema_info', { schema_name: 'public', compact: true })
    expect(structured['total']).toBeGreaterThanOrEqual((real[0]?.n ?? 0) - 10)
    expect(new Set((structured['tables'] as Table[]).map(({ schema }) => schema))).toEqual(
      new Set(['public']),
    )
    expect(await use('get_schema_info', { schema_name: 'publc' })).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('public') as string,
    })
  })

  it('G12 compact says the same tables in far fewer words', async () => {
    const [full, compact] = await Promise.all([
      use('get_schema_info', { compact: false }),
      use('get_schema_info', { compact: true }),
    ])
    expect(names(compact.structured['tables'])).toEqual(names(full.structured['tables']))
    expect(compact.text.length).toBeLessThan(full.text.length / 2)
    expect(compact.text).toContain('customer_id')
    expect(compact.text).not.toContain('ISO 3166')
  })
})

describe('G12 execute_explain, count_rows, schema_search', () => {
  it('G12 execute_explain shows the plan without running the query; with analyze it runs it', async () => {
    const query = 'SELECT * FROM orders WHERE customer_id = 7'
    const plan = await use('execute_explain', { query })
    expect(plan.structured['plan']).toMatch(/orders[\s\S]*cost=/)
    expect(plan.structured['plan']).not.toMatch(/actual time/)
    expect((await use('execute_explain', { query, analyze: true })).structured['plan']).toMatch(/actual time/)
    const write = await use('execute_explain', { query: 'DELETE FROM orders', analyze: true }, gateway, ROOT)
    expect(write.code).not.toBeNull()
    expect(
      (await outside.query<{ n: number }>('SELECT count(*)::int AS n FROM orders'))[0]?.n,
    ).toBeGreaterThan(0)
  })

  it('G12 count_rows counts, by name, by schema and name, and with a condition', async () => {
    const [real] = await outside.query<{ all: number; active: number }>(
      'SELECT count(*)::int AS all, (count(*) FILTER (WHERE active))::int AS active FROM users',
    )
    for (const args of [
      { table: 'users' },
      { table_name: 'users', schema_name: 'public' },
      { table: 'public.users' },
    ])
      expect((await use('count_rows', args)).structured).toMatchObject({
        table: 'public.users',
        count: real?.all,
      })
    expect((await use('count_rows', { table: 'users', where: 'active' })).structured['count']).toBe(
      real?.active,
    )
    expect((await use('count_rows', { table: 'user' })).message).toContain('users')
    expect((await use('count_rows', { table: 'users', where: 'true) UNION SELECT (1' })).code).toBe(
      'invalid_arguments',
    )
  })

  it('G12 schema_search finds by name, part of a word, misspelling and comment', async () => {
    const found = async (query: string) =>
      names((await use('schema_search', { query })).structured['matches'])
    expect((await found('customer'))[0]).toBe('customers')
    expect(await found('deliver')).toContain('webhook_deliveries')
    expect(await found('custmers')).toContain('customers')
    expect(await found('stock on hand')).toContain('inventory')
  })
})

describe('G12 a question, with no language model', () => {
  it('G12 is answered with the part of the schema that it needs, and asks for SQL', async () => {
    const answer = await use('query_database', { query: QUESTION })
    expect(answer.code).toBeNull()
    expect(answer.structured).toMatchObject({ needs_sql: true, rows: [], row_count: 0 })
    const tables = names(answer.structured['schema'])
    expect(tables[0]).toBe('users')
    expect(tables).not.toContain('machines')
    expect(answer.text).toMatch(/SQL[\s\S]*active boolean/)

    // What it says is enough to do so.
    const rows = await use('query_database', { query: 'SELECT count(*)::int FROM users WHERE active' })
    expect(rows.code).toBeNull()
  })

  it('G12 SQL with a mistake is no question: its author hears of the mistake and where it is', async () => {
    for (const query of ['SELECT * FORM users', 'SELECT id FROM usres', 'update users set active = false'])
      expect(await use('query_database', { query })).toMatchObject({
        code: expect.stringMatching(/^(sql_|level)/) as string,
      })
  })
})

describe('G12 a question, with a language model', () => {
  it('G12 is answered with rows and the SQL that it ran', async () => {
    const sql = 'SELECT id, full_name FROM users WHERE active ORDER BY id'
    model.answers('```sql\n' + sql + ';\n```')
    const answer = await use('query_database', { query: QUESTION, limit: 3 }, asking)
    expect(answer.code).toBeNull()
    expect(String(answer.structured['sql'])).toContain(sql)
    expect(answer.text).toContain(`SQL: ${sql}`)
    const real = await outside.query<{ full_name: string }>(`${sql} LIMIT 3`)
    expect(answer.rows.map((row) => row[1])).toEqual(real.map(({ full_name }) => full_name))

    // What the model was asked: the question, the schema it needs, by the configured name and key.
    expect(model.requests).toHaveLength(1)
    expect(model.requests[0]).toMatchObject({
      model: 'small-model',
      authorization: 'Bearer the-key-of-the-model',
    })
    expect(model.requests[0]?.user).toMatch(/users \(table[\s\S]*Show me all active users/)
    expect(asking.stderr()).not.toContain('the-key-of-the-model')
  })

  it('G12 SQL is run as it is: the model is not asked', async () => {
    model.answers('SELECT 1')
    expect((await use('query_database', { query: 'SELECT 2 AS two' }, asking)).rows).toEqual([[2]])
    expect(model.requests).toEqual([])
  })

  it('G12 what the model wrote passes the gate like everything else, also for an admin', async () => {
    const before = await outside.query('SELECT count(*) FROM users')
    for (const token of [READER, ROOT]) {
      model.answers('DELETE FROM users')
      const answer = await use('query_database', { query: QUESTION }, asking, token)
      expect(answer.code).not.toBeNull()
      expect(answer.message).toContain('DELETE FROM users')
    }
    expect(await outside.query('SELECT count(*) FROM users')).toEqual(before)
  })

  it('G12 a first attempt that fails is told to the model, which may try once more', async () => {
    model.answers('SELECT fullname FROM users', 'SELECT count(*)::int FROM users')
    const answer = await use('query_database', { query: QUESTION }, asking)
    expect(answer.code).toBeNull()
    expect(answer.structured['sql']).toBe('SELECT count(*)::int FROM users')
    expect(model.requests[1]?.user).toMatch(/fullname/)
  })

  it('G12 a model that is away, or that does not know, is said so; SQL still works', async () => {
    model.answers((response) => response.writeHead(500).end('{"error":{"message":"overloaded"}}'))
    const away = await use('query_database', { query: QUESTION }, asking)
    expect(away.code).toBe('model_unavailable')
    expect((await use('query_database', { query: 'SELECT 1' }, asking)).code).toBeNull()
    model.answers('NO_SQL: there is nothing about the weather')
    const unknown = await use('query_database', { query: 'How is the weather today?' }, asking)
    expect(unknown.structured).toMatchObject({ needs_sql: true })
    expect(unknown.text).toContain('weather')
  })
})
