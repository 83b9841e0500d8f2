import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase, type TestPostgres } from '../../test/support/postgres.ts'
import { systemClock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import type { DatabaseOptions } from './options.ts'

let postgres: TestPostgres
let database: TestDatabase
let superuser: Client
let harness: Harness
const reader = callerOf('reader')
const editor = callerOf('editor', 'read-write')
const root = callerOf('root', 'admin')

const options = (more: Partial<DatabaseOptions> = {}): DatabaseOptions => {
  const { user, password } = postgres.writer
  return optionsOf(database.readerUrl, { writer: { user, password: new Secret(password) }, ...more })
}

beforeAll(async () => {
  postgres = await testPostgres()
  database = await postgres.createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(`
    CREATE TABLE things (id int PRIMARY KEY, name text);
    INSERT INTO things SELECT g, 'thing ' || g FROM generate_series(1, 3) g;
    GRANT TEMPORARY ON DATABASE ${database.name} TO postern_writer;
  `)
  harness = await openHarness([options()])
})
afterAll(async () => {
  await harness?.databases.close()
  await superuser?.end()
  await database?.drop()
})

describe('P3 writes', () => {
  test('P3 an admin writes, as the writer role, and what was written stays', async () => {
    const insert = await harness.run(
      root,
      `/* write */ INSERT INTO things VALUES (10, $1), (11, 'b') RETURNING id`,
      {
        params: ['a'],
      },
    )
    expect(insert).toMatchObject({
      ok: true,
      value: { rows: [[10], [11]], command: 'INSERT 0 2', affected: 2, truncated: false },
    })
    expect(await harness.rows(root, '/* write */ SELECT current_user')).toEqual([['postern_writer']])
    expect(await harness.rows(root, 'SELECT current_user')).toEqual([['postern_reader']])
    expect(await harness.rows(reader, 'SELECT name FROM things WHERE id >= 10 ORDER BY id')).toEqual([
      ['a'],
      ['b'],
    ])
  })

  test('P3 a read-write credential is told that it needs a confirmation, and nothing is written', async () => {
    const refusal = await harness.refusal(editor, '/* write */ DELETE FROM things')
    expect(refusal).toMatchObject({ code: 'write_needs_confirmation', rule: 'confirmation' })
    expect(refusal.message).toMatch(
      /^writes by a read-write credential need a confirmation, which this version cannot ask for yet; /,
    )
    expect((await harness.rows(editor, 'SELECT count(*) FROM things WHERE id <= 3'))[0]).toEqual([3])
  })

  test('P3 a read-only credential stays on the read connections', async () => {
    expect(await harness.refusal(reader, '/* write */ DELETE FROM things')).toMatchObject({
      sqlstate: '25006',
    })
  })

  test('a read by an admin runs on the read connections', async () => {
    expect(await harness.refusal(root, 'DELETE FROM things')).toMatchObject({ sqlstate: '25006' })
  })

  test('a write is complete although its rows are cut off', async () => {
    const result = await harness.run(
      root,
      `/* write */ INSERT INTO things SELECT g, repeat('x', 1000) FROM generate_series(1000, 3999) g RETURNING *`,
      { maxRows: 5 },
    )
    expect(result).toMatchObject({
      ok: true,
      value: { truncatedBy: 'rows', affected: 3000, command: 'INSERT 0 3000' },
    })
    expect(result.ok && result.value.rows.length).toBe(5)
    const bytes = await harness.run(root, '/* write */ DELETE FROM things WHERE id >= 1000 RETURNING *')
    expect(bytes).toMatchObject({ ok: true, value: { truncatedBy: 'bytes', affected: 3000 } })
    expect(await harness.rows(root, 'SELECT count(*) FROM things WHERE id >= 1000')).toEqual([[0]])
  })

  test('an error that comes with the commit is an error', async () => {
    await superuser.query(`CREATE TABLE late (a int REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)`)
    expect(await harness.refusal(root, '/* write */ INSERT INTO late VALUES (-1)')).toMatchObject({
      sqlstate: '23503',
    })
  })
})

describe('sessions', () => {
  test('G1 keep temporary tables, settings and prepared statements, for their credential and name only', async () => {
    const s = { session: 'work' }
    await harness.rows(root, '/* write */ CREATE TEMP TABLE mine (a int)', s)
    await harness.rows(root, '/* write */ INSERT INTO mine VALUES (1), (2)', s)
    await harness.rows(root, `/* write session */ SET my.colour = 'blue'`, s)
    await harness.rows(root, '/* write session */ PREPARE p AS SELECT a FROM mine ORDER BY a', s)
    expect(await harness.rows(root, '/* write */ EXECUTE p', s)).toEqual([[1], [2]])
    expect(await harness.rows(root, 'SELECT count(*) FROM mine', s)).toEqual([[2]])
    expect(await harness.rows(root, `/* careful */ SELECT current_setting('my.colour')`, s)).toEqual([
      ['blue'],
    ])

    const otherAdmin = callerOf('other', 'admin')
    for (const [caller, session] of [
      [root, undefined],
      [root, { session: 'Work' }],
      [otherAdmin, s],
    ] as const) {
      expect(await harness.refusal(caller, '/* write */ SELECT * FROM mine', session)).toMatchObject({
        sqlstate: '42P01',
      })
    }
  })

  test('G1 a read never runs inside a transaction that a statement left open, but in one of its own', async () => {
    // The gate refuses BEGIN; behind it, whatever is left open is rolled back rather than read in.
    const own = await openHarness([options()])
    const s = { session: 'tx' }
    await own.rows(root, '/* write session */ BEGIN', s)
    await own.rows(root, `/* write */ INSERT INTO things VALUES (50, 'pending')`, s)
    expect(await own.refusal(root, 'DELETE FROM things', s)).toMatchObject({ sqlstate: '25006' })
    expect(await own.rows(root, 'SELECT count(*) FROM things WHERE id = 50', s)).toEqual([[0]])
    await own.databases.close()
  })

  test('G1 a read in an admin session is read-only, too', async () => {
    expect(await harness.refusal(root, 'DELETE FROM things', { session: 'work' })).toMatchObject({
      sqlstate: '25006',
    })
  })

  test('G1 a reader has read-only sessions', async () => {
    const s = { session: 'r' }
    const [[pid] = []] = await harness.rows(reader, 'SELECT pg_backend_pid()', s)
    expect(await harness.rows(reader, '/* careful */ SELECT pg_backend_pid()', s)).toEqual([[pid]])
    expect(await harness.rows(reader, 'SELECT pg_backend_pid()')).not.toEqual([[pid]])
    expect(await harness.refusal(reader, 'DELETE FROM things', s)).toMatchObject({ sqlstate: '25006' })
  })

  test('a session that only reads is not taken for one that writes, nor the other way round', async () => {
    const own = await openHarness([options()])
    const kinds = callerOf('kinds', 'admin')
    const asking = callerOf('kinds')
    await own.rows(asking, 'SELECT 1', { session: 'question' })
    await own.rows(kinds, '/* write */ CREATE TEMP TABLE work (a int)', { session: 'work' })
    const write = await own.refusal(kinds, `/* write */ INSERT INTO things VALUES (70, 'x')`, {
      session: 'question',
    })
    expect(write).toMatchObject({ code: 'conflict', rule: 'session.kind' })
    expect(write.message).toContain('only reads')
    expect(await own.refusal(asking, 'SELECT * FROM work', { session: 'work' })).toMatchObject({
      code: 'conflict',
      rule: 'session.kind',
    })
    expect(await own.rows(asking, 'SELECT 1', { session: 'question' })).toEqual([[1]])
    expect(await own.rows(kinds, 'SELECT count(*) FROM work', { session: 'work' })).toEqual([[0]])
    await own.databases.close()
  })

  test('statements of one session run one after another', async () => {
    const root = callerOf('queuer', 'admin')
    const s = { session: 'queue' }
    const pids = await Promise.all(
      Array.from({ length: 8 }, () =>
        harness.rows(root, '/* write */ SELECT pg_backend_pid(), pg_sleep(0.005)', s),
      ),
    )
    expect(new Set(pids.map(([row]) => row?.[0])).size).toBe(1)
  })

  test('what only changes the session is refused without one', async () => {
    expect(await harness.refusal(root, '/* write session */ SET x.y = 1')).toMatchObject({
      rule: 'session.needed',
    })
  })

  test.each(['', 'a b', 'x'.repeat(65), 'a/b', "a'b"])('%j is no name for a session', async (session) => {
    expect(await harness.refusal(root, 'SELECT 1', { session })).toMatchObject({ code: 'invalid_arguments' })
  })

  test('G2 are bounded in number, closed when unused, and the next call is told', async () => {
    const clock = manualClock()
    const own = await openHarness([options({ maxConnectionsPerCredential: 5 })], { clock })
    for (const session of ['a', 'b', 'c']) await own.rows(root, 'SELECT 1', { session })
    expect(await own.refusal(root, 'SELECT 1', { session: 'd' })).toMatchObject({ code: 'too_many_sessions' })
    clock.advance(61_000)
    const lost = await own.refusal(root, 'SELECT 1', { session: 'a' })
    expect(lost).toMatchObject({ code: 'session_unknown', rule: 'session.lost' })
    expect(lost.message).toContain('it was not used for 60 s')
    expect(await own.rows(root, 'SELECT 1', { session: 'a' })).toEqual([[1]])
    await own.databases.close()
  })

  test('G2 end with their credential, an open transaction rolled back', async () => {
    const own = await openHarness([options()], { clock: systemClock })
    const s = { session: 'ends' }
    await own.rows(root, '/* write session */ BEGIN', s)
    await own.rows(root, `/* write */ INSERT INTO things VALUES (60, 'never')`, s)
    const [[pid] = []] = await own.rows(root, '/* write */ SELECT pg_backend_pid()', s)
    own.lifelines.end('root', 'revoked')
    await expect
      .poll(
        async () => (await superuser.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])).rowCount,
        {
          timeout: 100,
          interval: 2,
        },
      )
      .toBe(0)
    expect((await superuser.query('SELECT 1 FROM things WHERE id = 60')).rowCount).toBe(0)
    expect(await own.rows(root, '/* write */ SELECT pg_backend_pid()', s)).not.toEqual([[pid]])
    await own.databases.close()
  })

  test('survive an answer that is too large', async () => {
    const own = callerOf('large', 'admin')
    const s = { session: 'large' }
    await harness.rows(own, '/* write */ CREATE TEMP TABLE kept (a int)', s)
    for (const note of ['', '/* careful */ ', '/* write */ ']) {
      const result = await harness.run(
        own,
        `${note}SELECT repeat('x', 400000) FROM generate_series(1, 50)`,
        s,
      )
      expect(result).toMatchObject({ ok: true, value: { truncatedBy: 'bytes' } })
      expect(result.ok && result.value.rows.length).toBe(2)
    }
    expect(await harness.rows(own, 'SELECT * FROM kept', s)).toEqual([])
  })

  test('the names of lost ones are not kept without end', async () => {
    const own = callerOf('forgetful', 'admin')
    for (let index = 0; index < 30; index += 1) {
      const stop = new AbortController()
      const session = `s${index}`
      await harness.run(own, 'SELECT 1', { session })
      const running = harness.run(own, '/* write */ SELECT pg_sleep(5)', { session, signal: stop.signal })
      await pause(1)
      stop.abort()
      await running
    }
    expect(await harness.refusal(own, 'SELECT 1', { session: 's29' })).toMatchObject({ rule: 'session.lost' })
    expect(await harness.rows(own, 'SELECT 1', { session: 's0' })).toEqual([[1]])
  })

  test('one that is lost says so instead of quietly starting anew', async () => {
    const root = callerOf('victim', 'admin')
    const s = { session: 'killed' }
    const [[pid] = []] = await harness.rows(root, '/* write */ SELECT pg_backend_pid()', s)
    const before = harness.observations.length
    await superuser.query('SELECT pg_terminate_backend($1)', [pid])
    await expect.poll(() => harness.observations.length).toBeGreaterThan(before)
    expect(await harness.refusal(root, 'SELECT 1', s)).toMatchObject({
      code: 'session_unknown',
      rule: 'session.lost',
    })
    expect(await harness.rows(root, 'SELECT 1', s)).toEqual([[1]])
  })
})
