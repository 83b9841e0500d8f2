import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'
import { CredentialEnded } from '../identity/credential-ended.ts'
import { Fault } from '../lib/fault.ts'
import type { DatabaseOptions } from './options.ts'

let database: TestDatabase
let watcher: Client
const open: Harness[] = []
const ann = callerOf('ann')
const bob = callerOf('bob')

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  watcher = new Client({ connectionString: database.url })
  await watcher.connect()
})
afterAll(async () => {
  for (const harness of open) await harness.databases.close()
  await watcher?.end()
  await database?.drop()
})

async function harnessOf(more: Partial<DatabaseOptions> = {}, context = {}): Promise<Harness> {
  const harness = await openHarness([optionsOf(database.readerUrl, more)], context)
  open.push(harness)
  return harness
}

const pidOf = async (harness: Harness, caller = ann): Promise<number> =>
  Number((await harness.rows(caller, 'SELECT pg_backend_pid()'))[0]?.[0])

const isThere = async (pid: number): Promise<boolean> =>
  (await watcher.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])).rows.length > 0

const backendOf = async (marker: string): Promise<number | undefined> => {
  for (let tries = 0; tries < 200; tries += 1) {
    const { rows } = await watcher.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' AND pid <> pg_backend_pid()`,
      [`%${marker}%`],
    )
    if (rows[0] !== undefined) return rows[0].pid
    await pause(5)
  }
  return undefined
}

/** Milliseconds until the backend is gone. */
async function goneAfter(pid: number): Promise<number> {
  const start = performance.now()
  while (await isThere(pid)) await pause(2)
  return performance.now() - start
}

const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const fault: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(fault instanceof Fault)) throw new Error(`no fault: ${String(fault)}`)
  return fault
}

test('G1 a connection on which a statement left something is closed, and its reason told', async () => {
  const harness = await harnessOf()
  const pid = await pidOf(harness)
  expect(await harness.run(ann, 'BEGIN')).toMatchObject({ ok: true })
  expect(harness.observations).toContainEqual({
    kind: 'database.connection_destroyed',
    database: 'main',
    reason: 'a statement left something that could not be cleaned up',
  })
  await goneAfter(pid)
  expect(await pidOf(harness)).not.toBe(pid)
})

describe('G2 the end of a credential', () => {
  test('G2 its running statements are cancelled and its connections closed within 100 ms', async () => {
    const harness = await harnessOf()
    const idle = await pidOf(harness)
    const others = await pidOf(harness, bob)
    const running = harness.run(ann, `SELECT pg_sleep(30) AS running_one`)
    const second = harness.run(ann, `/* careful */ SELECT pg_sleep(30) AS running_two`)
    const pids = [await backendOf('running_one'), await backendOf('running_two')] as number[]
    expect(pids.every(Number.isInteger)).toBe(true)

    harness.lifelines.end('ann', 'revoked')
    const start = performance.now()
    expect(await running).toMatchObject({
      ok: false,
      error: { code: 'unauthorized', rule: 'credential.revoked' },
    })
    expect(await second).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
    expect(performance.now() - start).toBeLessThan(20)
    for (const pid of [idle, ...pids]) await goneAfter(pid)
    expect(performance.now() - start).toBeLessThan(100)
    expect(await isThere(others)).toBe(true)
    expect(await pidOf(harness, bob)).toBe(others)
  })

  test('G2 its waiting calls are refused and nothing of it stays', async () => {
    const harness = await harnessOf({ maxConnectionsPerCredential: 1 })
    const running = harness.run(ann, 'SELECT pg_sleep(30) AS holds_the_one')
    await backendOf('holds_the_one')
    const waiting = [1, 2, 3].map(() => harness.run(ann, 'SELECT 1'))
    await pause(5)
    expect(harness.databases.status()[0]).toMatchObject({ waiting: 3 })
    harness.lifelines.end('ann', 'expired')
    for (const result of await Promise.all([running, ...waiting])) {
      expect(result).toMatchObject({ ok: false, error: { code: 'unauthorized', rule: 'credential.expired' } })
    }
    expect(harness.databases.status()[0]).toMatchObject({ waiting: 0 })
    expect(harness.lifelines.size).toBe(0)
  })

  test('G2 a connection that is being opened meanwhile is not kept', async () => {
    const harness = await harnessOf()
    await pidOf(harness, bob)
    const before = harness.databases.status()[0]?.connections
    const result = harness.run(ann, 'SELECT 1')
    await Promise.resolve()
    await Promise.resolve()
    harness.lifelines.end('ann', 'revoked')
    expect(await result).toMatchObject({ ok: false, error: { code: 'unauthorized' } })
    await expect.poll(() => harness.databases.status()[0]?.connections).toBe(before)
  })

  test('G2 is what a call is told whose wire stops it first, running or waiting', async () => {
    const harness = await harnessOf({ maxConnectionsPerCredential: 1 })
    const wire = new AbortController()
    const running = harness.run(ann, 'SELECT pg_sleep(30) AS stopped_by_wire', { signal: wire.signal })
    await backendOf('stopped_by_wire')
    const waiting = harness.run(ann, 'SELECT 1', { signal: wire.signal })
    await pause(5)
    wire.abort(new CredentialEnded('revoked'))
    const late = harness.run(ann, 'SELECT 1', { signal: wire.signal })
    for (const result of await Promise.all([running, waiting, late])) {
      expect(result).toMatchObject({ ok: false, error: { code: 'unauthorized', rule: 'credential.revoked' } })
    }
  })
})

describe('a call that is given up', () => {
  test.each(['', '/* careful */ '])('its statement is cancelled at the server (%j)', async (note) => {
    const harness = await harnessOf()
    const stop = new AbortController()
    const running = harness.run(ann, `${note}SELECT pg_sleep(30) AS given_up`, { signal: stop.signal })
    const pid = await backendOf('given_up')
    stop.abort()
    expect(await running).toMatchObject({ ok: false, error: { code: 'cancelled', rule: 'request.aborted' } })
    expect(await goneAfter(Number(pid))).toBeLessThan(100)
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })

  test('one that waits leaves the queue; one that never began uses no connection', async () => {
    const harness = await harnessOf({ maxConnectionsPerCredential: 1 })
    const running = harness.run(ann, 'SELECT pg_sleep(1) AS busy_for_a_while')
    await backendOf('busy_for_a_while')
    const stop = new AbortController()
    const waiting = harness.run(ann, 'SELECT 1', { signal: stop.signal })
    await pause(5)
    stop.abort()
    expect(await waiting).toMatchObject({ ok: false, error: { code: 'cancelled' } })
    expect(await harness.run(ann, 'SELECT 1', { signal: AbortSignal.abort() })).toMatchObject({ ok: false })
    expect(harness.databases.status()[0]).toMatchObject({ waiting: 0 })
    expect(await running).toMatchObject({ ok: true })
  })
})

describe('bounds', () => {
  test('G2 of 200 calls at once, none uses more than its share, and all are answered', async () => {
    const harness = await harnessOf({
      maxConnectionsPerCredential: 3,
      maxConnections: 5,
      acquireTimeoutMs: 20_000,
    })
    await pidOf(harness)
    let most = 0
    const count = async (): Promise<void> => {
      const { rows } = await watcher.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%of_many%' AND pid <> pg_backend_pid()`,
      )
      most = Math.max(most, rows[0]?.n ?? 0)
    }
    const callers = [ann, bob, callerOf('cia')]
    const calls = Array.from({ length: 200 }, (_, index) =>
      harness.rows(callers[index % 3] ?? ann, 'SELECT pg_sleep(0.005) AS of_many, pg_backend_pid()'),
    )
    const progress = { done: false }
    void Promise.allSettled(calls).then(() => (progress.done = true))
    while (!progress.done) {
      await count()
      expect(harness.databases.status()[0]?.connections).toBeLessThanOrEqual(7)
    }
    const pids = (await Promise.all(calls)).map(([row], index) => [index % 3, row?.[1]] as const)
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThanOrEqual(5)
    for (const who of [0, 1, 2]) {
      const own = new Set(pids.filter(([owner]) => owner === who).map(([, pid]) => pid))
      const others = new Set(pids.filter(([owner]) => owner !== who).map(([, pid]) => pid))
      expect(own.isDisjointFrom(others)).toBe(true)
    }
  })

  test('G2 a credential with many calls does not keep another waiting', async () => {
    const harness = await harnessOf({
      maxConnectionsPerCredential: 4,
      maxConnections: 4,
      acquireTimeoutMs: 30_000,
    })
    const flood = Array.from({ length: 100 }, () => harness.rows(ann, 'SELECT pg_sleep(0.02)'))
    await pause(50)
    let annDone = 0
    for (const call of flood) void call.then(() => (annDone += 1))
    await harness.rows(bob, 'SELECT 1')
    expect(annDone).toBeLessThan(50)
    await Promise.all(flood)
  })

  test('G2 waiting has a deadline and a clear fault', async () => {
    const clock = manualClock()
    const harness = await harnessOf({ maxConnectionsPerCredential: 1, acquireTimeoutMs: 50 }, { clock })
    const stop = new AbortController()
    const running = harness.run(ann, 'SELECT pg_sleep(9) AS too_long_for_others', { signal: stop.signal })
    await backendOf('too_long_for_others')
    const waiting = faultOf(harness.run(ann, 'SELECT 1'))
    await expect.poll(() => harness.databases.status()[0]?.waiting).toBe(1)
    clock.advance(49)
    expect(harness.databases.status()[0]?.waiting).toBe(1)
    clock.advance(1)
    const fault = await waiting
    expect(fault).toMatchObject({ code: 'database_busy', retryAfterS: 1 })
    expect(fault.message).toMatch(/"main" is busy: no connection became free within 50 ms .*1 of 1/)
    stop.abort()
    await running
  })

  test('G2 unused connections close by themselves, and with the last one the pool', async () => {
    const clock = manualClock()
    const harness = await harnessOf({ idleTimeoutMs: 10_000 }, { clock })
    const pids = await Promise.all(
      [1, 2, 3].map(() => harness.rows(ann, 'SELECT pg_backend_pid(), pg_sleep(0.02)')),
    )
    expect(harness.lifelines.size).toBe(1)
    clock.advance(5_000)
    const [[kept] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    clock.advance(6_000)
    await expect.poll(() => harness.databases.status()[0]?.connections).toBe(1)
    expect(await isThere(Number(kept))).toBe(true)
    clock.advance(11_000)
    await expect.poll(() => harness.databases.status()[0]?.connections).toBe(0)
    expect(harness.lifelines.size).toBe(0)
    for (const [row] of pids) await goneAfter(Number(row?.[0]))
  })

  test('a server without free connections makes callers wait, not fail at once', async () => {
    await watcher.query(`CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 3`)
    const url = database.readerUrl.replace(/\/\/[^@]*@/, '//narrow:narrow@')
    const harness = await openHarness([
      optionsOf(url, { maxConnections: 10, maxConnectionsPerCredential: 10, acquireTimeoutMs: 10_000 }),
    ])
    open.push(harness)
    await pidOf(harness)
    const calls = Array.from({ length: 20 }, () => harness.rows(ann, 'SELECT pg_sleep(0.01), 1'))
    expect((await Promise.all(calls)).every(([row]) => row?.[1] === 1)).toBe(true)
    expect(harness.databases.status()[0]).toMatchObject({ state: 'up' })
    await harness.databases.close()
    await expect
      .poll(
        async () => (await watcher.query(`SELECT 1 FROM pg_stat_activity WHERE usename = 'narrow'`)).rowCount,
      )
      .toBe(0)
    await watcher.query('DROP ROLE narrow')
  })
})

test('closing ends everything, running statements included', async () => {
  const harness = await harnessOf()
  const idle = await pidOf(harness)
  const running = harness.run(ann, 'SELECT pg_sleep(30) AS until_the_end')
  const pid = await backendOf('until_the_end')
  await harness.databases.close()
  expect(await running).toMatchObject({ ok: false, error: { code: 'cancelled', rule: 'shutdown' } })
  expect(await goneAfter(idle)).toBeLessThan(100)
  expect(await goneAfter(Number(pid))).toBeLessThan(100)
  expect((await faultOf(harness.run(ann, 'SELECT 1'))).code).toBe('shutting_down')
})
