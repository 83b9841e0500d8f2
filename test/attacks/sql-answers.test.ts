import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerOf, type Harness, openHarness, optionsOf } from '../support/databases.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

let database: TestDatabase
let harness: Harness
const reader = callerOf('reader')

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  harness = await openHarness([optionsOf(database.readerUrl)])
})
afterAll(async () => {
  await harness?.databases.close()
  await database?.drop()
})

test.each<[string, string, readonly unknown[]]>([
  ['too many values', 'SELECT 1', [1]],
  ['values for none', '/* careful */ SELECT 1', [1, 2]],
  ['too few values', 'SELECT $1::int', []],
  ['the most values there can be', 'SELECT 1', Array(65_535).fill(1)],
])(
  'a caller who gives %s is told so, not that the database is away: no retry would help',
  async (_, sql, params) => {
    expect(await harness.run(reader, sql, { params })).toMatchObject({
      ok: false,
      error: { code: 'sql_failed', rule: 'database.error', sqlstate: '08P01' },
    })
    expect(harness.databases.status()[0]).toMatchObject({ state: 'up' })
    expect(await harness.rows(reader, 'SELECT 1')).toEqual([[1]])
  },
)

describe('json that would overflow the stack of whoever writes or reads the answer', () => {
  const nested = (levels: number, type: string): string =>
    `SELECT (repeat('[', ${levels}) || repeat(']', ${levels}))::${type}`

  test.each(['json', 'jsonb'])('comes as text where %s nests deeply', async (type) => {
    const value = `${'['.repeat(6_000)}${']'.repeat(6_000)}`
    const rows = await harness.rows(reader, nested(6_000, type))
    expect(rows).toEqual([[value]])
    expect(JSON.parse(JSON.stringify(rows))).toEqual([[value]])
    expect(await harness.rows(reader, `SELECT ARRAY[(${nested(6_000, type)})]`)).toEqual([[[value]]])
  })

  test('with objects, and long numbers that are looked at one by one', async () => {
    const rows = await harness.rows(
      reader,
      `SELECT (repeat('{"a":', 3000) || '12345678901234567890' || repeat('}', 3000))::json`,
    )
    expect(typeof rows[0]?.[0]).toBe('string')
  })

  test('but not for brackets in its texts', async () => {
    const rows = await harness.rows(
      reader,
      String.raw`SELECT json_build_array(repeat('[', 2000), repeat('\"[{', 2000), 1)`,
    )
    expect(rows).toEqual([[['['.repeat(2_000), String.raw`\"[{`.repeat(2_000), 1]]])
    expect(await harness.rows(reader, nested(500, 'json'))).toEqual([
      [JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`)],
    ])
  })
})
