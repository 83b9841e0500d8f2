import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FAULT_CODES } from '../../../src/lib/fault.ts'
import { REFUSAL_CODES } from '../../../src/access/refusal.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { head, type RawReply, sendRaw } from '../../support/raw-http.ts'

const BODY_BYTES = 2_048
const JSON_DEPTH = 8

let database: TestDatabase
let gateway: RunningGateway

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  gateway = await startGateway({
    configuration: {
      databases: [{ name: 'main', url: database.readerUrl }],
      limits: { bodyBytes: BODY_BYTES, jsonDepth: JSON_DEPTH },
    },
  })
})
afterAll(async () => {
  await gateway?.close()
  await database?.drop()
})

interface Operation {
  readonly method: string
  readonly path: string
  readonly hasBody: boolean
  readonly isPublic: boolean
  readonly takesForms: boolean
  readonly statuses: readonly number[]
}

interface OpenApi {
  readonly components: { readonly schemas: { readonly Error: object } }
  readonly paths: Record<
    string,
    Record<string, { requestBody?: object; security?: readonly unknown[]; responses: Record<string, object> }>
  >
}

async function openApi(): Promise<OpenApi> {
  return (await ask(`${gateway.url}/api/v1/openapi.json`, gateway.admin)).body as OpenApi
}

/** Every operation of every REST route, with names in the place of its parameters. */
async function operations(): Promise<readonly Operation[]> {
  const { paths } = await openApi()
  const all = Object.entries(paths).flatMap(([pattern, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: pattern
        .replace('{tool}', 'query_database')
        .replace('{id}', 'tok_none')
        .replace('{server}', 'none')
        .replace('{principal}', 'none')
        .replace('{provider}', 'none')
        .replace('{resource}', 'mcp'),
      hasBody: operation.requestBody !== undefined,
      isPublic: operation.security?.length === 0,
      takesForms: pattern === '/mcp/tools/{tool}',
      statuses: Object.keys(operation.responses).map(Number),
    })),
  )
  expect(all.length).toBeGreaterThan(14)
  expect(all.filter(({ hasBody }) => hasBody).length).toBeGreaterThan(3)
  return all
}

interface Sent {
  readonly method: string
  readonly path: string
  readonly type?: string
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
}

const send = ({ method, path, type, headers = [], body }: Sent): Promise<RawReply> => {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const lines = [
    'Connection: close',
    `Authorization: Bearer ${gateway.admin}`,
    ...(type === undefined ? [] : [`Content-Type: ${type}`]),
    ...(bytes === undefined ? [] : [`Content-Length: ${bytes.length}`]),
    ...headers,
  ]
  return sendRaw(gateway.port, [head(`${method} ${path}`, lines), ...(bytes === undefined ? [] : [bytes])])
}

/** Where a stack, a file of ours or a library's words would show. */
const INSIDES = /\n\s*at |node_modules|\.[cm]?[jt]s\b|node:|ZodError|SyntaxError|TypeError|Unexpected token/

let matchesErrorSchema: ((body: unknown) => boolean) | undefined

/** The one shape: what OpenAPI says, a code that is documented, a message for a person, no insides. */
async function expectError(reply: RawReply, status: number, code: string, what: string): Promise<void> {
  expect(reply.status, `${what}: ${reply.all.slice(0, 300)}`).toBe(status)
  expect(reply.head, what).toMatch(/^content-type: application\/json; charset=utf-8$/im)
  const body = JSON.parse(reply.body) as Record<string, string>
  matchesErrorSchema ??= new Ajv2020({ strict: false }).compile((await openApi()).components.schemas.Error)
  expect(matchesErrorSchema(body), `${what}: ${reply.body}`).toBe(true)
  expect(body['code'], what).toBe(code)
  expect([...REFUSAL_CODES, ...FAULT_CODES]).toContain(code)
  expect(body['message']?.length, what).toBeGreaterThan(10)
  expect(reply.body, what).not.toMatch(INSIDES)
  expect(reply.head).toMatch(new RegExp(`^x-request-id: ${body['request_id']}$`, 'im'))
}

const MALFORMED: Readonly<Record<string, string | Buffer>> = {
  'an open brace': '{',
  'a cut string': '{"sql": "SELECT',
  'single quotes': `{'sql': 1}`,
  'a comma too many': '{"sql": "SELECT 1",}',
  'a comment': '{"sql": "SELECT 1" /* x */}',
  'something after the end': '{} {}',
  'a key twice': '{"sql": "SELECT 1", "sql": "SELECT 2"}',
  'no value JSON knows': '{"sql": undefined}',
  'a number JSON does not know': '{"sql": NaN}',
  'half a surrogate written out as bytes': Buffer.from([
    0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d,
  ]),
  'bytes that are not UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  'a form': 'sql=SELECT+1',
  'nesting beyond the limit': `${'['.repeat(JSON_DEPTH + 1)}${']'.repeat(JSON_DEPTH + 1)}`,
}

/** Bodies with nothing wrong in them, by the end of the path. */
const GOOD: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  '/query_database': { query: 'SELECT 1' },
  '/query': { sql: 'SELECT 1' },
  '/tokens': { note: 'x' },
  '/rotate': { grace: '1h' },
}

describe('C6 REST: one JSON error shape on every route', () => {
  it.each(Object.keys(MALFORMED))('C6 malformed JSON is 400 everywhere: %s', async (name) => {
    for (const { method, path } of (await operations()).filter(({ hasBody }) => hasBody)) {
      const reply = await send({ method, path, type: 'application/json', body: MALFORMED[name] ?? '' })
      await expectError(reply, 400, 'invalid_request', `${method} ${path}`)
    }
  })

  it.each(['[]', '"x"', '1', 'null', 'true'])(
    'C6 a body that is not an object is 400 everywhere: %s',
    async (body) => {
      for (const { method, path } of (await operations()).filter(({ hasBody }) => hasBody)) {
        const reply = await send({ method, path, type: 'application/json', body })
        await expectError(reply, 400, 'invalid_request', `${method} ${path}`)
      }
    },
  )

  it('C6 an over-long body is 413 everywhere, whether its length is announced or not', async () => {
    const body = JSON.stringify({ sql: 'x'.repeat(BODY_BYTES) })
    for (const { method, path } of (await operations()).filter(({ hasBody }) => hasBody)) {
      const announced = await send({ method, path, type: 'application/json', body })
      await expectError(announced, 413, 'body_too_large', `${method} ${path}`)
      const chunked = await sendRaw(gateway.port, [
        head(`${method} ${path}`, [
          'Connection: close',
          `Authorization: Bearer ${gateway.admin}`,
          'Content-Type: application/json',
          'Transfer-Encoding: chunked',
        ]),
        `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      ])
      await expectError(chunked, 413, 'body_too_large', `${method} ${path}, in chunks`)
      expect(JSON.parse(chunked.body)).toMatchObject({
        rule: 'limits.bodyBytes',
        allowed: `bodies up to ${BODY_BYTES} bytes`,
      })
    }
  })

  it.each([
    'text/plain',
    'application/xml',
    'multipart/form-data; boundary=x',
    'application/json; charset=latin1',
    'application/jsonp',
    'application/x-www-form-urlencoded',
  ])('C6 a body of type %s is 415 everywhere', async (type) => {
    for (const { method, path, takesForms } of (await operations()).filter(({ hasBody }) => hasBody)) {
      // What `curl -d` says by itself is taken for JSON where people try things out.
      if (takesForms && type === 'application/x-www-form-urlencoded') continue
      await expectError(
        await send({ method, path, type, body: '{}' }),
        415,
        'unsupported_media_type',
        `${method} ${path}`,
      )
    }
  })

  it.each(['gzip', 'br', 'deflate', 'x'])(
    'C6 a body compressed with %s is 415 everywhere',
    async (encoding) => {
      for (const { method, path } of (await operations()).filter(({ hasBody }) => hasBody)) {
        const reply = await send({
          method,
          path,
          type: 'application/json',
          headers: [`Content-Encoding: ${encoding}`],
          body: '{}',
        })
        await expectError(reply, 415, 'unsupported_media_type', `${method} ${path}`)
      }
    },
  )

  it('C6 an unknown field is 400 everywhere, and the message names it and the fields there are', async () => {
    for (const { method, path } of (await operations()).filter(({ hasBody }) => hasBody)) {
      const good = Object.entries(GOOD).find(([end]) => path.endsWith(end))?.[1]
      const body = JSON.stringify({ ...good, databse: 'x' })
      const reply = await send({ method, path, type: 'application/json', body })
      const code = path.startsWith('/mcp/tools/') ? 'invalid_arguments' : 'invalid_request'
      await expectError(reply, 400, code, `${method} ${path}`)
      expect(reply.body).toContain(String.raw`\"databse\"`)
    }
  })

  it('C6 a wrong method is 405 everywhere, with the methods there are', async () => {
    const all = await operations()
    for (const path of new Set(all.map((operation) => operation.path))) {
      const served = new Set(all.filter((one) => one.path === path).map(({ method }) => method))
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !served.has(one))) {
        const reply = await send({ method, path })
        await expectError(reply, 405, 'method_not_allowed', `${method} ${path}`)
        const allow = /^allow: (.*)$/im.exec(reply.head)?.[1]?.split(', ') ?? []
        expect(allow).toEqual(expect.arrayContaining([...served]))
        expect(allow).not.toContain(method)
      }
      const options = await send({ method: 'OPTIONS', path })
      expect([options.status, options.body]).toEqual([204, ''])
      // Node's parser knows more methods than a gateway serves, and none of these.
      await expectError(
        await send({ method: 'PROPFIND', path }),
        405,
        'method_not_allowed',
        `PROPFIND ${path}`,
      )
      await expectError(await send({ method: 'BREW', path }), 400, 'invalid_request', `BREW ${path}`)
    }
  })

  it('C6 an unknown or doubled query parameter is 400 wherever a credential is needed', async () => {
    for (const { method, path, isPublic } of await operations()) {
      if (isPublic) {
        expect((await send({ method, path: `${path}?nocache=1` })).status, path).toBeLessThan(500)
        continue
      }
      const type = method === 'POST' ? { type: 'application/json', body: '{}' } : {}
      const unknown = await send({ method, path: `${path}?databse=1`, ...type })
      await expectError(unknown, 400, 'invalid_request', `${method} ${path}`)
      expect(unknown.body).toContain(String.raw`query parameter \"databse\"`)
      const twice = await send({ method, path: `${path}?tool=1&tool=2`, ...type })
      await expectError(twice, 400, 'invalid_request', `${method} ${path}, twice`)
    }
  })

  it('C6 a body where none belongs is 400, and on GET it is not looked at', async () => {
    for (const { method, path, hasBody } of await operations()) {
      if (hasBody) continue
      const reply = await send({ method, path, type: 'application/json', body: '{"x": ' })
      if (method !== 'GET') await expectError(reply, 400, 'invalid_request', `${method} ${path}`)
      else expect(reply.status, `${method} ${path}`).toBe((await send({ method, path })).status)
    }
  })

  it('C6 an odd part of a path is 4xx, never more', async () => {
    for (const part of [
      '%00',
      '%ff',
      '%2e%2e%2f',
      'x'.repeat(5_000),
      '%F0%9F%98%80',
      '..',
      "';--",
      '{tool}',
    ]) {
      for (const [method, path] of [
        ['POST', `/mcp/tools/${part}`],
        ['DELETE', `/api/v1/admin/tokens/${part}`],
        ['POST', `/api/v1/admin/tokens/${part}/rotate`],
        ['GET', `/.well-known/oauth-protected-resource/${part}`],
      ] as const) {
        const reply = await send({
          method,
          path,
          ...(method === 'POST' ? { type: 'application/json', body: '{}' } : {}),
        })
        expect([400, 404], `${method} ${path}: ${reply.body}`).toContain(reply.status)
        await expectError(reply, reply.status, JSON.parse(reply.body).code, `${method} ${path}`)
      }
    }
  })

  it('C6 what a route answers is what its documentation lists', async () => {
    const bad: readonly (readonly [status: number, sent: Omit<Sent, 'method' | 'path'>])[] = [
      [400, { type: 'application/json', body: '{' }],
      [413, { type: 'application/json', body: ' '.repeat(BODY_BYTES + 1) }],
      [415, { type: 'text/plain', body: '{}' }],
    ]
    for (const operation of (await operations()).filter(({ hasBody }) => hasBody)) {
      for (const [status, sent] of bad) {
        expect((await send({ ...operation, ...sent })).status).toBe(status)
        expect(operation.statuses, `${operation.method} ${operation.path}`).toContain(status)
      }
    }
    for (const { path, isPublic, statuses } of await operations()) {
      if (!isPublic) expect(statuses, path).toContain(401)
    }
  })

  it('C6 what is no HTTP at all gets the same shape', async () => {
    for (const bytes of [
      '\u0016\u0003\u0001\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'GET /health HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n',
      'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    ]) {
      await expectError(await sendRaw(gateway.port, bytes), 400, 'invalid_request', JSON.stringify(bytes))
    }
  })
})

interface RpcError {
  readonly jsonrpc: string
  readonly id: unknown
  readonly error: {
    readonly code: number
    readonly message: string
    readonly data?: { readonly code: string }
  }
}

const MCP_PATHS = ['/mcp', '/mcp/v1', '/_mcp', '/mcp/'] as const

async function expectRpcError(
  sent: Omit<Sent, 'method'>,
  status: number,
  code: number,
  id: unknown,
): Promise<RpcError['error']> {
  const answers = new Set<string>()
  let error: RpcError['error'] | undefined
  for (const path of MCP_PATHS) {
    const reply = await send({ method: 'POST', ...sent, path })
    expect(reply.status, `${path}: ${reply.all.slice(0, 300)}`).toBe(status)
    expect(reply.head).toMatch(/^content-type: application\/json/im)
    expect(reply.body).not.toMatch(INSIDES)
    const body = JSON.parse(reply.body) as RpcError
    expect(body).toMatchObject({ jsonrpc: '2.0', id, error: { code } })
    expect(body.error.message.length).toBeGreaterThan(10)
    ;({ error } = body)
    answers.add(reply.body.replaceAll(/"request_id":"[^"]*"/g, ''))
  }
  expect([...answers], 'one endpoint under all its names').toHaveLength(1)
  return error as RpcError['error']
}

const json = 'application/json'
const call = (params: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params })

describe('C6 MCP: one JSON-RPC error mapping on every address', () => {
  it.each(Object.entries(MALFORMED))('C6 malformed JSON is -32700: %s', async (_, body) => {
    const error = await expectRpcError({ path: '', type: json, body }, 400, -32_700, null)
    expect(error.data).toMatchObject({ code: 'invalid_request', rule: 'http.json' })
  })

  it('C6 an over-long body is 413, a wrong type 415, both -32600', async () => {
    const long = await expectRpcError(
      { path: '', type: json, body: ' '.repeat(BODY_BYTES + 1) },
      413,
      -32_600,
      null,
    )
    expect(long.data).toMatchObject({ code: 'body_too_large' })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const wrong = await expectRpcError({ path: '', type, body: '{}' }, 415, -32_600, null)
      expect(wrong.data).toMatchObject({ code: 'unsupported_media_type' })
    }
  })

  it.each([
    ['a string', '"x"'],
    ['null', 'null'],
    ['an empty batch', '[]'],
    ['another JSON-RPC', '{"jsonrpc":"1.0","method":"ping"}'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
    ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['a method that is a number', '{"jsonrpc":"2.0","method":1}'],
  ])('C6 JSON that is no message is -32600: %s', async (_, body) => {
    await expectRpcError({ path: '', type: json, body }, 400, -32_600, null)
  })

  it('C6 an unknown method is -32601, a tool nobody has and bad parameters -32602', async () => {
    const unknown = '{"jsonrpc":"2.0","id":7,"method":"prompts/nothing"}'
    await expectRpcError({ path: '', type: json, body: unknown }, 200, -32_601, 7)
    const nobody = await expectRpcError(
      { path: '', type: json, body: call({ name: 'nobody', arguments: {} }) },
      200,
      -32_602,
      7,
    )
    expect(nobody.data).toMatchObject({ code: 'unknown_tool', rule: 'tool' })
    for (const params of [
      undefined,
      {},
      { name: 1 },
      { name: 'query_database', arguments: [] },
      { name: '' },
    ]) {
      await expectRpcError({ path: '', type: json, body: call(params) }, 200, -32_602, 7)
    }
  })

  it('C6 bad arguments of a tool are a result that a model can read, with the same code as on REST', async () => {
    for (const args of [{}, { query: 1 }, { query: 'SELECT 1', databse: 'x' }, { query: '' }]) {
      const rest = await send({
        method: 'POST',
        path: '/mcp/tools/query_database',
        type: json,
        body: JSON.stringify(args),
      })
      const { code, message, rule } = JSON.parse(rest.body) as Record<string, string>
      expect(code).toBe('invalid_arguments')
      const mcp = await send({
        method: 'POST',
        path: '/mcp',
        type: json,
        body: call({ name: 'query_database', arguments: args }),
      })
      expect(JSON.parse(mcp.body)).toMatchObject({
        id: 7,
        result: { isError: true, _meta: { 'postern/refusal': { code, message, rule } } },
      })
      expect(mcp.body).not.toMatch(INSIDES)
    }
  })

  it('C6 a wrong method is 405 with the methods there are, in JSON-RPC', async () => {
    for (const [path, allow] of [
      ['/mcp', 'POST, GET, DELETE'],
      ['/mcp/v1', 'POST, GET, DELETE'],
      ['/_mcp', 'POST, GET, DELETE'],
      ['/sse', 'GET'],
      ['/message', 'POST'],
    ] as const) {
      for (const method of ['PUT', 'PATCH', ...(allow.includes('DELETE') ? [] : ['DELETE'])]) {
        const reply = await send({ method, path })
        expect(reply.status).toBe(405)
        expect(reply.head).toMatch(new RegExp(`^allow: ${allow}$`, 'im'))
        expect(JSON.parse(reply.body)).toMatchObject({
          jsonrpc: '2.0',
          error: { data: { code: 'method_not_allowed' } },
        })
      }
    }
  })

  it('C6 the gateway is none the worse for any of it', async () => {
    expect(
      (await ask(`${gateway.url}/api/v1/query`, gateway.admin, { json: { sql: 'SELECT 1' } })).body,
    ).toMatchObject({
      rows: [[1]],
    })
    expect(gateway.log().filter(({ level }) => level === 'ERROR')).toEqual([])
  })
})
