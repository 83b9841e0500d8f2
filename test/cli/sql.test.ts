import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testPostgres, type TestDatabase } from '../support/postgres.ts'
import { postern, scratch } from './postern.ts'

const { dir, remove } = scratch()
let database: TestDatabase
let config: string

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(`CREATE FUNCTION harmless(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'`)
  await client.query(`CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'DELETE FROM orders; SELECT 1'`)
  await client.end()
  config = join(dir, 'postern.yaml')
  const yaml = (name: string, url: string): string => `  - name: ${name}\n    url: "${url}"\n`
  writeFileSync(
    config,
    `dataDir: ${join(dir, 'data')}\ndatabases:\n${yaml('main', database.readerUrl)}${yaml('away', 'postgres://reader:x@127.0.0.1:1/none')}`,
    { mode: 0o600 },
  )
})
afterAll(async () => {
  remove()
  await database.drop()
})

const check = async (args: readonly string[], input?: string) => {
  const { code, stdout, stderr } = await postern(['sql', 'check', ...args, '--json'], {
    cwd: dir,
    ...(input === undefined ? {} : { input }),
  })
  return { code, stderr, document: JSON.parse(stdout) as Record<string, unknown> }
}

describe('postern sql check', () => {
  it('C3 names the rule and the node that refused, and what would be allowed', async () => {
    expect(await check(['WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d'])).toMatchObject({
      code: 1,
      document: { allowed: false, rule: 'sql.write', node: 'DeleteStmt', database: 'main' },
    })
    const { stdout } = await postern(['sql', 'check', 'DROP TABLE orders'], { cwd: dir })
    expect(stdout).toMatch(/^Refused: [\s\S]*Rule: +sql\.write\n +Node: +DropStmt\n +Allowed: +SELECT/)
  })

  it('judges the functions of the configured database', async () => {
    expect(await check(['SELECT harmless(1)'])).toMatchObject({ code: 0, document: { allowed: true } })
    expect(await check(['SELECT writes()'])).toMatchObject({ code: 1, document: { rule: 'sql.function' } })
    expect((await check(['TABLE orders'])).document['relations']).toEqual([
      expect.stringMatching(/^\w+\.orders$/) as string,
    ])
  })

  it('works without any database', async () => {
    const { code, stdout } = await postern(['sql', 'check', 'SELECT count(*) FROM orders', '--json'], {
      cwd: join(dir, '..'),
    })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      allowed: true,
      statement: 'SelectStmt',
      access: 'read',
      explain: false,
      relations: ['orders'],
      database: null,
    })
  })

  it('reads a statement from standard input', async () => {
    expect(await check(['-'], 'SELECT 1 -- with a comment\n;')).toMatchObject({ code: 0 })
    expect(await check(['-'], '')).toMatchObject({ code: 1, document: { rule: 'sql.empty' } })
  })

  it('says which databases there are, and when one does not answer', async () => {
    expect(await check(['SELECT 1', '--database', 'mian'])).toMatchObject({
      code: 1,
      document: { error: 'failed', code: 'unknown_database', candidates: ['main', 'away'] },
    })
    const { code, document } = await check(['SELECT 1', '--database', 'away'])
    expect([code, document['code']]).toEqual([1, 'database_unavailable'])
  })

  it('needs its statement', async () => {
    expect(await check([])).toMatchObject({ code: 2, document: { error: 'usage', code: 'wrong_arguments' } })
  })
})

describe('postern selftest', () => {
  it('G14 passes on a database behind a reading role, and reports what it did', async () => {
    const { code, stdout } = await postern(['selftest', '--timeout', '300ms', '--json'], { cwd: dir })
    const report = JSON.parse(stdout) as { statements: number }
    expect(report).toMatchObject({ passed: true, database: 'main', changed: [], failed: [] })
    expect(report.statements).toBeGreaterThan(100)
    expect(code).toBe(0)
  })

  it('says so when there is no database to try', async () => {
    const { code, stdout } = await postern(['selftest', '--json'], { cwd: join(dir, '..') })
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ error: 'failed', code: 'unknown_database', candidates: [] })
  })
})
