import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'

const MB = 1024 * 1024

let database: TestDatabase
let harness: Harness
const ann = callerOf('ann')

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  harness = await openHarness([optionsOf(database.readerUrl, { statementTimeoutMs: 500 })])
})
afterAll(async () => {
  await harness?.databases.close()
  await database?.drop()
})

const NOTES = ['', '/* careful */ ']

describe('rows', () => {
  test.each(NOTES)('exactly the cap is not truncated, one more is (%j)', async (note) => {
    const fits = await harness.run(ann, `${note}SELECT generate_series(1, 10)`, { maxRows: 10 })
    expect(fits).toMatchObject({ ok: true, value: { truncated: false, command: 'SELECT 10' } })
    const cut = await harness.run(ann, `${note}SELECT generate_series(1, 11)`, { maxRows: 10 })
    expect(cut).toMatchObject({ ok: true, value: { truncated: true, truncatedBy: 'rows', command: '' } })
    expect(cut.ok && cut.value.rows.length).toBe(10)
  })

  test('an endless answer ends at the cap and the connection goes on', async () => {
    const [[pid] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    const endless = 'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r'
    expect(await harness.run(ann, endless)).toMatchObject({ ok: true, value: { truncatedBy: 'rows' } })
    expect(await harness.rows(ann, 'SELECT pg_backend_pid()')).toEqual([[pid]])
  })

  test('a call may ask for fewer rows than the limit, never for more', async () => {
    const result = await harness.run(ann, 'SELECT generate_series(1, 5000)', { maxRows: 4000 })
    expect(result.ok && result.value.rows.length).toBe(1000)
    expect(await harness.rows(ann, 'SELECT 1', { maxRows: 0 })).toEqual([])
  })
})

describe('bytes', () => {
  test.each(NOTES)('the row beyond the row cap does not count, however large (%j)', async (note) => {
    const [[pid] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    const large = `${note}SELECT repeat('x', 900000) FROM generate_series(1, 2)`
    const one = await harness.run(ann, large, { maxRows: 1 })
    expect(one).toMatchObject({ ok: true, value: { truncated: true, truncatedBy: 'rows' } })
    expect(one.ok && one.value.rows.length).toBe(1)
    const none = await harness.run(ann, `${note}SELECT repeat('x', 5000000)`, { maxRows: 0 })
    expect(none).toMatchObject({ ok: true, value: { rows: [], truncated: true, truncatedBy: 'rows' } })
    expect(await harness.rows(ann, 'SELECT pg_backend_pid()')).toEqual([[pid]])
  })

  test.each(NOTES)('rows that fit are answered, the rest is cut off (%j)', async (note) => {
    const result = await harness.run(ann, `${note}SELECT repeat('x', 300000) FROM generate_series(1, 100)`)
    expect(result).toMatchObject({ ok: true, value: { truncated: true, truncatedBy: 'bytes' } })
    expect(result.ok && result.value.rows.length).toBe(3)
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })

  test('one row of 300 MB is refused without being collected', { timeout: 120_000 }, async () => {
    const patient = await openHarness([optionsOf(database.readerUrl, { statementTimeoutMs: 100_000 })])
    await patient.rows(ann, 'SELECT 1')
    const before = process.memoryUsage()
    let most = before.rss
    const look = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 2)
    const refusal = await patient.refusal(ann, `SELECT repeat('x', 300000000)`)
    clearInterval(look)
    most = Math.max(most, process.memoryUsage().rss)
    expect(refusal).toMatchObject({ code: 'result_too_large', rule: 'limit.bytes' })
    expect(most - before.rss).toBeLessThan(40 * MB)
    expect(await patient.rows(ann, 'SELECT 1')).toEqual([[1]])
    await patient.databases.close()
  })

  test('an error message of megabytes does not come through', async () => {
    const refusal = await harness.refusal(ann, `SELECT repeat('x', 5000000)::int`)
    expect(refusal.code).toBe('result_too_large')
    const clipped = await harness.refusal(ann, `SELECT repeat('x', 50000)::int`)
    expect(clipped).toMatchObject({ code: 'sql_failed', sqlstate: '22P02' })
    expect(clipped.message.length).toBeLessThan(2_200)
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })
})

describe('time', () => {
  test.each(NOTES)('a statement is stopped at the limit, and its connection goes on (%j)', async (note) => {
    const refusal = await harness.refusal(ann, `${note}SELECT pg_sleep(30)`)
    expect(refusal).toMatchObject({ code: 'sql_timeout', rule: 'limit.time' })
    expect(refusal.message).toContain('0.5 s')
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })
})

describe('errors', () => {
  test('name SQLSTATE, place and hint, and nothing of the inside of the server', async () => {
    const refusal = await harness.refusal(ann, 'SELECT relnam FROM pg_class')
    expect(refusal).toMatchObject({
      code: 'sql_failed',
      rule: 'database.error',
      sqlstate: '42703',
      position: 8,
      hint: expect.stringContaining('relname') as string,
    })
    expect(refusal.message).toBe(
      'column "relnam" does not exist (SQLSTATE 42703, at character 8)'.replace(', at', ' at'),
    )
    expect(JSON.stringify(refusal)).not.toMatch(/parse_relation|\.c"/)
  })

  test('tell a missing permission from other errors', async () => {
    const client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query('CREATE TABLE secrets (a int); REVOKE ALL ON secrets FROM postern_reader')
    await client.end()
    expect(await harness.refusal(ann, 'SELECT * FROM secrets')).toMatchObject({
      code: 'sql_failed',
      rule: 'database.permission',
      sqlstate: '42501',
      message: expect.stringContaining('postern_reader') as string,
    })
  })

  test.each(NOTES)('leave the connection usable (%j)', async (note) => {
    const narrow = await openHarness([optionsOf(database.readerUrl, { maxConnectionsPerCredential: 1 })])
    const [[pid] = []] = await narrow.rows(ann, 'SELECT pg_backend_pid()')
    await narrow.refusal(ann, `${note}SELECT 1/0`)
    await narrow.refusal(ann, `${note}SELEC`)
    expect(await narrow.rows(ann, `${note}SELECT pg_backend_pid()`)).toEqual([[pid]])
    await narrow.databases.close()
  })

  test('an empty statement answers without columns', async () => {
    expect(await harness.run(ann, '-- nothing')).toMatchObject({ ok: true, value: { columns: [], rows: [] } })
  })
})

test('types of the database itself are called by their names', async () => {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(`CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN short AS varchar(5)`)
  await client.end()
  const result = await harness.run(
    ann,
    `SELECT 'good'::mood AS a, ARRAY['bad'::mood] AS b, 'x'::short AS c, 1::oid AS d`,
  )
  expect(result).toMatchObject({
    ok: true,
    value: {
      columns: [
        { name: 'a', type: 'mood' },
        { name: 'b', type: 'mood[]' },
        { name: 'c', type: 'varchar' },
        { name: 'd', type: 'oid' },
      ],
      rows: [['good', '{bad}', 'x', 1]],
    },
  })
})
