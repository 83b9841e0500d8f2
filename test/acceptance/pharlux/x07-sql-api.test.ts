import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { configuration, issue, observe, type Observer, openRoom, type Room, served } from '../pgedge/room.ts'

/** What refused statements are told, word for word. */
const READ_ONLY =
  'read-only users may only execute SELECT, EXPLAIN, SHOW, DESCRIBE, or WITH...SELECT statements'

let database: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving
let reader: string
let writer: string
let admin: string

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  outside = await observe(database)
  await outside.query('CREATE TABLE items (id int PRIMARY KEY, name text, secret text)')
  await outside.query(`INSERT INTO items VALUES (1, 'one', 'hidden-1'), (2, NULL, 'hidden-2')`)
  await outside.query('CREATE DOMAIN short AS varchar(5)')
  await outside.query(`CREATE TYPE mood AS ENUM ('good', 'bad')`)
  const { reader: readerRole, writer: writerRole } = await testPostgres()
  await outside.query(`GRANT SELECT ON items TO ${readerRole.user}, ${writerRole.user}`)
  await outside.query(`GRANT CREATE ON SCHEMA public TO ${writerRole.user}`)
  await outside.query(`GRANT INSERT, UPDATE, DELETE ON items TO ${writerRole.user}`)
  room = await openRoom({ 'postern.yaml': configuration({ databases: [served('shop', database)] }) })
  gateway = await room.serve()
  reader = (await issue(gateway, 'reader', { level: 'read-only' })).token
  writer = (await issue(gateway, 'writer', { level: 'read-write' })).token
  admin = (await issue(gateway, 'admin', { level: 'admin' })).token
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await database?.drop()
})

const query = (token: string, json: unknown) => ask(`${gateway.url}/api/v1/query`, token, { json })

/** The only value of the only row. */
async function value(sql: string, params?: readonly unknown[]): Promise<unknown> {
  const { status, body } = await query(reader, { sql, ...(params ? { params } : {}) })
  expect({ status, body }).toMatchObject({ status: 200 })
  return (body as { rows: unknown[][] }).rows[0]?.[0]
}

describe('X7 the answer', () => {
  it('X7 has columns, rows, row count, truncated flag and duration', async () => {
    const { status, headers, body } = await query(reader, {
      sql: 'SELECT id, name FROM items WHERE id >= $1 ORDER BY id',
      params: [1],
    })
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(body).toEqual({
      database: 'shop',
      columns: [
        { name: 'id', type: 'int4' },
        { name: 'name', type: 'text' },
      ],
      rows: [
        [1, 'one'],
        [2, null],
      ],
      row_count: 2,
      truncated: false,
      command: 'SELECT 2',
      duration_ms: expect.any(Number) as number,
    })
    expect((body as { duration_ms: number }).duration_ms).toBeGreaterThanOrEqual(0)
  })

  it('X7 is the same document without rows, without columns, and with types of the database itself', async () => {
    expect((await query(reader, { sql: 'SELECT id FROM items WHERE false' })).body).toMatchObject({
      columns: [{ name: 'id', type: 'int4' }],
      rows: [],
      row_count: 0,
    })
    expect((await query(reader, { sql: 'SELECT FROM items' })).body).toMatchObject({
      columns: [],
      rows: [[], []],
      row_count: 2,
    })
    expect((await query(reader, { sql: `SELECT 'good'::mood AS m` })).body).toMatchObject({
      columns: [{ name: 'm', type: 'mood' }],
      rows: [['good']],
    })
    const changed = await query(admin, { sql: `UPDATE items SET name = name` })
    expect(changed.body).toMatchObject({
      columns: [],
      rows: [],
      row_count: 0,
      affected: 2,
      command: 'UPDATE 2',
    })
  })

  it('X7 is bounded in rows and in bytes, and says by which', async () => {
    const rows = await query(reader, { sql: 'SELECT generate_series(1, 5000)' })
    expect(rows.body).toMatchObject({ row_count: 1_000, truncated: true, truncated_by: 'rows' })
    const bytes = await query(reader, { sql: `SELECT repeat('x', 1000000) FROM generate_series(1, 100)` })
    expect(bytes.body).toMatchObject({ row_count: 8, truncated: true, truncated_by: 'bytes' })
    const none = await query(reader, { sql: `SELECT repeat('x', 10000000)` })
    expect(none).toMatchObject({ status: 422, body: { code: 'result_too_large', rule: 'limit.bytes' } })
  })
})

describe('X7 bound values are typed by PostgreSQL', () => {
  it.each([
    ['numbers', 'SELECT $1::int8 + 1', [41], 42],
    ['numbers as text, every digit', 'SELECT $1::int8', ['9223372036854775807'], '9223372036854775807'],
    ['fractions', 'SELECT $1::numeric', [1.25], '1.25'],
    ['booleans', 'SELECT NOT $1', [false], true],
    ['null', 'SELECT $1::text IS NULL', [null], true],
    ['text that looks like SQL', 'SELECT $1::text', [`'; DROP TABLE items; --`], `'; DROP TABLE items; --`],
    ['dates', `SELECT $1::date + 1`, ['2026-02-28'], '2026-03-01'],
    ['moments', 'SELECT $1::timestamptz', ['2026-01-01 12:00+02'], '2026-01-01 10:00:00+00'],
    ['dates without end', 'SELECT $1::date', ['infinity'], 'infinity'],
    ['lists of dates', 'SELECT $1::date[]', [['2026-02-28', null]], ['2026-02-28', null]],
    ['numerics, every digit', 'SELECT $1::numeric', ['12345678901234567890.10'], '12345678901234567890.10'],
    ['bytes', 'SELECT $1::bytea', ['\\x00ff'], '\\x00ff'],
    [
      'UUIDs',
      'SELECT $1::uuid',
      ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    ],
    ['lists as arrays', 'SELECT cardinality($1::int4[])', [[1, 2, 3]], 3],
    [
      'lists of text, quotes and all',
      'SELECT $1::text[]',
      [['a"b', 'c\\d', 'NULL', '', null]],
      ['a"b', 'c\\d', 'NULL', '', null],
    ],
    [
      'lists of lists',
      'SELECT $1::int4[]',
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['lists in a condition', 'SELECT count(*) FROM items WHERE id = ANY ($1)', [[1, 2, 99]], 2],
    ['objects as JSON', 'SELECT $1::jsonb', [{ a: [1, { b: null }] }], { a: [1, { b: null }] }],
    ['JSON as text', 'SELECT $1::jsonb', ['[1, 2]'], [1, 2]],
    ['lists of objects', 'SELECT ($1::jsonb[])[2]', [[{ a: 1 }, { b: 2 }]], { b: 2 }],
    ['the type of the column', 'SELECT name FROM items WHERE id = $1', ['1'], 'one'],
  ])('X7 %s', async (_, sql, params, expected) => {
    expect(await value(sql, params)).toEqual(expected)
  })

  it.each([
    ['a number too few', 'SELECT $1::int4, $2::int4', [1], 422, 'sql_failed'],
    ['a number too many', 'SELECT $1::int4', [1, 2], 422, 'sql_failed'],
    ['a value of another type', 'SELECT $1::int4', ['abc'], 422, 'sql_failed'],
    ['a list for a number', 'SELECT $1::int4', [[1]], 422, 'sql_failed'],
    ['a rounded number', 'SELECT $1::int8', [2 ** 53], 400, 'invalid_request'],
    ['a NUL', 'SELECT $1::text', ['a\0b'], 400, 'invalid_request'],
    ['half a character', 'SELECT $1::text', ['\ud800'], 400, 'invalid_request'],
    ['a NUL inside a list', 'SELECT $1::text[]', [['a\0b']], 422, 'sql_failed'],
  ])('X7 %s is refused in words', async (_, sql, params, status, code) => {
    const answer = await query(reader, { sql, params })
    expect(answer).toMatchObject({ status, body: { code } })
    expect((answer.body as { message: string }).message.length).toBeGreaterThan(20)
  })
})

describe('X7 errors of PostgreSQL', () => {
  it.each([
    ['uuid', 'x', '22P02'],
    ['int4', 'abc', '22P02'],
    ['int2', 70_000, '22003'],
    ['date', '2026-13-01', '22008'],
    ['jsonb', '{', '22P02'],
    ['bytea', '\\xzz', '22023'],
    ['numeric(3,1)', '12345', '22003'],
  ])('X7 say what is wrong with a value for %s', async (type, bound, sqlstate) => {
    expect(await query(reader, { sql: `SELECT $1::${type}`, params: [bound] })).toMatchObject({
      status: 422,
      body: { error: 'unprocessable', code: 'sql_failed', sqlstate },
    })
  })

  it('X7 have SQLSTATE and position', async () => {
    expect(await query(reader, { sql: 'SELECT nothing FROM items' })).toMatchObject({
      status: 422,
      body: { code: 'sql_failed', sqlstate: '42703', position: 8 },
    })
    expect(await query(reader, { sql: 'SELECT 1 / 0' })).toMatchObject({
      status: 422,
      body: { code: 'sql_failed', sqlstate: '22012' },
    })
    expect(await query(reader, { sql: 'SELEC 1' })).toMatchObject({
      status: 400,
      body: { code: 'sql_syntax', rule: 'sql.syntax', position: 1 },
    })
  })

  it("X7 show neither DETAIL, which holds others' rows, nor anything of the server's source", async () => {
    const taken = await query(admin, { sql: `INSERT INTO items VALUES (1, 'x', 'y')` })
    expect(taken).toMatchObject({ status: 422, body: { sqlstate: '23505' } })
    const text = JSON.stringify(taken.body)
    expect(text).not.toContain('Key (id)')
    expect(text).not.toContain('already exists')
    await outside.query(`ALTER TABLE items ADD CONSTRAINT named CHECK (name <> 'forbidden')`)
    const failing = await query(admin, { sql: `UPDATE items SET name = 'forbidden'` })
    expect(failing).toMatchObject({ status: 422, body: { sqlstate: '23514' } })
    for (const { body } of [taken, failing]) {
      expect(JSON.stringify(body)).not.toMatch(/hidden-|Failing row|\.c\b|nbtinsert|execMain/)
      expect(Object.keys(body as object).toSorted()).toEqual(
        ['code', 'error', 'message', 'request_id', 'rule', 'sqlstate'].toSorted(),
      )
    }
  })
})

describe('X7 what statements say beside their rows', () => {
  it('X7 reaches nobody: neither notices, nor the detail and the context of an error', async () => {
    const sql = `DO $$ BEGIN
      RAISE NOTICE 'hidden-3' USING DETAIL = 'hidden-4';
      RAISE EXCEPTION 'it failed' USING DETAIL = 'hidden-5', TABLE = 'hidden-6', COLUMN = 'hidden-7';
    END $$`
    const { status, body } = await query(admin, { sql })
    expect({ status, body }).toMatchObject({
      status: 422,
      body: { sqlstate: 'P0001', message: 'it failed (SQLSTATE P0001)' },
    })
    expect(JSON.stringify(body)).not.toMatch(/hidden|PL\/pgSQL|inline_code_block/)
  })
})

describe('X7 who may do what', () => {
  const CHANGES = [
    ['INSERT', `INSERT INTO items VALUES (3, 'three', '')`, 'InsertStmt', 'sql.write'],
    ['UPDATE', `UPDATE items SET name = 'x'`, 'UpdateStmt', 'sql.write'],
    ['DELETE', 'DELETE FROM items', 'DeleteStmt', 'sql.write'],
    [
      'MERGE',
      'MERGE INTO items USING items i ON false WHEN NOT MATCHED THEN DO NOTHING',
      'MergeStmt',
      'sql.write',
    ],
    ['CREATE', 'CREATE TABLE made (id int)', 'CreateStmt', 'sql.write'],
    ['DROP', 'DROP TABLE items', 'DropStmt', 'sql.write'],
    ['ALTER', 'ALTER TABLE items ADD COLUMN c int', 'AlterTableStmt', 'sql.write'],
    ['TRUNCATE', 'TRUNCATE items', 'TruncateStmt', 'sql.write'],
    ['COPY', `COPY items TO '/tmp/x'`, 'CopyStmt', 'sql.copy'],
    ['GRANT', 'GRANT ALL ON items TO PUBLIC', 'GrantStmt', 'sql.write'],
    ['REVOKE', 'REVOKE ALL ON items FROM PUBLIC', 'GrantStmt', 'sql.write'],
    ['SET', 'SET ROLE postgres', 'VariableSetStmt', 'sql.session'],
    ['a hidden verb', '/* SELECT */ DELETE -- SELECT\nFROM items', 'DeleteStmt', 'sql.write'],
  ] as const

  it.each(CHANGES)(
    'X7 a reader is refused %s with the sentence, the kind and the rule',
    async (_, sql, node, rule) => {
      expect(await query(reader, { sql })).toMatchObject({
        status: 403,
        body: { error: 'forbidden', code: 'sql_refused', message: READ_ONLY, node, rule },
      })
    },
  )

  it.each([
    ['WITH … DELETE', 'WITH x AS (DELETE FROM items RETURNING *) SELECT 1'],
    ['WITH … INSERT', 'WITH x AS (SELECT 1) INSERT INTO items SELECT 9'],
    ['two statements', 'SELECT 1; DELETE FROM items'],
    ['EXPLAIN of a write', 'EXPLAIN ANALYZE DELETE FROM items'],
    ['SELECT INTO', 'SELECT * INTO copied FROM items'],
  ])('X7 a reader is refused %s', async (_, sql) => {
    const { status, body } = await query(reader, { sql })
    expect({ status, body }).toMatchObject({ status: 403, body: { code: 'sql_refused' } })
    expect((body as { rule: string }).rule).toMatch(/^sql\./)
  })

  it.each([
    ['SELECT', 'SELECT 1'],
    ['EXPLAIN', 'EXPLAIN SELECT 1'],
    ['SHOW', 'SHOW server_version'],
    ['WITH … SELECT', 'WITH x AS (SELECT 1) SELECT * FROM x'],
    ['verbs in a literal and a comment', `SELECT 'DELETE FROM items' /* DROP TABLE items */`],
  ])('X7 a reader may %s', async (_, sql) => {
    expect((await query(reader, { sql })).status).toBe(200)
  })

  it('X7 the change of a writer is refused: there is nobody yet who could confirm it', async () => {
    for (const [, sql] of CHANGES.filter(([, , , rule]) => rule === 'sql.write')) {
      const { status, body } = await query(writer, { sql })
      expect({ status, body }).toMatchObject({ status: 403, body: { code: 'write_needs_confirmation' } })
      expect((body as { message: string }).message).toContain('confirmation')
    }
    expect((await query(writer, { sql: 'SELECT 1' })).status).toBe(200)
    expect(await outside.query('SELECT id, name FROM items ORDER BY id')).toEqual([
      { id: 1, name: 'one' },
      { id: 2, name: null },
    ])
  })

  it('X7 an admin may change rows, and make what the role of the database may make', async () => {
    const added = await query(admin, {
      sql: 'INSERT INTO items VALUES ($1, $2) RETURNING id, name',
      params: [7, 'seven'],
    })
    expect(added.body).toMatchObject({ rows: [[7, 'seven']], affected: 1, command: 'INSERT 0 1' })
    expect((await query(admin, { sql: 'DELETE FROM items WHERE id = 7' })).body).toMatchObject({
      affected: 1,
    })
    for (const [sql, command] of [
      ['CREATE TABLE made (id int PRIMARY KEY)', 'CREATE TABLE'],
      ['ALTER TABLE made ADD COLUMN note text', 'ALTER TABLE'],
      [`INSERT INTO made VALUES (1, 'first')`, 'INSERT 0 1'],
      ['TRUNCATE made', 'TRUNCATE TABLE'],
      ['DROP TABLE made', 'DROP TABLE'],
    ]) {
      expect((await query(admin, { sql })).body).toMatchObject({ command, rows: [] })
    }
    const session = 'work'
    expect((await query(admin, { sql: 'SET search_path = pg_catalog', session })).status).toBe(200)
    expect((await query(admin, { sql: 'SHOW search_path', session })).body).toMatchObject({
      rows: [['pg_catalog']],
    })
    expect((await query(admin, { sql: 'SHOW search_path' })).body).not.toMatchObject({
      rows: [['pg_catalog']],
    })
  })
})

describe('X7 bad requests', () => {
  it.each([
    ['no field', {}, 'sql'],
    ['no sql', { params: [1] }, 'sql'],
    ['sql that is a number', { sql: 1 }, 'sql'],
    ['sql that is a list', { sql: ['SELECT 1'] }, 'sql'],
    ['sql that is null', { sql: null }, 'sql'],
    ['empty sql', { sql: '' }, 'sql'],
    ['params that are no list', { sql: 'SELECT 1', params: { a: 1 } }, 'params'],
    ['an unknown field', { sql: 'SELECT 1', parameters: [] }, 'parameters'],
    ['a misspelt field', { sql: 'SELECT 1', parms: [] }, 'params'],
    ['the name of something inside', { sql: 'SELECT 1', into: {} }, 'into'],
    ['a body that is a list', [], 'body'],
    ['a body that is text', 'SELECT 1', 'body'],
    ['SQL of 1 MB', { sql: `SELECT '${'x'.repeat(1_000_000)}'` }, 'sql'],
    ['a session with a bad name', { sql: 'SELECT 1', session: 'a b' }, 'session'],
  ])('X7 %s gets 400 and the name of what is wrong', async (_, json, named) => {
    const { status, body } = await query(reader, json)
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect((body as { message: string }).message).toContain(named)
    expect(JSON.stringify(body).length).toBeLessThan(1_000)
  })

  it('X7 a NUL in the SQL is refused before it reaches the parser', async () => {
    expect(await query(reader, { sql: 'SELECT 1\0; DROP TABLE items' })).toMatchObject({
      status: 403,
      body: { code: 'sql_refused' },
    })
  })

  it('X7 a value of 1 MB passes where a statement of 1 MB does not', async () => {
    expect(await value('SELECT length($1)', ['x'.repeat(1_000_000)])).toBe(1_000_000)
  })

  it('X7 an unknown database is 404, and a credential without the level learns nothing', async () => {
    expect((await query(reader, { sql: 'SELECT 1', database: 'none' })).status).toBe(404)
    expect((await query('nobody', { sql: 'SELECT 1' })).status).toBe(401)
  })
})
