import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Client, type QueryResult } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { Fault } from '../lib/fault.ts'
import { Secret } from '../lib/secret.ts'
import { type EmbeddedServer, startEmbeddedServer } from './embedded/server.ts'
import type { DatabaseOptions } from './options.ts'

/** A server of this file's own, to be stopped, killed and held still. */
let dir: string
let server: EmbeddedServer | undefined
let port = 0
const open: Harness[] = []
const ann = callerOf('ann')
const root = callerOf('root', 'admin')

const start = async (): Promise<EmbeddedServer> => {
  server = await startEmbeddedServer({
    dir: join(dir, 'pg'),
    durable: false,
    ...(port === 0 ? {} : { port }),
  })
  port = server.port
  return server
}

const superuserUrl = (): string =>
  `postgres://${server?.superuser.user}:${server?.superuser.password.reveal()}@127.0.0.1:${port}/postgres`

const asSuperuser = async (sql: string): Promise<QueryResult> => {
  const client = new Client({ connectionString: superuserUrl() })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

async function harnessOf(more: Partial<DatabaseOptions> = {}, context = {}): Promise<Harness> {
  const harness = await openHarness(
    [optionsOf(`postgres://reader:pass-word-1@127.0.0.1:${port}/postgres`, more)],
    context,
  )
  open.push(harness)
  return harness
}

const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const fault: unknown = await promise.then(
    (value) => value,
    (error: unknown) => error,
  )
  if (!(fault instanceof Fault)) throw new Error(`no fault: ${inspect(fault)}`)
  return fault
}

const stateOf = (harness: Harness): string | undefined => harness.databases.status()[0]?.state

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-outage-'))
  await start()
  await asSuperuser(`CREATE ROLE reader LOGIN PASSWORD 'pass-word-1'`)
})
afterAll(async () => {
  for (const harness of open) await harness.databases.close()
  await server?.close()
  await rm(dir, { recursive: true, force: true })
})

describe('a database that is away', () => {
  test('does not keep Postern from starting; calls are answered at once, and it comes back by itself', async () => {
    await server?.close()
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    await expect.poll(() => stateOf(harness)).toBe('down')
    const started = performance.now()
    const faults = await Promise.all(Array.from({ length: 50 }, () => faultOf(harness.run(ann, 'SELECT 1'))))
    expect(performance.now() - started).toBeLessThan(500)
    for (const fault of faults) {
      expect(fault).toMatchObject({ code: 'database_unavailable', retryAfterS: 2 })
      expect(fault.message).toBe('database "main" is not available at the moment')
    }
    expect((await faultOf(harness.run(root, 'SELECT 1'))).message).toContain(
      'nothing listens there (ECONNREFUSED)',
    )
    expect(harness.databases.status()[0]?.message).toContain(`127.0.0.1:${port}`)
    expect(harness.observations.filter(({ kind }) => kind === 'database.down')).toHaveLength(1)

    await start()
    await faultOf(harness.run(ann, 'SELECT 1'))
    clock.advance(2_100)
    await expect.poll(() => stateOf(harness)).toBe('up')
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
    expect(harness.databases.status()[0]).toMatchObject({
      message: null,
      version: expect.stringMatching(/^18/) as string,
    })
  })

  test('a call makes the attempt itself when the pause is over', async () => {
    await server?.close()
    const clock = manualClock()
    const harness = await harnessOf({}, { clock })
    await expect.poll(() => stateOf(harness)).toBe('down')
    await start()
    clock.advance(1_100)
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
    expect(stateOf(harness)).toBe('up')
  })

  test('a server that dies gives running statements a clear fault, and the next ones work once it is back', async () => {
    const harness = await harnessOf()
    await Promise.all([1, 2, 3].map(() => harness.rows(ann, 'SELECT pg_sleep(0.01)')))
    const running = [
      faultOf(harness.run(ann, 'SELECT pg_sleep(30)')),
      faultOf(harness.run(ann, '/* careful */ SELECT pg_sleep(30)')),
      faultOf(harness.run(root, '/* write */ SELECT pg_sleep(30)')),
    ]
    await expect
      .poll(
        async () =>
          (
            await asSuperuser(
              `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active'`,
            )
          ).rowCount,
      )
      .toBe(4)
    process.kill(Number(server?.pid), 'SIGQUIT')
    const [first, second, write] = await Promise.all(running)
    for (const fault of [first, second]) {
      expect(fault).toMatchObject({ code: 'database_unavailable' })
      expect(fault?.message).toBe('the connection to database "main" was lost while the statement ran')
    }
    expect(write?.message).toContain('whether the write took effect is not known')
    await server?.exited
    await expect.poll(() => stateOf(harness), { timeout: 3_000 }).toBe('down')
    expect(harness.databases.status()[0]?.connections).toBe(0)
    await start()
    await expect
      .poll(() => harness.rows(ann, 'SELECT 1').catch(() => null), { timeout: 5_000, interval: 100 })
      .toEqual([[1]])
  })

  test('a restart between two calls goes unnoticed', async () => {
    const harness = await harnessOf()
    await harness.rows(ann, 'SELECT 1')
    await server?.close()
    await start()
    await expect
      .poll(() => harness.rows(ann, 'SELECT 1').catch(() => null), { timeout: 5_000, interval: 100 })
      .toEqual([[1]])
  })

  test('killing one backend is not an outage', async () => {
    const harness = await harnessOf()
    const [[pid] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    await asSuperuser(`SELECT pg_terminate_backend(${Number(pid)})`)
    await expect
      .poll(() => harness.rows(ann, 'SELECT pg_backend_pid()').catch(() => null))
      .not.toEqual([[pid]])
    expect(stateOf(harness)).toBe('up')
  })
})

describe('a server that stands still', () => {
  test('does not hold a call longer than its statement timeout and a grace', async () => {
    const clock = manualClock()
    const harness = await harnessOf({ statementTimeoutMs: 1_000 }, { clock })
    const [[pid] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    process.kill(Number(pid), 'SIGSTOP')
    try {
      const running = faultOf(harness.run(ann, 'SELECT 1'))
      await pause(20)
      clock.advance(1_500)
      expect(harness.databases.status()[0]?.connections).toBeGreaterThan(1)
      clock.advance(3_000)
      const fault = await running
      expect(fault).toMatchObject({ code: 'database_unavailable' })
      expect(fault.message).toBe('database "main" did not answer in time')
    } finally {
      process.kill(Number(pid), 'SIGCONT')
    }
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })

  test('ends an attempt to connect after the connect timeout', async () => {
    const sockets = new Set<Socket>()
    const silent: Server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    })
    const silentPort = await new Promise<number>((resolve) => {
      silent.listen(0, '127.0.0.1', () => {
        resolve((silent.address() as { port: number }).port)
      })
    })
    const harness = await harnessOf({ port: silentPort, connectTimeoutMs: 100 })
    const started = performance.now()
    await faultOf(harness.run(ann, 'SELECT 1'))
    expect(performance.now() - started).toBeLessThan(1_000)
    expect(harness.databases.status()[0]).toMatchObject({
      state: 'down',
      message: expect.stringContaining('no answer within 100 ms') as string,
    })
    await harness.databases.close()
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
})

describe('a set-up that cannot work', () => {
  test.each([
    ['a wrong password', { password: new Secret('swordfish-77') }, /refused the password of role "reader"/],
    ['no password', { password: null }, /wants a password for role "reader"|refused the password/],
    ['an unknown role', { user: 'nobody-here' }, /refused the password of role "nobody-here"/],
    ['a database that is not there', { database: 'nowhere' }, /has no database "nowhere"/],
    [
      'a host that is not there',
      { host: 'nowhere.invalid' },
      /cannot be reached: (there is no host|the host name)/,
    ],
    ['TLS that the server does not have', { sslmode: 'require' as const }, /does not support SSL/],
  ])('%s is told to the operator', async (_name, more, message) => {
    const harness = await harnessOf(more)
    expect((await faultOf(harness.run(ann, 'SELECT 1'))).message).toBe(
      'database "main" is not available at the moment',
    )
    expect(harness.databases.status()[0]?.message).toMatch(message)
    expect(inspect([harness.observations, harness.databases.status()], { depth: 9 })).not.toMatch(
      /swordfish-77|pass-word-1/,
    )
  })

  test('prefer goes on without TLS where the server has none', async () => {
    const harness = await harnessOf({ sslmode: 'prefer' })
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
  })

  test('a superuser is refused, unless it is allowed', async () => {
    const superuser = { user: String(server?.superuser.user), password: server?.superuser.password ?? null }
    const harness = await harnessOf(superuser)
    const fault = await faultOf(harness.run(ann, 'SELECT 1'))
    expect(fault).toMatchObject({ code: 'database_unavailable', retryAfterS: 30 })
    expect(fault.message).toContain('is not served because of how it is set up')
    expect(harness.databases.status()[0]).toMatchObject({
      state: 'refused',
      message: expect.stringContaining('is a superuser') as string,
    })
    expect((await faultOf(harness.run(root, 'SELECT 1'))).message).toContain('is a superuser')

    const allowed = await harnessOf({ ...superuser, allowSuperuser: true })
    expect(await allowed.rows(ann, 'SELECT 1')).toEqual([[1]])
    expect(allowed.observations).toContainEqual(
      expect.objectContaining({ kind: 'database.role', powers: ['is a superuser'] }),
    )
  })

  test('a writer that is a superuser is refused, and reads go on', async () => {
    const writer = { user: String(server?.superuser.user), password: server?.superuser.password ?? null }
    const harness = await harnessOf({ writer })
    expect(await harness.rows(root, 'SELECT 1')).toEqual([[1]])
    expect((await faultOf(harness.run(root, '/* write */ SELECT 1'))).code).toBe('database_unavailable')
    expect(stateOf(harness)).toBe('up')
  })
})
