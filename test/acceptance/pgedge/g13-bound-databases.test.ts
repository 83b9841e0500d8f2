import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import {
  call,
  configuration,
  type IssuedDocument,
  issue,
  openRoom,
  query,
  ROOT,
  type Room,
  rowsOf,
  served,
} from './room.ts'

const NAMES = ['production', 'staging', 'archive'] as const
const WHERE = 'SELECT current_database()'

let databases: readonly TestDatabase[] = []
let room: Room
let gateway: Serving
/** Made by each of the three ways: command line into the file, admin API, configuration. */
const bound: Record<string, string> = { configuration: 'a-token-of-the-configuration' }
let free: string

const real = (name: (typeof NAMES)[number]): string => databases[NAMES.indexOf(name)]?.name ?? ''

beforeAll(async () => {
  const postgres = await testPostgres()
  databases = await Promise.all(NAMES.map(() => postgres.createDatabase()))
  room = await openRoom({
    'tokens.yaml': 'tokens: []\n',
    'postern.yaml': configuration({
      databases: NAMES.map((name, index) => served(name, databases[index] as TestDatabase)),
      auth: {
        tokenFile: 'tokens.yaml',
        tokens: {
          root: { value: ROOT, level: 'admin' },
          bound: { value: bound['configuration'], databases: ['staging'] },
        },
      },
    }),
  })
  gateway = await room.serve()
  const added = await room.document<IssuedDocument>([
    '-add-token', '-token-note', 'Staging API', '-token-database', 'staging', '-token-expiry', '30d',
  ]) // prettier-ignore
  bound['command line'] = added.token
  bound['admin API'] = (await issue(gateway, 'bound', { databases: ['staging'] })).token
  free = (await issue(gateway, 'free')).token
  await vi.waitFor(
    async () => {
      expect((await query(gateway.url, added.token, 'SELECT 1')).status).toBe(200)
    },
    { timeout: 15_000, interval: 20 },
  )
})

afterAll(async () => {
  await room?.close()
  await Promise.all(databases.map((database) => database.drop()))
})

const rest = (token: string, path: string, json: unknown) => ask(`${gateway.url}${path}`, token, { json })

describe('G13 the default database', () => {
  it('G13 is the first one of the configuration, for a token that is bound to none', async () => {
    expect(await rowsOf(gateway.url, free, WHERE)).toEqual([[real('production')]])
    for (const name of NAMES)
      expect(await rowsOf(gateway.url, free, WHERE, { database: name })).toEqual([[real(name)]])
  })

  it('G13 is what -add-token binds to when no database is named and nothing is asked', async () => {
    const made = await room.document<IssuedDocument>([
      '-add-token',
      '-token-note',
      'Plain',
      '-token-expiry',
      '1d',
    ])
    expect(made).toMatchObject({ databases: ['production'] })
  })

  it('G13 is the one it is bound to, or the first of several in the order they were given', async () => {
    const { token } = await issue(gateway, 'two', { databases: ['archive', 'staging'] })
    expect(await rowsOf(gateway.url, token, WHERE)).toEqual([[real('archive')]])
    expect(await rowsOf(gateway.url, token, WHERE, { database: 'staging' })).toEqual([[real('staging')]])
    expect((await query(gateway.url, token, WHERE, { database: 'production' })).code).toBe(
      'database_not_allowed',
    )
  })
})

describe.each(['command line', 'admin API', 'configuration'])('G13 a token bound by the %s', (way) => {
  const token = (): string => bound[way] ?? ''

  it('G13 reaches its database, named or not', async () => {
    expect(await rowsOf(gateway.url, token(), WHERE)).toEqual([[real('staging')]])
    expect(await rowsOf(gateway.url, token(), WHERE, { database: 'staging' })).toEqual([[real('staging')]])
    const plain = await rest(token(), '/api/v1/query', { sql: WHERE })
    expect(plain).toMatchObject({ status: 200, body: { database: 'staging', rows: [[real('staging')]] } })
  })

  it('G13 gets 403 for another, on every REST path', async () => {
    for (const [path, body] of [
      ['/api/v1/query', { sql: WHERE, database: 'production' }],
      ['/mcp/tools/query_database', { query: WHERE, database: 'production' }],
      ['/mcp/tools/query_database', { query: 'Which orders are late?', database: 'production' }],
      ['/mcp/tools/get_schema_info', { database: 'production' }],
      ['/mcp/tools/execute_explain', { query: 'SELECT 1', database: 'production' }],
      ['/mcp/tools/count_rows', { table: 'orders', database: 'production' }],
      ['/mcp/tools/schema_search', { query: 'order', database: 'production' }],
    ] as const) {
      const refused = await rest(token(), path, body)
      expect([path, refused.status]).toEqual([path, 403])
      expect(refused.body).toMatchObject({ error: 'forbidden', code: 'database_not_allowed' })
    }
  })

  it('G13 gets a refusal for another over MCP, which names what it may use and nothing else', async () => {
    for (const tool of ['query_database', 'execute_explain']) {
      const refused = await call(gateway.url, token(), tool, { query: WHERE, database: 'production' })
      expect(refused.code).toBe('database_not_allowed')
      expect(refused.text).toContain('staging')
      expect(refused.text).not.toContain('archive')
    }
  })

  it('G13 cannot tell a database that it may not use from one that is not there', async () => {
    const answers = await Promise.all(
      ['production', 'no-such-one'].map(async (database) => {
        const { status, body } = await rest(token(), '/api/v1/query', { sql: 'SELECT 1', database })
        const { request_id: _, ...rest_ } = body as Record<string, unknown>
        return JSON.stringify({ status, ...rest_ }).replaceAll(database, 'NAME')
      }),
    )
    expect(answers[0]).toBe(answers[1])
  })
})

describe('G13 a binding cannot be got around', () => {
  it('G13 by another spelling of the name, a connection string, or a list', async () => {
    const token = bound['admin API'] ?? ''
    for (const database of [
      'Production',
      'production ',
      ' production',
      'PRODUCTION',
      '',
      real('production'),
      databases[0]?.readerUrl,
      ['staging', 'production'],
      null,
    ]) {
      const { status, body } = await rest(token, '/api/v1/query', { sql: WHERE, database })
      expect([database, status >= 400 && status < 500]).toEqual([database, true])
      expect(JSON.stringify(body)).not.toContain('rows')
    }
  })

  it('G13 nor widened: an administrator who is bound hands out no more than they hold', async () => {
    const admin = await issue(gateway, 'bound admin', { level: 'admin', databases: ['staging'] })
    const more = await rest(admin.token, '/api/v1/admin/tokens', { note: 'x', databases: ['production'] })
    expect(more).toMatchObject({ status: 403, body: { code: 'database_not_allowed' } })
    const same = await rest(admin.token, '/api/v1/admin/tokens', { note: 'x', databases: ['staging'] })
    expect(same.status).toBe(201)
  })

  it('G13 to a database that is not configured any more: nothing is left, not the default', async () => {
    const { token } = await issue(gateway, 'gone', { databases: ['removed-long-ago'] })
    const refused = await query(gateway.url, token, WHERE)
    expect(refused.code).not.toBeNull()
    expect(refused.rows).toEqual([])
  })
})
