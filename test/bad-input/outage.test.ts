import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/databases/embedded/server.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type Answer, ask } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { watch } from './bystander.ts'

const WAIT = { timeout: 25_000, interval: 50 }
const PASSWORD = 'SECRETpasswordOfTheReader'

/** A PostgreSQL of this file's own, to be killed. The other database is on the server that all files share. */
let dir: string
let server: EmbeddedServer
let steady: TestDatabase
let gateway: RunningGateway
let token: string

const start = async (port?: number): Promise<EmbeddedServer> =>
  await startEmbeddedServer({ dir: join(dir, 'pg'), durable: false, ...(port === undefined ? {} : { port }) })

async function asSuperuser(sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({
    host: server.host,
    port: server.port,
    user: server.superuser.user,
    password: server.superuser.password.reveal(),
    database: 'postgres',
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-killed-'))
  ;[server, steady] = await Promise.all([
    start(),
    testPostgres().then((postgres) => postgres.createDatabase()),
  ])
  await asSuperuser(`CREATE ROLE reader LOGIN PASSWORD '${PASSWORD}'`)
  gateway = await startGateway({
    configuration: {
      databases: [
        { name: 'steady', url: steady.readerUrl },
        { name: 'fragile', url: `postgres://reader:${PASSWORD}@127.0.0.1:${server.port}/postgres` },
      ],
    },
  })
  token = (await gateway.issue({ note: 'reader' })).token
}, 90_000)
afterAll(async () => {
  await gateway?.close()
  await server?.close()
  await steady?.drop()
  await rm(dir, { recursive: true, force: true })
}, 60_000)

const query = (sql: string): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/query`, token, { json: { sql, database: 'fragile' } })

const running = async (marker: string): Promise<number> =>
  (
    await asSuperuser(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE '%${marker}%' AND state = 'active' AND pid <> pg_backend_pid()`,
    )
  ).length

const isUp = async (): Promise<void> => {
  await vi.waitFor(async () => {
    expect((await query('SELECT 1')).body).toMatchObject({ rows: [[1]] })
  }, WAIT)
}

const ENDS: readonly (readonly [how: string, kill: () => unknown])[] = [
  ['killed like by the memory killer', () => process.kill(server.pid, 'SIGKILL')],
  ['stopped at once', () => process.kill(server.pid, 'SIGQUIT')],
  ['stopped for maintenance', () => process.kill(server.pid, 'SIGINT')],
]

describe('a database that goes away in the middle of a query', () => {
  it.each(ENDS)(
    'answers every open call with a clear error, others at once, and comes back by itself: %s',
    async (_, kill) => {
      await isUp()
      const bystander = watch(gateway.url, token)
      const open = [
        query('SELECT pg_sleep(60) AS in_the_middle'),
        query('/* careful */ SELECT pg_sleep(60) AS in_the_middle'),
        ask(`${gateway.url}/mcp/v1`, token, {
          json: {
            jsonrpc: '2.0',
            id: 1,
            method: 'tools/call',
            params: {
              name: 'query_database',
              arguments: { query: 'SELECT pg_sleep(60) AS in_the_middle', database: 'fragile' },
            },
          },
        }),
      ]
      await vi.waitFor(async () => {
        expect(await running('in_the_middle')).toBe(3)
      }, WAIT)
      const { port } = server
      const killedAt = performance.now()
      kill()
      const answers = await Promise.all(open)
      expect(performance.now() - killedAt).toBeLessThan(15_000)
      for (const { status, body } of answers) {
        const text = JSON.stringify(body)
        expect(text).toMatch(/database_unavailable|sql_failed/)
        expect(text).not.toMatch(new RegExp(`${PASSWORD}|\\n\\s+at |ECONN`))
        // MCP answers 200 with the error inside.
        expect([200, 422, 503]).toContain(status)
      }
      await server.exited

      // While it is away nobody waits.
      const startedAt = performance.now()
      const away = await Promise.all(Array.from({ length: 20 }, () => query('SELECT 1')))
      expect(performance.now() - startedAt).toBeLessThan(8_000)
      for (const { status, body, headers } of away) {
        expect(status).toBe(503)
        expect(body).toMatchObject({
          error: 'unavailable',
          code: 'database_unavailable',
          message: 'database "fragile" is not available at the moment',
        })
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      }
      expect((await ask(`${gateway.url}/health`, null)).body).toEqual({ status: 'degraded' })

      server = await start(port)
      await isUp()
      await vi.waitFor(async () => {
        expect((await ask(`${gateway.url}/health`, null)).body).toEqual({ status: 'ok' })
      }, WAIT)
      const seen = await bystander.stop()
      expect(seen.failures).toEqual([])
      expect(seen.answers).toBeGreaterThan(10)
    },
    60_000,
  )

  it('a backend that is ended by its administrator costs one answer', async () => {
    await isUp()
    const open = query('SELECT pg_sleep(60) AS just_this_one')
    await vi.waitFor(async () => {
      expect(await running('just_this_one')).toBe(1)
    }, WAIT)
    await asSuperuser(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%just_this_one%' AND pid <> pg_backend_pid()`,
    )
    const { status, body } = await open
    expect([422, 503], JSON.stringify(body)).toContain(status)
    expect((await query('SELECT 1')).body).toMatchObject({ rows: [[1]] })
  })

  it('each open call is in the record with its end, and the record is whole', async () => {
    await vi.waitFor(async () => {
      const { body } = await ask(`${gateway.url}/api/v1/admin/audit?target=fragile&limit=1000`, gateway.admin)
      const { entries } = body as { entries: { kind: string; request_id: string }[] }
      const of = (kind: string): string[] =>
        entries
          .filter((one) => one.kind === kind)
          .map((one) => one.request_id)
          .sort()
      expect(of('execution')).toHaveLength(new Set(of('execution')).size)
      expect(of('execution').length).toBeGreaterThan(60)
      expect(of('decision')).toEqual(of('execution'))
    }, WAIT)
    expect((await ask(`${gateway.url}/api/v1/admin/audit/verify`, gateway.admin)).body).toMatchObject({
      intact: true,
    })
    expect(gateway.serving.stderr()).not.toContain(PASSWORD)
  })
})
