import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import {
  configuration,
  issue,
  observe,
  type Observer,
  openRoom,
  query,
  type Room,
  rowsOf,
  served,
  soon,
} from './room.ts'

let shop: TestDatabase
let archive: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving
/** Two admins, because only they may leave something behind on purpose, and two readers. */
let ann: string
let bob: string
let reader: string
let stranger: string

beforeAll(async () => {
  const postgres = await testPostgres()
  ;[shop, archive] = await Promise.all([postgres.createDatabase(), postgres.createDatabase()])
  outside = await observe(shop)
  await outside.query('CREATE TABLE items AS SELECT 1 AS id')
  room = await openRoom({
    'postern.yaml': configuration({ databases: [served('shop', shop), served('archive', archive)] }),
  })
  gateway = await room.serve()
  const add = async (note: string, level: string) => (await issue(gateway, note, { level })).token
  ann = await add('ann', 'admin')
  bob = await add('bob', 'admin')
  reader = await add('reader', 'read-only')
  stranger = await add('stranger', 'read-only')
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await Promise.all([shop?.drop(), archive?.drop()])
})

const ask = (token: string, sql: string, more = {}) => query(gateway.url, token, sql, more)
const rows = (token: string, sql: string, more = {}) => rowsOf(gateway.url, token, sql, more)
const backendOf = async (token: string, more = {}) =>
  (await rows(token, 'SELECT pg_backend_pid()', more))[0]?.[0]

describe('G1 a credential has connections of its own', () => {
  it('G1 no backend ever serves two credentials, however their calls are mixed', async () => {
    const calls = Array.from({ length: 24 }, (_, index) => [reader, stranger, ann, bob][index % 4] ?? '')
    const pids = await Promise.all(calls.map((token) => backendOf(token)))
    const owners = new Map<unknown, Set<string>>()
    for (const [index, pid] of pids.entries())
      owners.set(pid, (owners.get(pid) ?? new Set()).add(calls[index] ?? ''))
    expect([...owners.values()].every(({ size }) => size === 1)).toBe(true)
    expect(owners.size).toBeGreaterThanOrEqual(4)
    const real = await outside.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND pid = ANY ($2)`,
      [shop.name, [...owners.keys()]],
    )
    expect(real).toHaveLength(owners.size)
  })

  it('G1 two credentials that work at the same moment are two backends to the superuser', async () => {
    const sleeping = [
      ask(reader, `SELECT pg_sleep(1) /* of the reader */`),
      ask(stranger, `SELECT pg_sleep(1) /* of the stranger */`),
    ]
    const seen = async (who: string) =>
      (await outside.backends(`SELECT pg_sleep(1) /* of the ${who} */`)).map(({ pid }) => pid)
    await soon(async () => [(await seen('reader')).length, (await seen('stranger')).length]).toEqual([1, 1])
    expect(await seen('reader')).not.toEqual(await seen('stranger'))
    expect((await Promise.all(sleeping)).map(({ code }) => code)).toEqual([null, null])
  })

  it('G1 a credential has another pool for each database', async () => {
    const there = await backendOf(reader, { database: 'archive' })
    expect(there).not.toBe(await backendOf(reader))
    const [row] = await outside.query<{ datname: string }>(
      'SELECT datname FROM pg_stat_activity WHERE pid = $1',
      [there],
    )
    expect(row?.datname).toBe(archive.name)
  })
})

describe('G1 what one credential left in its session, no other credential sees, under the same session name', () => {
  const session = 'shared-name'

  it('G1 temporary tables', async () => {
    expect(await ask(ann, 'CREATE TEMP TABLE secrets AS SELECT 42 AS n', { session })).toMatchObject({
      code: null,
    })
    expect(await rows(ann, 'SELECT n FROM secrets', { session })).toEqual([[42]])
    for (const other of [bob, reader])
      expect((await ask(other, 'SELECT n FROM secrets', { session })).code).not.toBeNull()
    expect((await ask(bob, 'SELECT n FROM pg_temp.secrets', { session })).code).not.toBeNull()
    // A name that one credential has taken hides no real table from the others.
    await ask(ann, 'CREATE TEMP TABLE items AS SELECT 99 AS id', { session })
    expect(await rows(ann, 'SELECT id FROM items', { session })).toEqual([[99]])
    for (const other of [bob, reader])
      expect(await rows(other, 'SELECT id FROM items', { session })).toEqual([[1]])
  })

  it('G1 session variables', async () => {
    const read = `SELECT current_setting('shop.note', true), current_setting('search_path')`
    const before = await rows(bob, read, { session })
    expect((await ask(ann, `SET shop.note = 'for ann only'`, { session })).code).toBeNull()
    expect((await ask(ann, `SET search_path = pg_catalog`, { session })).code).toBeNull()
    expect(await rows(ann, read, { session })).toEqual([['for ann only', 'pg_catalog']])
    expect(await rows(bob, read, { session })).toEqual(before)
    expect(before[0]?.[0] ?? '').toBe('')
    await ask(ann, 'RESET search_path', { session })
  })

  it('G1 prepared statements', async () => {
    expect((await ask(ann, 'PREPARE mine AS SELECT 7 AS seven', { session })).code).toBeNull()
    expect(await rows(ann, 'EXECUTE mine', { session })).toEqual([[7]])
    expect(await ask(bob, 'EXECUTE mine', { session })).toMatchObject({
      code: 'sql_failed',
      message: expect.stringContaining('"mine" does not exist') as string,
    })
    const named = `SELECT name FROM pg_prepared_statements WHERE name = 'mine'`
    expect(await rows(ann, named, { session })).toEqual([['mine']])
    expect(await rows(bob, named, { session })).toEqual([])
  })

  it('G1 advisory locks', async () => {
    // A connection that was shared would be given its own lock a second time, and could let go of it.
    expect((await ask(ann, 'SELECT pg_advisory_lock(4711)', { session })).code).toBeNull()
    expect(await rows(ann, 'SELECT pg_try_advisory_lock(4711)', { session })).toEqual([[true]])
    expect(await rows(bob, 'SELECT pg_try_advisory_lock(4711)', { session })).toEqual([[false]])
    expect(await rows(bob, 'SELECT pg_advisory_unlock(4711)', { session })).toEqual([[false]])
    const [held] = await outside.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted`,
    )
    expect(held?.n).toBe(1)
  })
})

describe('G1 nothing passes from one request to the next, unless a session is asked for', () => {
  /** What is left on the connection that the next write of the credential gets: `set_config` makes it one. */
  const leftOnTheNext = async () => {
    const [[backend, ...left] = []] = await rows(
      bob,
      `SELECT pg_backend_pid(), set_config('probe.note', coalesce(current_setting('shop.note', true), ''), true),
         current_setting('search_path'), to_regclass('pg_temp.leftover')::text,
         (SELECT count(*)::int FROM pg_prepared_statements WHERE from_sql), (SELECT count(*)::int FROM pg_cursors WHERE is_holdable),
         (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`,
    )
    return { backend, left }
  }

  it.each([
    `SELECT pg_backend_pid(), set_config('shop.note', 'stays', false)`,
    `SELECT pg_backend_pid(), set_config('search_path', 'pg_catalog', false)`,
    'SELECT pg_backend_pid(), pg_advisory_lock(4712)',
    'SELECT pg_backend_pid(), pg_advisory_lock_shared(4712)',
  ])('G1 without a session, what %s leaves on its connection is gone in the next request', async (sql) => {
    const clean = await leftOnTheNext()
    const [[backend] = []] = await rows(bob, sql)
    const next = await leftOnTheNext()
    // The very same connection, so there was something to clean up.
    expect(next.backend).toBe(backend)
    expect(next).toEqual(clean)
    expect(next.left).toEqual(['', '"$user", public', null, 0, 0, 0])
  })

  it.each([`SET shop.note = 'stays'`, 'PREPARE leftover AS SELECT 1', 'CREATE TEMP TABLE leftover (a int)'])(
    'G1 without a session, %s has no effect on the next request: it says that it needs one, or is gone',
    async (sql) => {
      const { code, rule } = await ask(bob, sql)
      expect([null, 'session.needed']).toContain(code === null ? null : rule)
      expect((await leftOnTheNext()).left).toEqual(['', '"$user", public', null, 0, 0, 0])
    },
  )

  it('G1 with a session, all of it is there in the next request, in that session only', async () => {
    const session = 'mine'
    for (const sql of [
      `SET shop.note = 'kept'`,
      'PREPARE p AS SELECT 1',
      'CREATE TEMP TABLE kept AS SELECT 5 AS five',
      'SELECT pg_advisory_lock(4713)',
    ])
      expect(await ask(ann, sql, { session })).toMatchObject({ code: null })
    expect(
      await rows(
        ann,
        `SELECT current_setting('shop.note'), five, (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND objid = 4713 AND pid = pg_backend_pid()) FROM kept`,
        { session },
      ),
    ).toEqual([['kept', 5, 1]])
    expect(await rows(ann, 'EXECUTE p', { session })).toEqual([[1]])
    for (const other of [{ session: 'another' }, {}]) {
      expect((await ask(ann, 'SELECT five FROM kept', other)).code).toBe('sql_failed')
      expect((await rows(ann, `SELECT current_setting('shop.note', true)`, other))[0]?.[0] ?? '').toBe('')
    }
  })

  it('G1 a reader may ask for a session, too: one connection for all its calls, and still only reads', async () => {
    const session = 'mine'
    const first = await backendOf(reader, { session })
    expect(await backendOf(reader, { session })).toBe(first)
    expect(await backendOf(stranger, { session })).not.toBe(first)
    expect((await ask(reader, 'CREATE TEMP TABLE t (a int)', { session })).code).toBe('sql_refused')
    expect(await rows(reader, 'SHOW transaction_read_only', { session })).toEqual([['on']])
  })
})
