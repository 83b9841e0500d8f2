import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../../src/databases/embedded/server.ts'
import { type RunningGateway, servingPid, startGateway } from '../../support/gateway.ts'
import { type Answer, ask } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'

const WAIT = { timeout: 25_000, interval: 50 }
/** Of the configuration: it needs no store to be known. */
const STEADY = 'steady-administrator-token'

const PATHS = ['/health', '/api/v1/health'] as const

/** A store that does not answer is away after two seconds; more is the machine's. */
const PROMPT_MS = 8_000

async function promptly(url: string, token: string | null): Promise<Answer> {
  const startedAt = performance.now()
  const answer = await ask(url, token)
  expect(performance.now() - startedAt).toBeLessThan(PROMPT_MS)
  return answer
}

describe('health of a gateway that is well', () => {
  let database: TestDatabase
  let gateway: RunningGateway
  beforeAll(async () => {
    database = await (await testPostgres()).createDatabase()
    gateway = await startGateway({
      configuration: {
        databases: [
          { name: 'main', url: database.readerUrl },
          { name: 'spare', url: database.readerUrl },
        ],
        mcpServers: { one: { url: 'http://127.0.0.1:9/mcp' }, two: { url: 'http://127.0.0.1:9/mcp' } },
      },
    })
  })
  afterAll(async () => {
    await gateway?.close()
    await database?.drop()
  })

  it('X13 tells anybody a bare word: live, and ready', async () => {
    const { token } = await gateway.issue({ note: 'reader' })
    for (const path of PATHS) {
      for (const end of ['', '/live', '/ready', '/']) {
        for (const who of [null, token, 'not-a-token']) {
          const { status, body } = await ask(`${gateway.url}${path}${end}`, who)
          expect([path + end, status, body]).toEqual([path + end, 200, { status: 'ok' }])
        }
      }
    }
  })

  it('X13 shows an administrator the store, the change feed, the record, each database and each server', async () => {
    const { body: up } = await ask(`${gateway.url}/api/v1/query`, gateway.admin, {
      json: { sql: 'SELECT 1', database: 'main' },
    })
    expect(up).toMatchObject({ rows: [[1]] })
    for (const path of ['/health', '/api/v1/health', '/health/ready', '/api/v1/health/ready']) {
      await vi.waitFor(async () => {
        const { status, body } = await ask(`${gateway.url}${path}`, gateway.admin)
        expect(status).toBe(200)
        expect(body).toEqual({
          status: 'ok',
          ready: true,
          draining: false,
          version: expect.stringMatching(/^\d/) as string,
          uptime_seconds: expect.any(Number) as number,
          store: {
            kind: 'sqlite',
            reachable: true,
            writable: true,
            latency_ms: expect.any(Number) as number,
            size_bytes: expect.any(Number) as number,
            schema_version: expect.any(Number) as number,
            problem: null,
          },
          change_feed: { healthy: true },
          credentials: { ready: true },
          audit: {
            waiting: expect.any(Number) as number,
            last_written_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
            behind: false,
            full: false,
          },
          databases: [
            expect.objectContaining({ name: 'main', state: 'up' }),
            expect.objectContaining({ name: 'spare' }),
          ],
          servers: [
            { name: 'one', state: 'idle', problem: null },
            { name: 'two', state: 'idle', problem: null },
          ],
        })
        expect((body as { store: { size_bytes: number } }).store.size_bytes).toBeGreaterThan(10_000)
      }, WAIT)
    }
  })

  it('X13 shows an administrator of another tenant no part, and one bound to some parts only those', async () => {
    const other = await gateway.issue({ note: 'elsewhere', level: 'admin', tenant: 'acme' })
    const bound = await gateway.issue({
      note: 'bound',
      level: 'admin',
      databases: ['spare'],
      servers: ['two'],
    })
    for (const path of PATHS) {
      expect((await ask(`${gateway.url}${path}`, other.token)).body).toEqual({ status: 'ok' })
      const { body } = await ask(`${gateway.url}${path}`, bound.token)
      expect(body).toMatchObject({ databases: [{ name: 'spare' }], servers: [{ name: 'two' }] })
    }
  })
})

describe('a store that is away', () => {
  let dir: string
  let server: EmbeddedServer
  let gateway: RunningGateway
  const start = async (port?: number): Promise<EmbeddedServer> =>
    await startEmbeddedServer({
      dir: join(dir, 'pg'),
      durable: false,
      ...(port === undefined ? {} : { port }),
    })
  const storeUrl = (): string => {
    const { user, password } = server.superuser
    return `postgres://${user}:${encodeURIComponent(password.reveal())}@127.0.0.1:${server.port}/postgres`
  }
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'postern-health-'))
    server = await start()
    gateway = await startGateway({
      admin: STEADY,
      configuration: {
        store: storeUrl(),
        auth: { tokens: { steady: { value: STEADY, level: 'admin' } } },
      },
    })
  }, 90_000)
  afterAll(async () => {
    await gateway?.close()
    await server?.close()
    await rm(dir, { recursive: true, force: true })
  }, 60_000)

  const isBack = async (): Promise<void> => {
    await vi.waitFor(async () => {
      expect((await ask(`${gateway.url}/health/ready`, null)).body).toEqual({ status: 'ok' })
    }, WAIT)
    const { body } = await ask(`${gateway.url}/health`, STEADY)
    expect(body).toMatchObject({
      ready: true,
      store: { kind: 'postgres', reachable: true, writable: true },
      change_feed: { healthy: true },
      credentials: { ready: true },
    })
  }

  const isAway = async (issued: string, problem: RegExp): Promise<void> => {
    await vi.waitFor(async () => {
      const { status, body, headers } = await promptly(`${gateway.url}/health/ready`, null)
      expect([status, body]).toEqual([503, { status: 'unavailable' }])
      expect(headers.get('retry-after')).toBe('1')
    }, WAIT)
    for (const path of PATHS) {
      expect(await promptly(`${gateway.url}${path}`, null)).toMatchObject({
        status: 200,
        body: { status: 'unavailable' },
      })
      expect((await promptly(`${gateway.url}${path}/live`, null)).body).toEqual({ status: 'ok' })
      // Nobody can be asked who this is: a stranger, but not one who waits, or gets an error.
      expect((await promptly(`${gateway.url}${path}`, issued)).status).toBe(200)
      await vi.waitFor(async () => {
        const { status, body } = await promptly(`${gateway.url}${path}`, STEADY)
        expect(status).toBe(200)
        expect(body).toMatchObject({
          status: 'unavailable',
          ready: false,
          store: { kind: 'postgres', reachable: false, writable: false, latency_ms: null },
          change_feed: { healthy: false },
          credentials: { ready: false },
        })
        expect((body as { store: { problem: string } }).store.problem).toMatch(problem)
      }, WAIT)
    }
  }

  it('X13 is not ready while PostgreSQL is stopped, and ready again when it comes back', async () => {
    await isBack()
    const { token } = await gateway.issue({ note: 'issued', level: 'admin' })
    const { port } = server
    process.kill(server.pid, 'SIGQUIT')
    await server.exited
    await isAway(token, /cannot be reached|shutting down|connection broke/)
    server = await start(port)
    await isBack()
  }, 90_000)

  it('X13 does not hang while PostgreSQL hangs', async () => {
    await isBack()
    const { token } = await gateway.issue({ note: 'issued', level: 'admin' })
    const hung = [server.pid, ...childrenOf(server.pid)]
    for (const pid of hung) process.kill(pid, 'SIGSTOP')
    try {
      await isAway(token, /does not answer in time|cannot be reached|too long/)
    } finally {
      for (const pid of hung) process.kill(pid, 'SIGCONT')
    }
    await isBack()
  }, 90_000)
})

const childrenOf = (pid: number): readonly number[] =>
  execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map(Number)

describe('trouble of the gateway itself', () => {
  let gateway: RunningGateway | undefined
  let database: TestDatabase | undefined
  afterEach(async () => {
    await gateway?.close()
    await database?.drop()
    gateway = undefined
    database = undefined
  })

  const limitFiles = (pid: number, bytes: number | 'unlimited'): void => {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`], { timeout: 20_000 })
  }

  it('X13 says on a full disk that the record is behind, and is not ready once it takes no more', async () => {
    const running = (gateway = await startGateway({
      configuration: {
        audit: { bufferEvents: 40 },
        auth: { tokens: { steady: { value: STEADY, level: 'admin' } } },
      },
    }))
    const pid = servingPid(running.serving)
    limitFiles(pid, (await stat(join(running.dir, '.postern', 'postern.db-wal'))).size)
    await vi.waitFor(async () => {
      const { status, body } = await ask(`${running.url}/health`, STEADY)
      expect(status).toBe(200)
      expect(body).toMatchObject({
        status: 'degraded',
        ready: true,
        store: { reachable: true, writable: false },
        audit: { behind: true, full: false },
      })
      expect((body as { audit: { waiting: number } }).audit.waiting).toBeGreaterThan(0)
    }, WAIT)
    expect(await ask(`${running.url}/health/ready`, null)).toMatchObject({
      status: 200,
      body: { status: 'degraded' },
    })
    // Each of these leaves an entry, until no more fit; the answer is there all the same.
    let answer: Answer
    let asked = 0
    do {
      answer = await promptly(`${running.url}/health/ready`, STEADY)
      asked += 1
    } while (answer.status === 200 && asked < 100)
    expect(answer).toMatchObject({ status: 503, body: { status: 'unavailable', audit: { full: true } } })
    for (let more = 0; more < 10; more += 1) await promptly(`${running.url}/health`, STEADY)
    const { body } = await promptly(`${running.url}/health`, STEADY)
    expect((body as { audit: { waiting: number } }).audit.waiting, 'is bounded').toBeLessThanOrEqual(45)
    expect((await promptly(`${running.url}/health/live`, null)).body).toEqual({ status: 'ok' })
    limitFiles(pid, 'unlimited')
    await vi.waitFor(async () => {
      expect((await ask(`${running.url}/health/ready`, STEADY)).body).toMatchObject({
        status: 'ok',
        store: { writable: true },
        audit: { behind: false },
      })
    }, WAIT)
  }, 60_000)

  it('X13 is live and not ready while it stops', async () => {
    database = await (await testPostgres()).createDatabase()
    const running = (gateway = await startGateway({
      configuration: { databases: [{ name: 'main', url: database.readerUrl }] },
    }))
    // Connections that a load balancer opened before.
    const waiting = await Promise.all([open(running.port), open(running.port), open(running.port)])
    const slow = ask(`${running.url}/api/v1/query`, running.admin, {
      json: { sql: 'SELECT pg_sleep(3)' },
    })
    await vi.waitFor(async () => {
      const { body } = await ask(`${running.url}/health`, running.admin)
      expect(body).toMatchObject({ databases: [{ busy: 1 }] })
    }, WAIT)
    running.serving.signal('SIGTERM')
    await vi.waitFor(async () => {
      await expect(open(running.port)).rejects.toThrow(/ECONNREFUSED/)
    }, WAIT)
    const [ready, live, other] = waiting
    expect(await exchange(ready, '/health/ready')).toMatch(
      /^HTTP\/1.1 503 [^]*connection: close[^]*\{"status":"unavailable"\}/i,
    )
    expect(await exchange(live, '/api/v1/health/live')).toMatch(/^HTTP\/1.1 200 [^]*\{"status":"ok"\}/i)
    expect(await exchange(other, '/mcp/tools')).toMatch(/^HTTP\/1.1 503 [^]*shutting_down/i)
    expect((await slow).status).toBe(200)
    expect(await running.serving.ended).toBe(0)
  }, 60_000)
})

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  return socket
}

async function exchange(socket: Socket | undefined, path: string): Promise<string> {
  if (!socket) throw new Error('no connection')
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await once(socket, 'close')
  return text
}
