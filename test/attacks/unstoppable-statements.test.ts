import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callerOf, type Harness, openHarness, optionsOf } from '../support/databases.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

/** Runs for some seconds, and PostgreSQL looks at neither cancel requests nor timeouts meanwhile. */
const UNSTOPPABLE = (marker: string, length = 240_000): string =>
  `SELECT strpos(repeat('a', ${length}), 'b' || repeat('a', ${length / 2})) AS ${marker}`

let database: TestDatabase
let watcher: Client
let harness: Harness
const thief = callerOf('thief')
const other = callerOf('other')

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  watcher = new Client({ connectionString: database.url })
  await watcher.connect()
  harness = await openHarness([
    optionsOf(database.readerUrl, { maxConnectionsPerCredential: 2, acquireTimeoutMs: 1_000 }),
  ])
  // Connecting for the first time takes long on a busy machine.
  for (const caller of [thief, other]) {
    while (!(await harness.run(caller, 'SELECT 1').catch(() => ({ ok: false }))).ok) await pause(100)
  }
}, 60_000)
afterAll(async () => {
  await harness?.databases.close()
  await watcher?.end()
  await database?.drop()
})

const working = async (marker: string): Promise<number> =>
  (
    await watcher.query(
      `SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' AND pid <> pg_backend_pid()`,
      [`%${marker}%`],
    )
  ).rows.length

/** Until the texts are made, a statement can still be stopped. */
const inStrpos = (): Promise<void> => pause(400)

/** Starts a statement, waits until the server works on it, and gives it up. */
async function giveUp(sql: string, marker: string, before: number): Promise<void> {
  const stop = new AbortController()
  const running = harness.run(thief, sql, { signal: stop.signal })
  await expect.poll(() => working(marker), { interval: 5, timeout: 20_000 }).toBe(before + 1)
  await inStrpos()
  stop.abort()
  const answered = performance.now()
  expect(await running).toMatchObject({ ok: false, error: { code: 'cancelled' } })
  expect(performance.now() - answered).toBeLessThan(1_000)
}

test.each([
  ['alone', 'pinned_alone', ''],
  ['on the careful way', 'pinned_careful', '/* careful */ '],
])(
  'G3 statements that cannot be stopped keep the places of their credential after it gave them up: %s',
  async (_, marker, note) => {
    const sql = `${note}${UNSTOPPABLE(marker)}`
    await giveUp(sql, marker, 0)
    await giveUp(sql, marker, 1)

    await expect(harness.run(thief, 'SELECT 1')).rejects.toMatchObject({ code: 'database_busy' })
    expect(await working(marker)).toBe(2)
    expect(await harness.rows(other, 'SELECT 1')).toEqual([[1]])

    await expect.poll(() => working(marker), { interval: 50, timeout: 100_000 }).toBe(0)
    await expect.poll(() => harness.databases.status()[0]?.connections, { timeout: 20_000 }).toBeLessThan(5)
    expect(await harness.rows(thief, 'SELECT 1')).toEqual([[1]])
  },
  150_000,
)

test('G3 the end of the credential does not free the places that its statements still take', async () => {
  const short = callerOf('short')
  const before = harness.databases.status()[0]?.connections ?? 0
  const running = harness.run(short, UNSTOPPABLE('pinned_ended'))
  await expect.poll(() => working('pinned_ended'), { interval: 5, timeout: 20_000 }).toBe(1)
  await inStrpos()
  harness.lifelines.end('short', 'revoked')
  expect(await running).toMatchObject({ ok: false, error: { rule: 'credential.revoked' } })
  await pause(100)
  expect(await working('pinned_ended')).toBe(1)
  expect(harness.databases.status()[0]?.connections).toBe(before + 1)
  await expect.poll(() => working('pinned_ended'), { interval: 50, timeout: 100_000 }).toBe(0)
  await expect.poll(() => harness.databases.status()[0]?.connections, { timeout: 20_000 }).toBe(before)
}, 150_000)

test('an answer that outgrew its limit does not free the place either', async () => {
  const sql = `SELECT repeat('x', 2000000) UNION ALL ${UNSTOPPABLE('pinned_large').replace('strpos', '(strpos').replace(' AS', ')::text AS')}`
  expect(await harness.run(thief, sql)).toMatchObject({ ok: false, error: { code: 'result_too_large' } })
  const held = harness.databases.status()[0]?.connections ?? 0
  // It may have been stopped before it could not be. How many others are open says nothing: only that one goes at its end.
  const pinned = (await working('pinned_large')) > 0
  await expect.poll(() => working('pinned_large'), { interval: 50, timeout: 100_000 }).toBe(0)
  if (!pinned) return
  await expect.poll(() => harness.databases.status()[0]?.connections, { timeout: 20_000 }).toBeLessThan(held)
}, 150_000)

test('shutting down does not wait for them', async () => {
  const mine = await openHarness([optionsOf(database.readerUrl)])
  const running = mine.run(thief, UNSTOPPABLE('pinned_late'))
  await expect.poll(() => working('pinned_late'), { interval: 5, timeout: 20_000 }).toBe(1)
  const start = performance.now()
  await mine.databases.close()
  expect(performance.now() - start).toBeLessThan(1_000)
  expect(await running).toMatchObject({ ok: false, error: { rule: 'shutdown' } })
  await expect.poll(() => working('pinned_late'), { interval: 50, timeout: 100_000 }).toBe(0)
}, 150_000)
