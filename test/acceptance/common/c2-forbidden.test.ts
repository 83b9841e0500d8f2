import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type Answer, ask, callTool, rpc } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'

let first: TestDatabase
let second: TestDatabase
let gateway: RunningGateway
let reader: string
let writer: string
let bound: string
let narrowAdmin: string
let elsewhereAdmin: string

beforeAll(async () => {
  const postgres = await testPostgres()
  first = await postgres.createDatabase()
  second = await postgres.createDatabase()
  gateway = await startGateway({
    configuration: {
      databases: [
        { name: 'first', url: first.readerUrl, writerUrl: first.writerUrl },
        { name: 'second', url: second.readerUrl },
      ],
    },
  })
  reader = (await gateway.issue({ note: 'reader' })).token
  writer = (await gateway.issue({ note: 'writer', level: 'read-write' })).token
  bound = (await gateway.issue({ note: 'bound', databases: ['second'] })).token
  narrowAdmin = (
    await gateway.issue({ note: 'narrow', level: 'admin', databases: ['second'], scopes: ['stats:read'] })
  ).token
  elsewhereAdmin = (await gateway.issue({ note: 'elsewhere', level: 'admin', tenant: 'acme' })).token
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all([first?.drop(), second?.drop()])
})

interface Case {
  readonly name: string
  readonly token: () => string
  readonly path: string
  readonly method?: string
  readonly json?: unknown
  readonly code: string
  readonly rule: string
  /** What the reply says would be allowed. */
  readonly allowed: RegExp
}

const CASES: readonly Case[] = [
  ...(
    [
      'GET /api/v1/admin/tokens',
      'POST /api/v1/admin/tokens',
      'GET /api/v1/admin/audit',
      'GET /api/v1/admin/audit/verify',
      'DELETE /api/v1/admin/tokens/x',
      'POST /api/v1/admin/tokens/x/rotate',
    ] as const
  ).flatMap((route) => {
    const [method = '', path = ''] = route.split(' ')
    return (['read-only', 'read-write'] as const).map((level) => ({
      name: `${route} with a ${level} credential`,
      token: () => (level === 'read-only' ? reader : writer),
      path,
      method,
      code: 'level_too_low',
      rule: 'level',
      allowed: new RegExp(`^tools of level ${level}$`),
    }))
  }),
  {
    name: 'a tool on a database that is not open to the credential',
    token: () => bound,
    path: '/mcp/tools/count_rows',
    json: { table: 't', database: 'first' },
    code: 'database_not_allowed',
    rule: 'database',
    allowed: /^databases second$/,
  },
  {
    name: 'SQL on a database that is not open to the credential',
    token: () => bound,
    path: '/api/v1/query',
    json: { sql: 'SELECT 1', database: 'first' },
    code: 'database_not_allowed',
    rule: 'database',
    allowed: /^databases second$/,
  },
  {
    name: 'a database that does not exist, which looks the same to a bound credential',
    token: () => bound,
    path: '/api/v1/query',
    json: { sql: 'SELECT 1', database: 'nowhere' },
    code: 'database_not_allowed',
    rule: 'database',
    allowed: /^databases second$/,
  },
  {
    name: 'a write by a read-only credential',
    token: () => reader,
    path: '/api/v1/query',
    json: { sql: 'CREATE TABLE t ()' },
    code: 'sql_refused',
    rule: 'sql.write',
    allowed: /^SELECT, VALUES, TABLE, .* SHOW$/,
  },
  {
    name: 'a write by a read-write credential, until writes can be confirmed',
    token: () => writer,
    path: '/mcp/tools/query_database',
    json: { query: 'CREATE TABLE t ()' },
    code: 'write_needs_confirmation',
    rule: 'confirmation',
    allowed: /only read/,
  },
  {
    name: 'a function that reaches the files of the server',
    token: () => reader,
    path: '/api/v1/query',
    json: { sql: `SELECT pg_read_file('/etc/passwd')` },
    code: 'sql_refused',
    rule: 'sql.function',
    allowed: /./,
  },
  {
    name: 'a token for more databases than its issuer has',
    token: () => narrowAdmin,
    path: '/api/v1/admin/tokens',
    json: { note: 'x', databases: ['first'] },
    code: 'database_not_allowed',
    rule: 'token.databases',
    allowed: /^databases second$/,
  },
  {
    name: 'a token for another tenant than the issuer administers',
    token: () => elsewhereAdmin,
    path: '/api/v1/admin/tokens',
    json: { note: 'x', tenant: 'default' },
    code: 'tenant_not_allowed',
    rule: 'token.tenant',
    allowed: /^tenant acme$/,
  },
]

describe('C2 who is known but may not', () => {
  it.each(CASES)('C2 C3 is told 403, the rule, and what would be allowed: $name', async (one) => {
    const { method, json } = one
    const answer = await ask(`${gateway.url}${one.path}`, one.token(), {
      ...(method === undefined ? {} : { method }),
      ...(json === undefined ? {} : { json }),
    })
    expect(answer.status).toBe(403)
    const { message, allowed, request_id: requestId, ...body } = answer.body as Record<string, string>
    expect(body).toMatchObject({ error: 'forbidden', code: one.code, rule: one.rule })
    expect(allowed).toMatch(one.allowed)
    expect(message?.length).toBeGreaterThan(20)
    expect(requestId).toBe(answer.headers.get('x-request-id'))
    expect(answer.headers.get('www-authenticate')).toBeNull()
  })

  it('C3 says both levels, the one that is needed and the one that is there', async () => {
    const { body } = await ask(`${gateway.url}/api/v1/admin/tokens`, writer)
    expect(body).toMatchObject({ message: 'level admin is needed, this credential has read-write' })
  })

  it('C2 a missing scope is answered with a challenge that names all that are needed', async () => {
    const scopes = ['stats:read', 'stats:write', 'webhooks:read']
    const answer = await ask(`${gateway.url}/api/v1/admin/tokens`, narrowAdmin, {
      json: { note: 'x', scopes, databases: ['second'] },
    })
    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({ error: 'forbidden', code: 'scope_missing', scopes })
    const challenge = answer.headers.get('www-authenticate') ?? ''
    expect(challenge).toMatch(/^Bearer /)
    expect(challenge).toContain('error="insufficient_scope"')
    expect(challenge).toContain(`scope="${scopes.join(' ')}"`)
    expect(challenge).toContain('resource_metadata="')
  })

  it.each(
    CASES.filter(
      ({ path, json }) =>
        path === '/mcp/tools/count_rows' ||
        path === '/mcp/tools/query_database' ||
        JSON.stringify(json ?? {}).includes('pg_read_file'),
    ),
  )('C2 C3 is told the same on MCP: $name', async (one) => {
    const args = one.json as Record<string, unknown>
    const [tool, given] =
      one.path === '/api/v1/query'
        ? ['query_database', { query: args['sql'] }]
        : [one.path.replace('/mcp/tools/', ''), args]
    const result = await callTool(gateway.url, one.token(), tool, given)
    expect(result.isError).toBe(true)
    const refused = result._meta?.['postern/refusal'] as Record<string, string>
    expect(refused).toMatchObject({ code: one.code, rule: one.rule })
    expect(refused['allowed']).toMatch(one.allowed)
    // A model reads only the text.
    for (const part of ['message', 'rule', 'allowed'])
      expect(result.content[0]?.text).toContain(refused[part])
  })

  it('C2 learns nothing of what it may not see: absent and forbidden look alike', async () => {
    const strip = ({ status, body }: Answer): unknown => [status, { ...(body as object), request_id: '' }]
    const there = await ask(`${gateway.url}/api/v1/query`, bound, {
      json: { sql: 'SELECT 1', database: 'first' },
    })
    const absent = await ask(`${gateway.url}/api/v1/query`, bound, {
      json: { sql: 'SELECT 1', database: 'third' },
    })
    expect(JSON.stringify(strip(there)).replace('first', 'third')).toBe(JSON.stringify(strip(absent)))
    const theirs = await gateway.issue({ note: 'theirs' })
    const nobodys = theirs.hash_prefix.slice(0, 8).replaceAll(/./g, (digit) => (digit === 'f' ? '0' : 'f'))
    for (const [name, none] of [
      [theirs.id, 'tok_none'],
      [theirs.hash_prefix.slice(0, 8), nobodys],
    ] as const) {
      const [one, other] = await Promise.all(
        [name, none].map((each) =>
          ask(`${gateway.url}/api/v1/admin/tokens/${each}`, elsewhereAdmin, { method: 'DELETE' }),
        ),
      )
      expect(one?.status).toBe(404)
      expect(one && strip(one)).toEqual(other && strip(other))
    }
    const { body } = await ask(`${gateway.url}/api/v1/admin/tokens`, elsewhereAdmin)
    expect((body as { tokens: { note: string }[] }).tokens.map(({ note }) => note)).toEqual(['elsewhere'])
  })

  it('C2 a tool nobody has is refused by its name on both wires', async () => {
    const rest = await ask(`${gateway.url}/mcp/tools/drop_everything`, reader, { json: {} })
    expect(rest).toMatchObject({
      status: 404,
      body: { error: 'not_found', code: 'unknown_tool', rule: 'tool' },
    })
    const mcp = await rpc(gateway.url, reader, 'tools/call', { name: 'drop_everything', arguments: {} })
    expect(mcp.body).toMatchObject({ error: { code: -32602, data: { code: 'unknown_tool', rule: 'tool' } } })
  })
})
