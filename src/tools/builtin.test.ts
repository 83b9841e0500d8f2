import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type BuiltinHarness, openBuiltin } from '../../test/support/builtin.ts'
import { callerOf } from '../../test/support/databases.ts'

let postern: BuiltinHarness

beforeAll(async () => {
  postern = await openBuiltin()
})
afterAll(() => postern.close())

/** Checks a structured result against the tool's own output schema, as a client would. */
async function checked(tool: string, args: unknown): Promise<Record<string, unknown>> {
  const { structured } = await postern.done(tool, args)
  const schema = postern.tools.find(({ rule }) => rule.name === tool)?.outputSchema
  z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).parse(structured)
  // It goes over a wire as JSON.
  expect(JSON.parse(JSON.stringify(structured))).toEqual(structured)
  return structured
}

const refusalOf = async (tool: string, args: unknown): Promise<unknown> => {
  const result = await postern.call(tool, args)
  if (result.outcome !== 'refused') throw new Error(`not refused: ${JSON.stringify(result.structured)}`)
  return result.refusal
}

const problem = (tool: string, args: unknown): string | undefined => {
  const parsed = postern.tools.find(({ rule }) => rule.name === tool)?.parse(args)
  return parsed === undefined || parsed.ok ? undefined : parsed.error
}

describe('G12 the built-in tools', () => {
  test('are five, for readers, with schemas of objects and hints', () => {
    expect(postern.tools.map(({ rule }) => [rule.name, rule.level, rule.server])).toEqual([
      ['query_database', 'read-only', 'postern'],
      ['get_schema_info', 'read-only', 'postern'],
      ['execute_explain', 'read-only', 'postern'],
      ['count_rows', 'read-only', 'postern'],
      ['schema_search', 'read-only', 'postern'],
    ])
    for (const tool of postern.tools) {
      expect(tool.inputSchema).toMatchObject({ type: 'object', additionalProperties: false })
      expect(tool.outputSchema).toMatchObject({ type: 'object' })
      expect(tool.annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false })
      expect(tool.description.length).toBeLessThan(350)
      expect(Object.keys((tool.inputSchema as { properties: object }).properties)).toContain('database')
    }
  })

  test.each([
    ['query_database', { qurey: 'SELECT 1' }, /^unknown argument "qurey": did you mean "query"\?$/],
    [
      'query_database',
      { query: 'SELECT 1', ofset: 3 },
      /^unknown argument "ofset": did you mean "offset"\?$/,
    ],
    [
      'query_database',
      { query: 'SELECT 1', zzzzzzzz: 3 },
      /^unknown argument "zzzzzzzz": the arguments are query, /,
    ],
    ['query_database', {}, /^argument "query" is missing$/],
    ['query_database', undefined, /^argument "query" is missing$/],
    ['query_database', { query: 7 }, /^argument "query": /],
    ['query_database', { query: 'SELECT 1', limit: 0 }, /^argument "limit": /],
    ['query_database', { query: 'SELECT 1', offset: -1 }, /^argument "offset": /],
    ['query_database', { query: 'SELECT 1', offset: 1.5 }, /^argument "offset": /],
    ['query_database', { query: 'SELECT 1', params: [{ a: 1 }] }, /^argument "params.0": /],
    ['query_database', { query: 'SELECT 1', session: 'a b' }, /^argument "session": use up to 64 letters/],
    ['query_database', { query: 'x'.repeat(100_001) }, /^argument "query": /],
    ['query_database', [], /must be a JSON object/],
    ['query_database', 'SELECT 1', /must be a JSON object/],
    ['count_rows', {}, /give the table to count, as "table" or "table_name"/],
    ['count_rows', { table: 'orders', table_name: 'orders' }, /give the table to count/],
    ['get_schema_info', { table: 'orders' }, /did you mean "table_name"\?|the arguments are/],
    ['schema_search', { query: '' }, /^argument "query": /],
  ])('%s refuses %j, naming the argument', (tool, args, message) => {
    expect(problem(tool, args)).toMatch(message)
  })

  test('never repeat a long name of an argument in full', () => {
    expect(problem('query_database', { query: 'SELECT 1', ['x'.repeat(100_000)]: 1 })?.length).toBeLessThan(
      300,
    )
  })
})

describe('query_database', () => {
  test('lets an admin write, says how many rows, and does not pass for read-only then', async () => {
    const tool = postern.tools.find(({ rule }) => rule.name === 'query_database')
    expect(tool?.annotationsFor?.('admin')).toMatchObject({ readOnlyHint: false, destructiveHint: true })
    expect(tool?.annotationsFor?.('read-write')).toMatchObject({ readOnlyHint: true })
    const query = `UPDATE users SET active = active WHERE id <= 3`
    expect(
      await postern.call('query_database', { query }, { caller: callerOf('root', 'admin') }),
    ).toMatchObject({
      outcome: 'done',
      content: [{ text: '(UPDATE 3)' }],
      structured: { affected: 3, columns: [], rows: [] },
    })
    expect(
      await postern.call('query_database', { query }, { caller: callerOf('rw', 'read-write') }),
    ).toMatchObject({
      outcome: 'refused',
    })
    for (const other of postern.tools.filter(({ rule }) => rule.name !== 'query_database')) {
      expect(Object.keys(other)).not.toContain('annotationsFor')
    }
  })

  test('answers rows as structure and as few words', async () => {
    const { text } = await postern.done('query_database', {
      query: `SELECT id, name, NULL AS nothing, E'a\\tb\\nc' AS odd FROM customers ORDER BY id LIMIT 2`,
    })
    expect(text).toBe(
      'id\tname\tnothing\todd\n1\tBlue Marine 1\tNULL\ta\\tb\\nc\n2\tStone Yard 2\tNULL\ta\\tb\\nc\n(2 rows)',
    )
    expect(await checked('query_database', { query: 'SELECT 1 AS one, ARRAY[1,2] AS list' })).toMatchObject({
      database: 'main',
      columns: [
        { name: 'one', type: 'int4' },
        { name: 'list', type: 'int4[]' },
      ],
      rows: [[1, [1, 2]]],
      row_count: 1,
      truncated: false,
    })
  })

  test('takes parameters, and rows of no columns and no rows', async () => {
    expect(
      (await checked('query_database', { query: 'SELECT $1::int + 1 AS n, $2 AS t', params: [41, null] }))[
        'rows'
      ],
    ).toEqual([[42, null]])
    expect(await checked('query_database', { query: 'SELECT 1 AS a WHERE false' })).toMatchObject({
      columns: [{ name: 'a' }],
      rows: [],
      truncated: false,
    })
  })

  test.each([
    ['SELECT id FROM orders ORDER BY id DESC', 12_000],
    ['SELECT id FROM orders ORDER BY id DESC;', 12_000],
    ['SELECT id FROM orders ORDER BY id DESC -- newest first', 12_000],
    ['TABLE machines ORDER BY id', 24],
    ['VALUES (3), (1), (2) ORDER BY 1', 3],
    ['WITH o AS (SELECT id FROM orders) SELECT id FROM o ORDER BY id', 12_000],
    ['SELECT id FROM orders UNION ALL SELECT id FROM machines ORDER BY id DESC', 12_024],
    ['(SELECT id FROM orders ORDER BY id DESC)', 12_000],
    ['SELECT id, id FROM orders ORDER BY id DESC LIMIT 10 OFFSET 2', 10],
    ["SELECT id, 'Grüße – ☃' AS t FROM orders ORDER BY id FETCH FIRST 7 ROWS ONLY;  ", 7],
    ['EXPLAIN (COSTS off) SELECT * FROM orders JOIN customers ON customers.id = customer_id', 15],
  ])('pages through %s in its own order without losing a row', async (query, total) => {
    const whole = (await postern.done('query_database', { query, limit: 1_000 })).structured[
      'rows'
    ] as unknown[]
    const first = await checked('query_database', { query, limit: 2 })
    expect(first).toMatchObject({ row_count: 2, truncated: true, truncated_by: 'rows', next_offset: 2 })
    const second = await checked('query_database', { query, limit: 3, offset: 2 })
    expect([...(first['rows'] as unknown[]), ...(second['rows'] as unknown[])]).toEqual(whole.slice(0, 5))
    const last = await checked('query_database', { query, limit: 50, offset: total - 1 })
    expect(last).toMatchObject({
      row_count: total > 7 || query.startsWith('V') ? 1 : (last['row_count'] as number),
      truncated: false,
    })
    expect(await checked('query_database', { query, offset: total })).toMatchObject({ row_count: 0 })
  })

  test('says how to go on, and to order when nothing does', async () => {
    expect((await postern.done('query_database', { query: 'SELECT id FROM orders', limit: 2 })).text).toMatch(
      /… truncated at 2 rows; ask again with offset=2, and add ORDER BY so that no row is missed$/,
    )
    expect(
      (
        await postern.done('query_database', {
          query: 'SELECT id FROM orders ORDER BY id',
          limit: 2,
          offset: 4,
        })
      ).text,
    ).toMatch(/ask again with offset=6$/)
    expect(await checked('query_database', { query: 'SELECT id FROM orders', limit: 5_000 })).toMatchObject({
      row_count: 1_000,
      truncated: true,
      next_offset: 1_000,
    })
    expect(await checked('query_database', { query: 'VALUES (1), (2), (3)', limit: 3 })).toMatchObject({
      truncated: false,
    })
  })

  test('cuts by bytes, too', async () => {
    const cut = await checked('query_database', { query: `SELECT repeat('x', 10000) FROM orders` })
    expect(cut).toMatchObject({ truncated: true, truncated_by: 'bytes' })
    expect(
      (await postern.done('query_database', { query: `SELECT repeat('x', 10000) AS t` })).text,
    ).toContain('… [9500 more characters]')
  })

  test('refuses what is not a read, also with an offset and whoever asks', async () => {
    for (const query of [
      'DELETE FROM orders',
      'SELECT 1; DELETE FROM orders',
      'SELECT nextval($$orders_id_seq$$)',
      'WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d',
    ]) {
      expect(await refusalOf('query_database', { query })).toMatchObject({ code: 'sql_refused' })
      expect(await refusalOf('query_database', { query, offset: 1 })).toMatchObject({ code: 'sql_refused' })
    }
    expect(await checked('query_database', { query: 'SELECT count(*) FROM orders' })).toMatchObject({
      rows: [[12_000]],
    })
  })

  test('a second statement cannot hide from the page', async () => {
    for (const query of [
      'SELECT 1) AS page; DELETE FROM orders; SELECT * FROM (SELECT 1',
      'SELECT 1) ; DELETE FROM orders --',
      'SELECT 1 /*',
    ]) {
      expect(await refusalOf('query_database', { query, offset: 1 })).toMatchObject({
        code: expect.stringMatching(/^sql_(refused|syntax)$/) as string,
      })
    }
  })

  test('reports a mistake in SQL as one, with its place in the caller’s own text', async () => {
    expect(await refusalOf('query_database', { query: 'SELECT nonsense FROM orders' })).toMatchObject({
      code: 'sql_failed',
      position: 8,
    })
    expect(
      await refusalOf('query_database', { query: 'SELECT nonsense FROM orders', offset: 3 }),
    ).toMatchObject({
      code: 'sql_failed',
      position: 8,
    })
    expect(await refusalOf('query_database', { query: 'SELECT * FORM orders' })).toMatchObject({
      code: 'sql_syntax',
    })
  })

  test('keeps to the databases the caller may use', async () => {
    const caller = callerOf('bob')
    const narrowed = { ...caller, grant: { ...caller.grant, databases: ['other'] } }
    expect(await postern.call('query_database', { query: 'SELECT 1' }, { caller: narrowed })).toMatchObject({
      outcome: 'refused',
    })
  })

  test.each([
    'Show me all active users',
    'How many orders were late last month?',
    'show customers',
    'users?',
  ])(
    'answers "%s" with the schema it needs, and asks for SQL, when no model is configured',
    async (query) => {
      const structured = await checked('query_database', { query })
      expect(structured).toMatchObject({ needs_sql: true, rows: [], row_count: 0 })
      const tables = (structured['schema'] as { name: string }[]).map(({ name }) => name)
      const wanted = /user/.test(query) ? 'users' : /customer/.test(query) ? 'customers' : 'orders'
      expect(tables.slice(0, 2)).toContain(wanted)
      expect((await postern.done('query_database', { query })).text).toMatch(
        /No language model is configured/,
      )
    },
  )

  test('runs SHOW of a setting as what it is', async () => {
    expect(await checked('query_database', { query: 'SHOW server_version' })).toMatchObject({
      rows: [['18.4']],
    })
    expect(await refusalOf('query_database', { query: 'SHOW no_such_setting' })).toMatchObject({
      code: 'sql_failed',
    })
  })
})

describe('count_rows', () => {
  test('counts all rows or those of a condition', async () => {
    expect(await checked('count_rows', { table: 'orders' })).toMatchObject({
      table: 'public.orders',
      count: 12_000,
    })
    expect(await checked('count_rows', { table_name: 'orders', schema_name: 'public' })).toMatchObject({
      count: 12_000,
    })
    expect(await checked('count_rows', { table: 'public.orders', where: `status = 'draft'` })).toMatchObject({
      count: 270,
    })
    expect(
      await checked('count_rows', { table: 'orders', where: `status = 'draft' -- only these` }),
    ).toMatchObject({ count: 270 })
    expect(
      await checked('count_rows', { table: 'order_totals', where: 'total > 1000 OR lines IN (SELECT 4)' }),
    ).toMatchObject({
      table: 'public.order_totals',
    })
  })

  test.each([
    'true) UNION SELECT 1 WHERE (true',
    'true) UNION ALL SELECT count(*) FROM users WHERE (true',
    'true) GROUP BY id HAVING (true',
    'true) LIMIT (0',
    'true) OFFSET (1',
    'true) FOR UPDATE --',
    'true) ORDER BY (1',
    'true); DELETE FROM orders WHERE (true',
    'true); SELECT (1',
    'true) WINDOW w AS (PARTITION BY id',
    'WHERE true',
    'true',
  ])('where: %s cannot make it another statement', async (where) => {
    if (where === 'true') {
      expect(await checked('count_rows', { table: 'orders', where })).toMatchObject({ count: 12_000 })
      return
    }
    expect(await refusalOf('count_rows', { table: 'orders', where })).toMatchObject({
      code: expect.stringMatching(/^(invalid_arguments|sql_syntax)$/) as string,
    })
  })

  test('judges the condition by the gate', async () => {
    for (const where of [
      `nextval('orders_id_seq') > 0`,
      `pg_sleep(1) IS NOT NULL AND pg_read_file('x') = ''`,
    ]) {
      expect(await refusalOf('count_rows', { table: 'orders', where })).toMatchObject({ code: 'sql_refused' })
    }
  })

  test('offers the table that was meant, and takes odd names as names', async () => {
    expect(await refusalOf('count_rows', { table: 'ordres' })).toMatchObject({
      code: 'not_found',
      candidates: expect.arrayContaining(['orders']) as string[],
    })
    for (const table of [
      'orders; DELETE FROM orders',
      'orders WHERE true',
      '"orders"',
      'pg_authid',
      '',
      'a.b.c',
    ]) {
      if (table === '') expect(problem('count_rows', { table })).toMatch(/argument "table"/)
      else expect(await refusalOf('count_rows', { table })).toMatchObject({ code: 'not_found' })
    }
    const owner = new Client({ connectionString: postern.database.url })
    await owner.connect()
    await owner.query(
      'CREATE TABLE "odd ""name; --" AS SELECT 1 AS a; GRANT SELECT ON "odd ""name; --" TO postern_reader',
    )
    await owner.end()
    expect(await checked('count_rows', { table: 'odd "name; --' })).toMatchObject({ count: 1 })
  })
})

describe('execute_explain', () => {
  test('shows the plan, estimated or measured', async () => {
    const plain = await checked('execute_explain', { query: 'SELECT * FROM orders WHERE id = 7' })
    expect(plain['plan']).toMatch(/Index Scan using orders_pkey/)
    expect(plain).toMatchObject({ analyzed: false, truncated: false })
    const measured = await checked('execute_explain', {
      query: 'SELECT count(*) FROM orders;',
      analyze: true,
    })
    expect(measured['plan']).toMatch(/actual time/)
    expect(
      await checked('execute_explain', { query: 'SELECT * FROM orders WHERE id = $1', params: [7] }),
    ).toMatchObject({ analyzed: false })
    expect((await checked('execute_explain', { query: 'EXPLAIN (FORMAT json) SELECT 1' }))['plan']).toMatch(
      /"Plan"/,
    )
  })

  test('leaves an EXPLAIN of the caller as it is, and says truly whether it ran', async () => {
    for (const [query, analyzed] of [
      ['EXPLAIN SELECT 1', false],
      ['-- how?\nEXPLAIN SELECT 1', false],
      ['/* how? */ EXPLAIN ANALYZE SELECT 1', true],
    ] as const) {
      const answer = await checked('execute_explain', { query })
      expect(answer).toMatchObject({ analyzed })
      expect(/actual time/.test(String(answer['plan']))).toBe(analyzed)
    }
  })

  test('refuses to plan or run a write, also for an admin', async () => {
    for (const query of [
      'DELETE FROM orders',
      'SELECT 1; DELETE FROM orders',
      'EXPLAIN ANALYZE DELETE FROM orders',
    ]) {
      for (const analyze of [false, true]) {
        const result = await postern.call(
          'execute_explain',
          { query, analyze },
          { caller: callerOf('root', 'admin') },
        )
        expect(result).toMatchObject({ outcome: 'refused', refusal: { code: 'sql_refused' } })
      }
    }
    expect(await refusalOf('execute_explain', { query: '(ANALYZE) SELECT 1' })).toMatchObject({
      code: 'sql_syntax',
    })
    expect(await checked('count_rows', { table: 'orders' })).toMatchObject({ count: 12_000 })
  })
})

describe('get_schema_info', () => {
  test('describes all, one schema, or one table', async () => {
    const all = await checked('get_schema_info', {})
    expect(all).toMatchObject({ compact: false, truncated: false })
    const one = await checked('get_schema_info', { table_name: 'orders' })
    expect(one).toMatchObject({
      tables: [
        {
          name: 'orders',
          estimated_rows: 12_000,
          primary_key: ['id'],
          foreign_keys: expect.arrayContaining([
            {
              columns: ['customer_id'],
              references: { schema: 'public', table: 'customers', columns: ['id'] },
            },
          ]) as unknown,
        },
      ],
      total: 1,
    })
    expect((await postern.done('get_schema_info', { table_name: 'orders' })).text).toContain(
      'customer_id bigint not null -> customers.id',
    )
    // The sample is protected, and here it is served as if it were not: Postern's own schema is one of its schemas.
    const own = await checked('get_schema_info', { schema_name: 'postern' })
    expect(await checked('get_schema_info', { schema_name: 'public' })).toMatchObject({
      total: Number(all['total']) - Number(own['total']),
    })
  })

  test('is short when asked to be', async () => {
    const long = (await postern.done('get_schema_info', {})).text
    const short = (await postern.done('get_schema_info', { compact: true })).text
    expect(short.length * 3).toBeLessThan(long.length)
    expect(short).toContain('machines(id, tenant_id -> tenants.id, name, kind, state, installed_on)')
  })

  test('names what there is when asked for what there is not', async () => {
    expect(await refusalOf('get_schema_info', { table_name: 'custmers' })).toMatchObject({
      code: 'not_found',
      candidates: expect.arrayContaining(['customers']) as string[],
    })
    expect(await refusalOf('get_schema_info', { schema_name: 'nope' })).toMatchObject({
      candidates: ['postern', 'public'],
    })
  })
})

describe('P2 schema_search', () => {
  test('answers matches with reasons and all that SQL needs', async () => {
    const { matches } = (await checked('schema_search', { query: 'customer' })) as {
      matches: { name: string; reasons: string[]; referenced_by: unknown }[]
    }
    expect(matches[0]).toMatchObject({
      name: 'customers',
      reasons: expect.arrayContaining(['name: customers']) as string[],
      referenced_by: [{ schema: 'public', table: 'orders', columns: ['customer_id'], to: ['id'] }],
    })
    expect((await postern.done('schema_search', { query: 'customer', limit: 1 })).text).toMatch(
      /^customers \(table, about 2000 rows\) -- Companies and people who buy from us\n {2}id bigint primary key identity\n/,
    )
  })

  test('says so when nothing matches', async () => {
    expect((await postern.done('schema_search', { query: 'qqqxyzzy' })).text).toMatch(
      /Nothing in main matches/,
    )
  })
})
