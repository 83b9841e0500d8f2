import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'
import { Secret } from '../lib/secret.ts'
import { loadGate } from './gate/judge.ts'

/** All three walls together: the real gate in front of real connections. */
let database: TestDatabase
let superuser: Client
let harness: Harness
const clock = manualClock()
const ann = callerOf('ann')
const editor = callerOf('editor', 'read-write')
const root = callerOf('root', 'admin')

beforeAll(async () => {
  const postgres = await testPostgres()
  database = await postgres.createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(`
    CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 20) g;
    GRANT CREATE ON SCHEMA public TO postern_writer;
    GRANT TEMPORARY ON DATABASE ${database.name} TO postern_writer;
  `)
  const { user, password } = postgres.writer
  harness = await openHarness(
    [optionsOf(database.readerUrl, { writer: { user, password: new Secret(password) } })],
    { gate: await loadGate(), clock },
  )
})
afterAll(async () => {
  await harness?.databases.close()
  await superuser?.end()
  await database?.drop()
})

describe('G14 three walls', () => {
  test('G14 reads run, writes are refused by level', async () => {
    expect(await harness.rows(ann, 'SELECT count(*) FROM orders')).toEqual([[20]])
    expect(await harness.refusal(ann, 'DELETE FROM orders')).toMatchObject({ code: 'sql_refused' })
    expect(await harness.refusal(editor, 'DELETE FROM orders')).toMatchObject({
      code: 'write_needs_confirmation',
    })
    expect(await harness.run(root, 'DELETE FROM orders WHERE id = 20')).toMatchObject({
      ok: true,
      value: { affected: 1, command: 'DELETE 1' },
    })
    expect(await harness.rows(ann, 'SELECT count(*) FROM orders')).toEqual([[19]])
  })

  test('G14 what a reader may not call is refused to a writer as a write, never run as a read', async () => {
    for (const sql of [`SELECT pg_read_file('/etc/passwd')`, 'SELECT pg_advisory_lock(1)', 'SET role none']) {
      expect((await harness.refusal(ann, sql)).code).toBe('sql_refused')
      expect((await harness.refusal(editor, sql)).code).toMatch(/write_needs_confirmation|sql_refused/)
    }
  })
})

describe('the catalogue keeps up', () => {
  test('what an admin creates can be read at once', async () => {
    expect(await harness.run(root, 'CREATE TABLE made_by_admin (a int)')).toMatchObject({ ok: true })
    expect(await harness.run(root, 'GRANT SELECT ON made_by_admin TO postern_reader')).toMatchObject({
      ok: true,
    })
    expect(await harness.rows(ann, 'SELECT * FROM made_by_admin')).toEqual([])
  })

  test('what somebody else creates can be read after a second', async () => {
    await superuser.query(
      `CREATE TABLE made_outside (a int); CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 * 2`,
    )
    clock.advance(1_100)
    expect(await harness.rows(ann, 'SELECT * FROM made_outside')).toEqual([])
    expect(await harness.rows(ann, 'SELECT twice(4)')).toEqual([[8]])
  })

  test('a function that turns volatile is refused after a few seconds', async () => {
    await superuser.query('ALTER FUNCTION twice(int) VOLATILE')
    clock.advance(5_100)
    await harness.run(ann, 'SELECT 1')
    await expect.poll(async () => (await harness.run(ann, 'SELECT twice(4)')).ok).toBe(false)
  })
})

describe('sessions through the gate', () => {
  test('G1 an admin keeps temporary tables, settings and prepared statements', async () => {
    const s = { session: 's' }
    for (const sql of [
      'CREATE TEMP TABLE scratch AS SELECT id FROM orders WHERE id <= 3',
      `SET application_name = 'mine'`,
      'PREPARE three AS SELECT count(*) FROM scratch',
      'DELETE FROM scratch WHERE id = 1',
    ]) {
      expect(await harness.run(root, sql, s), sql).toMatchObject({ ok: true })
    }
    expect(await harness.rows(root, 'SELECT count(*) FROM scratch', s)).toEqual([[2]])
    expect(await harness.rows(root, 'EXECUTE three', s)).toEqual([[2]])
    expect(await harness.rows(root, 'SHOW application_name', s)).toEqual([['mine']])
    expect(await harness.rows(root, 'SHOW application_name')).toEqual([['postern']])
    expect(await harness.refusal(root, 'PREPARE p AS SELECT 1')).toMatchObject({ rule: 'session.needed' })
    expect((await harness.refusal(root, 'SELECT count(*) FROM scratch')).code).toMatch(/^sql_/)
  })
})
