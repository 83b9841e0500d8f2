import { createServer } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { Kysely, sql } from 'kysely'
import { Pool } from 'pg'
import { afterEach, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { systemClock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import { migrations } from './migrations/index.ts'
import { openStore } from './open.ts'
import { postgresDialect } from './postgres/driver.ts'
import { storeProbe } from './probe.ts'
import type { StoreSchema } from './schema.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const observe = (): void => {}
const version = migrations.at(-1)?.version

it('looks at a SQLite store, at most once a second', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'postern-probe-'))
  closers.push(() => rm(dir, { recursive: true }))
  const clock = manualClock()
  const store = await openStore({ kind: 'sqlite', file: join(dir, 's.db') }, { clock: systemClock, observe })
  closers.push(() => store.close())
  const probe = storeProbe(store, clock)
  const first = await probe()
  expect(first).toEqual({
    kind: 'sqlite',
    reachable: true,
    latencyMs: expect.any(Number) as number,
    sizeBytes: expect.any(Number) as number,
    schemaVersion: version,
    readOnly: false,
    problem: null,
  })
  expect(first.sizeBytes).toBeGreaterThan(4_096)
  expect(await probe()).toBe(first)
  clock.advance(1_000)
  expect(await probe()).not.toBe(first)
  expect(clock.waiting, 'leaves no timer').toBe(0)
})

it('notices a PostgreSQL store that takes no writes', async () => {
  const database = await (await testPostgres()).createDatabase()
  closers.push(() => database.drop())
  const url = new Secret(database.url)
  const store = await openStore({ kind: 'postgres', url }, { clock: systemClock, observe })
  await sql`alter database ${sql.id(database.name)} set default_transaction_read_only = on`.execute(store.db)
  await store.close()
  const pool = new Pool({ connectionString: database.url, max: 1 })
  const db = new Kysely<StoreSchema>({ dialect: postgresDialect(pool) })
  closers.push(() => db.destroy())
  const state = await storeProbe({ db, kind: 'postgres' }, systemClock)()
  expect(state).toMatchObject({ kind: 'postgres', reachable: true, readOnly: true })
  expect(Number(state.schemaVersion)).toBe(version)
})

it('waits two seconds for a store that says nothing, and no second time for the same look', async () => {
  const silent = createServer(() => {})
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
  closers.push(async () => {
    silent.close()
    await Promise.resolve()
  })
  const { port } = silent.address() as AddressInfo
  const pool = new Pool({ host: '127.0.0.1', port, user: 'nobody', connectionTimeoutMillis: 60_000 })
  const db = new Kysely<StoreSchema>({ dialect: postgresDialect(pool) })
  const clock = manualClock()
  const probe = storeProbe({ db, kind: 'postgres' }, clock)
  const waiting = probe()
  const joined = probe()
  expect(clock.waiting).toBe(2)
  clock.advance(2_000)
  const away = { reachable: false, latencyMs: null, problem: 'the store does not answer in time' }
  expect(await waiting).toMatchObject(away)
  expect(await joined).toMatchObject(away)
  const later = probe()
  clock.advance(0)
  expect(await later).toMatchObject(away)
})
