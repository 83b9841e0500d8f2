import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type Answer, ask, callTool } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { SELECT_ONE, watch } from './bystander.ts'

const WAIT = { timeout: 20_000 }
const SECRET = `SECRET${randomBytes(9).toString('hex')}`

let good: TestDatabase
let later: string
let gateway: RunningGateway
let token: string
const startedIn: number[] = []

/** Every way in which a database may not be there, beside one that is. */
beforeAll(async () => {
  const postgres = await testPostgres()
  good = await postgres.createDatabase()
  later = `later_${randomBytes(4).toString('hex')}`
  const { host, port } = postgres
  const at = { host, port, user: postgres.reader.user, password: postgres.reader.password }
  const startedAt = performance.now()
  gateway = await startGateway({
    configuration: {
      databases: [
        { name: 'good', url: good.readerUrl },
        { name: 'missing', ...at, database: later },
        { name: 'password', ...at, database: good.name, password: SECRET },
        { name: 'no-password', host, port, database: good.name, user: postgres.reader.user },
        { name: 'user', ...at, database: good.name, user: 'nobody_of_that_name', password: SECRET },
        { name: 'port', ...at, port: 1, database: good.name, password: SECRET },
        { name: 'host', ...at, host: 'no-such-host.invalid', database: good.name, password: SECRET },
        { name: 'tls', ...at, database: good.name, sslmode: 'verify-full', password: SECRET },
        { name: 'superuser', url: good.url },
      ],
    },
  })
  startedIn.push(performance.now() - startedAt)
  token = (await gateway.issue({ note: 'reader' })).token
})
afterAll(async () => {
  await gateway?.close()
  await good?.drop()
  const postgres = await testPostgres()
  const client = new Client({ connectionString: postgres.url() })
  await client.connect()
  await client.query(`DROP DATABASE IF EXISTS ${later} WITH (FORCE)`)
  await client.end()
})

const AWAY = ['missing', 'password', 'no-password', 'user', 'port', 'host', 'tls', 'superuser'] as const

const query = (database: string, sql = 'SELECT 1 AS one'): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/query`, token, { json: { sql, database } })

interface Status {
  readonly name: string
  readonly state: string
  readonly message: string | null
}

async function statusOf(name: string): Promise<Status | undefined> {
  const { body } = await ask(`${gateway.url}/health`, gateway.admin)
  return (body as { databases: Status[] }).databases.find((one) => one.name === name)
}

describe('a database that is not there', () => {
  it('does not keep the gateway from starting, nor the others from being served', async () => {
    expect((await query('good')).body).toMatchObject({ rows: [[1]] })
    expect((await query('good')).status).toBe(200)
  })

  it.each(AWAY)('is answered with a clear 503 at once, on REST and on MCP: %s', async (name) => {
    const bystander = watch(gateway.url, token, {
      ...SELECT_ONE,
      json: { sql: 'SELECT 1', database: 'good' },
    })
    await vi.waitFor(async () => {
      expect(['down', 'refused']).toContain((await statusOf(name))?.state)
    }, WAIT)
    const startedAt = performance.now()
    const { status, body, headers } = await query(name)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    expect(status).toBe(503)
    expect(body).toMatchObject({ error: 'unavailable', code: 'database_unavailable' })
    expect((body as { message: string }).message).toContain(`database "${name}"`)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(JSON.stringify(body)).not.toContain(SECRET)

    for (const tool of ['query_database', 'schema_search', 'count_rows']) {
      const args = {
        query: 'SELECT 1',
        database: name,
        ...(tool === 'count_rows' ? { query: undefined, table: 'x' } : {}),
      }
      const reply = await ask(`${gateway.url}/mcp/v1`, token, {
        json: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } },
      })
      expect(JSON.stringify(reply.body), tool).toContain('database_unavailable')
    }
    await bystander.answered(3)
    expect((await bystander.stop()).failures).toEqual([])
  })

  it.each([
    ['missing', /has no database "later_/],
    ['password', /refused the password of role "postern_reader": check the configured user and password/],
    ['no-password', /wants a password for role "postern_reader"/],
    ['user', /role "nobody_of_that_name"/],
    ['port', /nothing listens there \(ECONNREFUSED\)/],
    ['host', /no host of that name|could not be looked up/],
    ['tls', /TLS|SSL/],
    ['superuser', /superuser/],
  ])('tells the operator why, in status and log, without the password: %s', async (name, why) => {
    const status = await statusOf(name)
    expect(status?.message).toMatch(why)
    await vi.waitFor(() => {
      const line = gateway.log().find((one) => one['database'] === name && one.level !== 'INFO')
      expect(line).toMatchObject({ level: 'WARN', msg: 'Database is down' })
      expect(line?.['problem']).toMatch(why)
    }, WAIT)
    const everything =
      JSON.stringify(await ask(`${gateway.url}/health`, gateway.admin)) + gateway.serving.stderr()
    expect(everything).not.toContain(SECRET)
  })

  it('shows strangers and readers no more than a word', async () => {
    for (const who of [null, token]) {
      expect((await ask(`${gateway.url}/health`, who)).body).toEqual({ status: 'degraded' })
    }
  })

  it('is recorded as failed, with its code', async () => {
    await vi.waitFor(async () => {
      const { body } = await ask(
        `${gateway.url}/api/v1/admin/audit?target=missing&kind=execution`,
        gateway.admin,
      )
      const { entries } = body as { entries: { outcome: string; rule: string }[] }
      expect(entries[0]).toMatchObject({ outcome: 'failed', rule: 'database_unavailable' })
    }, WAIT)
  })

  it('is served as soon as it is there, without a restart', async () => {
    const postgres = await testPostgres()
    const client = new Client({ connectionString: postgres.url() })
    await client.connect()
    await client.query(`CREATE DATABASE ${later}`)
    await client.end()
    await vi.waitFor(async () => {
      expect((await query('missing')).body).toMatchObject({ rows: [[1]] })
    }, WAIT)
    expect(
      (await callTool(gateway.url, token, 'schema_search', { query: 'x', database: 'missing' })).isError,
    ).not.toBe(true)
    await vi.waitFor(() => {
      expect(
        gateway.log().some((line) => line.msg === 'Database is up' && line['database'] === 'missing'),
      ).toBe(true)
    }, WAIT)
  })

  it('was looked for in the background: the start took no longer for all of them', () => {
    expect(startedIn[0]).toBeLessThan(15_000)
  })
})
