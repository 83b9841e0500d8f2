import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask, callTool, rpc } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { head, sendRaw } from '../../support/raw-http.ts'

/** Words that occur nowhere else in the world, so that finding one is finding a leak. */
const mark = (what: string): string => `MARK${what}${randomBytes(9).toString('hex')}`

const secret = {
  reader: mark('readerpassword'),
  writer: mark('writerpassword'),
  absent: mark('absentpassword'),
  wrong: mark('wrongpassword'),
  model: mark('modelkey'),
  configured: mark('configuredtoken'),
  unknown: mark('unknowntoken'),
  malformed: mark('malformedtoken'),
  query: mark('querystringtoken'),
  cookie: mark('cookietoken'),
} as const

/** What callers hand in: theirs to see again in an answer, and nobody's to find in a log or record. */
const value = {
  bound: mark('bound'),
  boundSql: mark('boundsql'),
  literal: mark('literal'),
  written: mark('written'),
  refusedWrite: mark('refusedwrite'),
  comment: mark('comment'),
  where: mark('where'),
  search: mark('search'),
  session: mark('session'),
  castError: mark('casterror'),
  syntaxError: mark('syntaxerror'),
  constraint: mark('constraint'),
  badArgument: mark('badargument'),
  unknownField: mark('unknownfield'),
  brokenJson: mark('brokenjson'),
  path: mark('path'),
  parameter: mark('parameter'),
  row: mark('row'),
} as const

const admin = mark('admintoken')
const issued: Record<string, string> = {}
/** Every reply, to look for credentials in what was answered. */
const replies: string[] = []

let database: TestDatabase
let gateway: RunningGateway
let dropRoles: () => Promise<void>
let log = ''
let stdout = ''
let audit = ''
const files = new Map<string, Buffer>()

const note = (reply: { readonly headers?: Headers; readonly body?: unknown }): void => {
  replies.push(`${JSON.stringify([...(reply.headers ?? [])])}\n${JSON.stringify(reply.body)}`)
}

const send = async (
  path: string,
  token: string | null,
  json?: unknown,
  method?: string,
): Promise<unknown> => {
  const reply = await ask(`${gateway.url}${path}`, token, {
    ...(json === undefined ? {} : { json }),
    ...(method === undefined ? {} : { method }),
  })
  note(reply)
  return reply.body
}

async function makeRoles(): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  const suffix = randomBytes(4).toString('hex')
  for (const role of ['reader', 'writer'] as const) {
    await client.query(`CREATE ROLE ${role}_${suffix} LOGIN PASSWORD '${secret[role]}'`)
    await client.query(
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}_${suffix}`,
    )
  }
  await client.query(`REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM reader_${suffix}`)
  await client.query(`UPDATE customers SET name = '${value.row}' WHERE id = 2`)
  await client.end()
  roles = { reader: `reader_${suffix}`, writer: `writer_${suffix}` }
  return async () => {
    const again = new Client({ connectionString: database.url })
    await again.connect()
    await again.query(
      `DROP OWNED BY reader_${suffix}, writer_${suffix}; DROP ROLE reader_${suffix}, writer_${suffix}`,
    )
    await again.end()
  }
}
let roles = { reader: '', writer: '' }

async function busyScenario(): Promise<void> {
  for (const level of ['read-only', 'read-write', 'admin']) {
    const one = await gateway.issue({ note: `the ${level} one`, level })
    issued[level] = one.token
    if (level !== 'read-only') continue
    const next = (
      await ask(`${gateway.url}/api/v1/admin/tokens/${one.id}/rotate`, admin, { json: { grace: '1h' } })
    ).body as { token: string }
    issued['rotated'] = next.token
  }
  const removed = await gateway.issue({ note: 'gone' })
  issued['removed'] = removed.token
  await send('/mcp/tools', removed.token)
  await send(`/api/v1/admin/tokens/${removed.id}`, admin, undefined, 'DELETE')
  await send('/mcp/tools', removed.token)

  const { url, port } = gateway
  const reader = issued['read-only'] ?? ''
  const callers = [reader, issued['read-write'] ?? '', issued['admin'] ?? '', secret.configured]
  for (const token of callers) {
    await send('/api/v1/query', token, { sql: 'SELECT $1::text', params: [value.bound] })
    await send('/mcp/tools/query_database', token, { query: 'SELECT $1::text', params: [value.boundSql] })
    await send('/api/v1/query', token, { sql: `SELECT '${value.literal}' /* ${value.comment} */` })
    await send('/api/v1/query', token, { sql: `SELECT '${value.castError}'::integer` })
    await send('/api/v1/query', token, { sql: `SELECT $1::integer`, params: [value.castError] })
    await send('/api/v1/query', token, { sql: `SELEC '${value.syntaxError}'` })
    await send('/api/v1/query', token, { sql: `SELECT name FROM customers WHERE id = 2` })
    await send('/mcp/tools/count_rows', token, { table: 'customers', where: `name = '${value.where}'` })
    await send('/mcp/tools/schema_search', token, { query: value.search })
    await send('/mcp/tools/query_database', token, {
      query: `SELECT '${value.literal}'`,
      session: value.session.slice(0, 60),
    })
    await send('/mcp/tools/query_database', token, { query: `SELECT 1`, [value.badArgument]: 1 })
    await send('/api/v1/query', token, { sql: 'SELECT 1', [value.unknownField]: 1 })
    await send(`/mcp/tools/${value.path}`, token, {})
    await send(`/${value.path}?${value.parameter}=${value.parameter}`, token)
    await send(`/api/v1/admin/audit?who=${value.parameter}`, token)
    await send('/api/v1/query', token, { sql: `UPDATE customers SET city = '${value.written}' WHERE id = 1` })
    await send('/api/v1/query', token, {
      sql: `UPDATE customers SET city = $1 WHERE id = 1`,
      params: [value.written],
    })
    await send('/api/v1/query', token, { sql: `DELETE FROM customers; SELECT '${value.refusedWrite}'` })
    await send('/api/v1/query', token, { sql: `INSERT INTO tenants (id) VALUES ('${value.constraint}')` })
    await send('/api/v1/query', token, { sql: 'SELECT 1', database: 'absent' })
    await send('/api/v1/query', token, { sql: 'SELECT 1', database: 'wrong' })
    await send('/health', token)
    await send('/api/v1/openapi.json', token)
    note(await rpc(url, token, 'tools/list'))
    note({
      body: await callTool(url, token, 'query_database', {
        query: `SELECT '${value.literal}', $1::text`,
        params: [value.bound],
      }),
    })
    note({
      body: await callTool(url, token, 'query_database', { query: `SELECT '${value.castError}'::integer` }),
    })
    await sendRaw(port, [
      head('POST /api/v1/query', [
        `Authorization: Bearer ${token}`,
        'Content-Type: application/json',
        'Content-Length: 40',
        'Connection: close',
      ]),
      `{"sql": "${value.brokenJson}`.slice(0, 40).padEnd(40),
    ])
  }
  for (const headers of [
    [`Authorization: Bearer ${secret.unknown}`],
    [`Authorization: bearer ${secret.malformed}`],
    [`Authorization: ${secret.malformed} x`],
    [`Cookie: token=${secret.cookie}`],
  ]) {
    for (const path of ['/mcp', '/sse', '/health', '/nowhere']) {
      replies.push((await sendRaw(port, head(`GET ${path}`, ['Connection: close', ...headers]))).all)
    }
  }
  for (const path of ['/mcp', '/mcp/tools', '/health', '/nowhere', '/api/v1/admin/tokens']) {
    for (const name of ['access_token', 'token', 'key']) {
      replies.push(
        (await sendRaw(port, head(`GET ${path}?${name}=${secret.query}`, ['Connection: close']))).all,
      )
      // A token in the URL beside a good header is a mistake that must not end in a log either.
      await send(`${path}?${name}=${secret.query}`, reader)
    }
  }
  await send('/api/v1/admin/tokens', admin)
}

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  dropRoles = await makeRoles()
  const { hostname, port } = new URL(database.url)
  const at = { host: hostname, port: Number(port), database: database.name }
  gateway = await startGateway({
    admin,
    env: { MODEL_KEY: secret.model, POSTERN_LOG_LEVEL: 'debug' },
    configuration: {
      log: { level: 'debug' },
      auth: { tokens: { root: { value: admin, level: 'admin' }, configured: { value: secret.configured } } },
      databases: [
        {
          name: 'main',
          ...at,
          user: roles.reader,
          password: secret.reader,
          writer: { user: roles.writer, password: secret.writer },
        },
        { name: 'absent', url: `postgres://${roles.reader}:${secret.absent}@127.0.0.1:1/none` },
        { name: 'wrong', ...at, user: roles.reader, password: secret.wrong },
      ],
      model: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: '$env:MODEL_KEY', model: 'none', timeout: '1s' },
    },
  })
  await busyScenario()
  await send('/mcp/tools/query_database', secret.configured, { query: 'how many customers are there?' })
  const { body } = await ask(`${gateway.url}/api/v1/admin/audit?limit=1000`, admin)
  audit = JSON.stringify(body)
  for (const args of [
    ['config', 'check', '--json'],
    ['config', 'check'],
    ['token', 'list', '--json'],
    ['token', 'list'],
  ]) {
    const said = await gateway.postern(args)
    replies.push(said.stdout, said.stderr)
  }
  // While it runs: the log of SQLite beside the database is part of the store.
  const data = join(gateway.dir, '.postern')
  for (const name of await readdir(data)) files.set(name, await readFile(join(data, name)))
  const ended = await gateway.serving.stop()
  expect(ended.code).toBe(0)
  log = ended.stderr
  stdout = ended.stdout
  for (const name of await readdir(data)) files.set(`${name} at the end`, await readFile(join(data, name)))
}, 90_000)
afterAll(async () => {
  await gateway?.close()
  await dropRoles?.()
  await database?.drop()
})

const credentials = (): Readonly<Record<string, string>> => ({ ...secret, admin, ...issued })
const everything = (): Readonly<Record<string, string>> => ({ ...credentials(), ...value })

/** A secret in other clothes: percent-encoded it is the same here, but Base64 is not. */
const clothed = (text: string): string[] => [
  text,
  text.toLowerCase(),
  Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, 24),
  Buffer.from(text).toString('hex').slice(0, 32),
]

const leaks = (place: string, secrets: Readonly<Record<string, string>>): string[] =>
  Object.entries(secrets).flatMap(([name, text]) =>
    clothed(text).some((one) => place.includes(one)) ? [name] : [],
  )

describe('C5 after a busy day with every kind of secret', () => {
  it('C5 the day was busy: the gateway answered, refused, wrote and failed', () => {
    expect(replies.length).toBeGreaterThan(120)
    const all = replies.join('\n')
    for (const code of [
      'sql_refused',
      'sql_syntax',
      'sql_failed',
      'unauthorized',
      'level_too_low',
      'unknown_tool',
      'invalid_arguments',
      'invalid_request',
      'not_found',
      'database_unavailable',
      'model_unavailable',
      'write_needs_confirmation',
    ]) {
      expect(all, code).toContain(code)
    }
    expect(all).toContain('"affected":1')
    // The search finds what is there: callers see their own values again.
    expect(leaks(all, value)).toEqual(expect.arrayContaining(['bound', 'literal', 'row', 'castError']))
    expect(log).toContain('"level":"DEBUG"')
    expect(audit.length).toBeGreaterThan(20_000)
    expect([...files.keys()]).toContain('postern.db')
    expect(Object.keys(issued)).toHaveLength(5)
  })

  it('C5 no log line has a credential or a value', () => {
    expect(leaks(log, everything())).toEqual([])
  })

  it('C5 standard output has none', () => {
    expect(leaks(stdout, everything())).toEqual([])
  })

  it('C5 no reply has a credential, but the one that issues it', () => {
    // Issuing went past `send`, so that not one of these may hold a token.
    expect(leaks(replies.join('\n'), credentials())).toEqual([])
  })

  it('C5 no audit row has a credential or a value', () => {
    expect(leaks(audit, { ...everything(), path: 'not looked for' })).toEqual([])
  })

  it('C5 no file of the store has a credential or a value, only hashes', () => {
    for (const [name, bytes] of files) {
      expect(leaks(bytes.toString('latin1'), { ...everything(), path: 'not looked for' }), name).toEqual([])
    }
  })

  it('C5 a name that no tool has is in the record, cut short, because somebody asked for it', () => {
    expect(audit).toContain(value.path)
  })

  it('C5 the URL is logged as its route, never as it came', () => {
    const routes = new Set([...log.matchAll(/"route":"([^"]*)"/g)].map((match) => match[1] ?? ''))
    expect(routes.size).toBeGreaterThan(8)
    for (const route of routes) expect(route).not.toMatch(/[?=]|MARK|tok_/)
  })
})
