import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import {
  configuration,
  hashOf,
  issue,
  observe,
  type Observer,
  openRoom,
  query,
  ROOT,
  type Room,
  rowsOf,
  served,
  soon,
} from './room.ts'

/** What the product promises, and what a machine that does ten other things is given. Milliseconds. */
const PROMISED_MS = 100
const PATIENT_MS = 1_000

let shop: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving

const tokenFile = (entries: Readonly<Record<string, number>>): string =>
  JSON.stringify({
    tokens: Object.entries(entries).map(([token, at]) => ({
      id: `token-${token}`,
      hash: hashOf(token),
      note: token,
      created_at: '2026-01-01T00:00:00Z',
      expires_at: new Date(at).toISOString(),
    })),
  }) + '\n'

beforeAll(async () => {
  shop = await (await testPostgres()).createDatabase()
  outside = await observe(shop)
  room = await openRoom({
    'tokens.yaml': tokenFile({}),
    'postern.yaml': configuration({
      databases: [
        served('shop', shop, { maxConnectionsPerCredential: 2, maxConnections: 3, acquireTimeout: '400ms' }),
        served('idle', shop, { idleTimeout: '1s' }),
        served('roomy', shop, { maxConnectionsPerCredential: 4, maxConnections: 12 }),
      ],
      auth: { tokenFile: 'tokens.yaml', tokens: { root: { value: ROOT, level: 'admin' } } },
    }),
  })
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await shop?.drop()
})

let number = 0

/** Starts a statement that runs for half a minute; `pid` is the backend that runs it. */
async function startSleeping(token: string, database = 'roomy') {
  const sql = `SELECT pg_sleep(25) /* sleep ${(number += 1)} */`
  const answer = query(gateway.url, token, sql, { database })
  await soon(async () => (await outside.backends(sql)).length).toBe(1)
  const pid = (await outside.backends(sql))[0]?.pid ?? 0
  return { answer, pid }
}

const backendOf = async (token: string, database: string, more = {}): Promise<number> =>
  Number((await rowsOf(gateway.url, token, 'SELECT pg_backend_pid()', { database, ...more }))[0]?.[0])

/** Milliseconds from `since` until none of the backends is there. */
async function goneAfter(since: number, ...pids: readonly number[]): Promise<number> {
  for (;;) {
    const there = await outside.query('SELECT 1 FROM pg_stat_activity WHERE pid = ANY ($1)', [pids])
    const passed = performance.now() - since
    if (there.length === 0) return passed
    if (passed > 10_000) throw new Error(`still there after ${passed} ms`)
  }
}

/** Ends what a test left running, so that the next one has all connections. */
async function endAll(...ids: readonly string[]): Promise<void> {
  for (const id of ids) await ask(`${gateway.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
}

const note = (ms: number, what: string): string =>
  `${what}: gone after ${ms.toFixed(1)} ms (promised: ${PROMISED_MS} ms)`

describe('G2 the pool closes with its credential', () => {
  it('G2 removing a token cancels its running statement and closes its backends within 100 ms', async ({
    annotate,
  }) => {
    const { id, token } = await issue(gateway, 'to be removed')
    const other = await issue(gateway, 'to stay')
    // One that runs, one of a session, one that is idle.
    const running = await startSleeping(token)
    const session = await backendOf(token, 'roomy', { session: 's' })
    const idle = await backendOf(token, 'roomy')
    const bystander = await startSleeping(other.token)
    expect(new Set([running.pid, idle, session, bystander.pid]).size).toBe(4)

    const started = performance.now()
    const reply = await ask(`${gateway.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
    expect(reply.status).toBeLessThan(300)
    const ms = await goneAfter(started, running.pid, idle, session)
    await annotate(note(ms, 'removed by the admin API'))
    expect(ms).toBeLessThan(PATIENT_MS)

    const answer = await running.answer
    expect(answer.status).toBe(401)
    expect(answer.code).toBe('unauthorized')
    expect((await query(gateway.url, token, 'SELECT 1')).status).toBe(401)
    expect(await outside.isThere(bystander.pid)).toBe(true)
    await endAll(other.id)
  })

  it('G2 so it is when another process removes the token, without a restart', async ({ annotate }) => {
    const { id, token } = await issue(gateway, 'to be removed from the command line')
    const { answer, pid } = await startSleeping(token)
    // The command takes longer than the removal; its start is not counted, its end is the latest moment.
    expect((await room.run(['token', 'remove', id])).code).toBe(0)
    const ms = await goneAfter(performance.now(), pid)
    await annotate(note(ms, 'removed by another process'))
    expect(ms).toBeLessThan(PATIENT_MS)
    expect((await answer).status).toBe(401)
    expect((await ask(`${gateway.url}/health`, null)).status).toBe(200)
  })

  it('G2 so it is when the token leaves the token file', async ({ annotate }) => {
    const token = 'a-token-of-the-file-that-leaves'
    await writeFile(room.path('tokens.yaml'), tokenFile({ [token]: Date.now() + 3_600_000 }))
    await soon(async () => (await query(gateway.url, token, 'SELECT 1')).code).toBeNull()
    const { answer, pid } = await startSleeping(token)
    await writeFile(room.path('tokens.yaml'), tokenFile({}))
    const ms = await goneAfter(performance.now(), pid)
    await annotate(note(ms, 'removed from the token file'))
    expect(ms).toBeLessThan(PATIENT_MS)
    expect((await answer).status).toBe(401)
  })

  it('G2 a credential that expires ends the same way, at its time', async ({ annotate }) => {
    const token = 'a-token-of-the-file-that-expires'
    // Whole seconds, as the file is written by other programs.
    const expiresAt = Math.ceil((Date.now() + 3_000) / 1_000) * 1_000
    await writeFile(room.path('tokens.yaml'), tokenFile({ [token]: expiresAt }))
    await soon(async () => (await query(gateway.url, token, 'SELECT 1')).code).toBeNull()
    const { answer, pid } = await startSleeping(token)
    const untilThen = expiresAt - Date.now()
    expect(untilThen).toBeGreaterThan(0)
    const ms = await goneAfter(performance.now() + untilThen, pid)
    await annotate(note(ms, 'expired'))
    expect(ms).toBeGreaterThan(-50)
    expect(ms).toBeLessThan(PATIENT_MS)
    expect((await answer).status).toBe(401)
    expect((await query(gateway.url, token, 'SELECT 1')).status).toBe(401)
  })
})

describe('G2 idle pools close by themselves', () => {
  it('G2 the connections of a credential that asks nothing more are closed after the idle time', async () => {
    const { id, token } = await issue(gateway, 'idle')
    const first = await backendOf(token, 'idle')
    await soon(() => outside.isThere(first)).toBe(false)
    // The credential is as good as before: the pool opens again.
    const second = await backendOf(token, 'idle')
    expect(second).not.toBe(first)
    expect(await outside.isThere(second)).toBe(true)
    await endAll(id)
  })
})

describe('G2 connections are bounded, and waiting has a deadline', () => {
  it('G2 a credential has at most its share, and is told clearly when none becomes free in time', async () => {
    const { id, token } = await issue(gateway, 'greedy')
    const sleeping = [await startSleeping(token, 'shop'), await startSleeping(token, 'shop')]
    const started = performance.now()
    const late = await query(gateway.url, token, 'SELECT 1', { database: 'shop' })
    const waited = performance.now() - started
    expect(late.code).toBe('database_busy')
    expect(late.message).toMatch(/database "shop" is busy.*within 400 ms.*2 of 2 connections/)
    expect(waited).toBeGreaterThan(350)
    expect(waited).toBeLessThan(5_000)
    const rest = await ask(`${gateway.url}/api/v1/query`, token, {
      json: { sql: 'SELECT 1', database: 'shop' },
    })
    expect(rest.status).toBe(503)
    expect(rest.body).toMatchObject({ error: 'unavailable', code: 'database_busy' })
    expect(Number(rest.headers.get('retry-after'))).toBeGreaterThan(0)

    // The share of others is untouched.
    const other = await issue(gateway, 'modest')
    expect((await query(gateway.url, other.token, 'SELECT 1', { database: 'shop' })).code).toBeNull()
    await endAll(id, other.id)
    await Promise.all(sleeping.map(({ answer }) => answer))
  })

  it('G2 all credentials together have at most the number of the database', async () => {
    const tokens = await Promise.all(['one', 'two', 'three'].map((name) => issue(gateway, name)))
    const [one, two, three] = tokens.map(({ token }) => token) as [string, string, string]
    const sleeping = [
      await startSleeping(one, 'shop'),
      await startSleeping(one, 'shop'),
      await startSleeping(two, 'shop'),
    ]
    const late = await query(gateway.url, three, 'SELECT 1', { database: 'shop' })
    expect(late.code).toBe('database_busy')
    expect(late.message).toMatch(/0 of 2 connections, all together 3 of 3/)
    expect((await outside.backends('SELECT pg_sleep(25)%')).length).toBe(3)

    // Whoever waits gets the place that becomes free before the deadline.
    const waiting = query(gateway.url, three, 'SELECT 1', { database: 'shop' })
    await endAll(tokens[1]?.id ?? '')
    expect((await waiting).code).toBeNull()
    await endAll(...tokens.map(({ id }) => id))
    await Promise.all(sleeping.map(({ answer }) => answer))
    await soon(async () => (await outside.backends('SELECT pg_sleep(25)%')).length).toBe(0)
  })
})
