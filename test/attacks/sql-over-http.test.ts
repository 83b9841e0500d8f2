import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  configuration,
  issue,
  observe,
  type Observer,
  openRoom,
  type Room,
  served,
  soon,
} from '../acceptance/pgedge/room.ts'
import type { Serving } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { head, sendRaw } from '../support/raw-http.ts'

const JSON_TYPE = 'application/json'
const NDJSON = 'application/x-ndjson'
const CSV = 'text/csv'

/** PostgreSQL's own limit. */
const MOST_COLUMNS = 1_664

let database: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving
let port: number
let reader: string
let admin: string
const ascii = `ascii_${randomBytes(6).toString('hex')}`

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  outside = await observe(database)
  await outside.query(
    `CREATE DATABASE ${ascii} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' STRATEGY FILE_COPY`,
  )
  const inAscii = (url: string): string => url.replace(/[^/]+$/, ascii)
  const { readerUrl, writerUrl } = database
  room = await openRoom({
    'postern.yaml': configuration({
      databases: [
        served('shop', database),
        served('ascii', { readerUrl: inAscii(readerUrl), writerUrl: inAscii(writerUrl) }),
      ],
    }),
  })
  gateway = await room.serve()
  port = Number(new URL(gateway.url).port)
  reader = (await issue(gateway, 'reader', { level: 'read-only' })).token
  admin = (await issue(gateway, 'admin', { level: 'admin' })).token
})

afterAll(async () => {
  await room?.close()
  await outside?.query(`DROP DATABASE IF EXISTS ${ascii} WITH (FORCE)`)
  await outside?.close()
  await database?.drop()
})

interface Reply {
  readonly status: number
  readonly type: string
  readonly bytes: Buffer
  readonly text: string
}

async function query(accept: string, body: unknown, token = reader): Promise<Reply> {
  const reply = await fetch(`${gateway.url}/api/v1/query`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': JSON_TYPE, accept },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const bytes = Buffer.from(await reply.arrayBuffer())
  const type = reply.headers.get('content-type') ?? ''
  return { status: reply.status, type, bytes, text: bytes.toString('utf8') }
}

const request = (body: string, headers: readonly string[] = []): string =>
  head('POST /api/v1/query', [
    `Authorization: Bearer ${reader}`,
    `Content-Type: ${JSON_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ]) + body

const documents = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)

const backends = async (like: string): Promise<number> => (await outside.backends(like)).length

describe('requests that are not what they should be', () => {
  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'TRACE'])('run nothing as %s', async (method) => {
    const reply = await sendRaw(
      port,
      head(`${method} /api/v1/query?sql=SELECT%201`, [
        `Authorization: Bearer ${reader}`,
        'Connection: close',
      ]),
    )
    expect(reply.status).toBe(405)
    expect(reply.body).not.toContain('rows')
  })

  it('run nothing without a credential, and say nothing to the preflight of a stranger', async () => {
    const reply = await sendRaw(
      port,
      head('OPTIONS /api/v1/query', [
        'Origin: https://elsewhere.example',
        'Access-Control-Request-Method: POST',
        'Connection: close',
      ]),
    )
    expect(reply.head.toLowerCase()).not.toContain('access-control-allow-origin')
    const bare = await sendRaw(port, request('{"sql":"SELECT 1"}').replace(/Authorization: .*\r\n/, ''))
    expect(bare.status).toBe(401)
  })

  it('are refused compressed, with a key twice, or nested without end', async () => {
    const gzip = gzipSync('{"sql":"SELECT 1"}')
    const lines = ['Content-Encoding: gzip', `Content-Length: ${gzip.length}`, `Content-Type: ${JSON_TYPE}`]
    const compressed = await sendRaw(port, [
      head('POST /api/v1/query', [`Authorization: Bearer ${reader}`, ...lines]),
      gzip,
    ])
    expect(compressed.status).toBe(415)
    const twice = await query(JSON_TYPE, '{"sql":"SELECT 1","sql":"DELETE FROM items"}')
    expect(twice.status).toBe(400)
    const deep = await query(
      JSON_TYPE,
      `{"sql":"SELECT 1","params":[${'['.repeat(50_000)}${']'.repeat(50_000)}]}`,
    )
    expect(deep.status).toBe(400)
  })

  it('are refused with more values than the protocol has room for, in few words', async () => {
    const { status, text } = await query(JSON_TYPE, {
      sql: 'SELECT 1',
      params: Array<number>(65_536).fill(1),
    })
    expect(status).toBe(400)
    expect(text.length).toBeLessThan(500)
  })

  it('get the format they ask for, however long they ask', async () => {
    const many = `${'text/csv;q=0.5,'.repeat(900)}${NDJSON}`
    expect((await query(many, { sql: 'SELECT 1' })).type).toContain(NDJSON)
    expect((await query(`${CSV};q=1e999, ${CSV};q=-1`, { sql: 'SELECT 1' })).type).toContain(JSON_TYPE)
  })

  it('are answered in their order when they come in one packet', async () => {
    const one = request('{"sql":"SELECT pg_sleep(0.2), 1 AS slow"}', [`Accept: ${NDJSON}`])
    const other = request('{"sql":"SELECT 2 AS fast"}', [`Accept: ${CSV}`, 'Connection: close'])
    const { all } = await sendRaw(port, one + other)
    expect(all.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    expect(all.indexOf('"slow":1')).toBeGreaterThan(0)
    expect(all.indexOf('fast\r\n2\r\n')).toBeGreaterThan(all.indexOf('"slow":1'))
  })

  it('leave no statement running when their client closes its side', async () => {
    const mark = randomBytes(6).toString('hex')
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    socket.write(request(`{"sql":"SELECT pg_sleep(600) /* ${mark} */"}`))
    await soon(() => backends(`%${mark}%`)).toBe(1)
    socket.end()
    await soon(() => backends(`%${mark}%`)).toBe(0)
    socket.destroy()
  })
})

describe('names and values that look like something else', () => {
  const NAME = 'a"\n{"row_count":0}\r\n\u2028,é😀'
  const sql = `SELECT 1 AS "${NAME.replaceAll('"', '""')}", E'x\\n{"row_count":9,"truncated":false}\\r\\n' AS v, 3 AS "__proto__"`

  it('are one line of NDJSON, and one row of JSON', async () => {
    const lines = documents((await query(NDJSON, { sql })).text)
    expect(lines).toHaveLength(2)
    expect(Object.entries(lines[0] as object)).toEqual([
      [NAME, 1],
      ['v', 'x\n{"row_count":9,"truncated":false}\r\n'],
      ['__proto__', 3],
    ])
    expect(lines[1]).toMatchObject({ row_count: 1 })
    expect(JSON.parse((await query(JSON_TYPE, { sql })).text)).toMatchObject({
      columns: [{ name: NAME }, { name: 'v' }, { name: '__proto__' }],
      rows: [[1, 'x\n{"row_count":9,"truncated":false}\r\n', 3]],
    })
  })

  it('are quoted in CSV, and so is what would end the data for COPY', async () => {
    expect((await query(CSV, { sql })).text).toBe(
      `"${NAME.replaceAll('"', '""')}",v,__proto__\r\n1,"x\n{""row_count"":9,""truncated"":false}\r\n",3\r\n`,
    )
    const end = await query(CSV, { sql: `SELECT '\\.' AS "\\." UNION ALL SELECT ' x '` })
    expect(end.text).toBe('"\\."\r\n"\\."\r\n x \r\n')
  })

  it('may be as many as PostgreSQL has room for, and none', async () => {
    const many = `SELECT ${Array<string>(MOST_COLUMNS).fill('1').join(', ')}`
    expect(JSON.parse((await query(JSON_TYPE, { sql: many })).text)).toMatchObject({
      rows: [Array<number>(MOST_COLUMNS).fill(1)],
    })
    const [row] = documents((await query(NDJSON, { sql: many })).text)
    expect(Object.keys(row as object)).toHaveLength(MOST_COLUMNS)
    expect((await query(CSV, { sql: many })).text.split('\r\n')[1]).toBe(`1${',1'.repeat(MOST_COLUMNS - 1)}`)
    expect((await query(JSON_TYPE, { sql: `${many}, 1` })).text).toContain('54011')
    const none = 'SELECT FROM generate_series(1, 2)'
    expect((await query(CSV, { sql: none })).text).toBe('\r\n\r\n\r\n')
    expect(documents((await query(NDJSON, { sql: none })).text)).toMatchObject([{}, {}, { row_count: 2 }])
  })
})

describe('values that JSON has no place for', () => {
  it.each([
    [`'NaN'::float8`, 'NaN'],
    [`'-Infinity'::float4`, '-Infinity'],
    [`'Infinity'::numeric`, 'Infinity'],
    [`'NaN'::numeric`, 'NaN'],
    [`'-0'::float8`, -0],
    ['1e-07::float8', 1e-7],
    ['9223372036854775807::int8', '9223372036854775807'],
    ['-9007199254740991::int8', -9007199254740991],
    ['0.10000000000000000001::numeric', '0.10000000000000000001'],
    [`'infinity'::timestamptz`, 'infinity'],
    [`'-infinity'::date`, '-infinity'],
    [`'4713-01-01 BC'::date`, '4713-01-01 BC'],
    [`'{"a": 1e400, "b": 1}'::json`, { a: '1e400', b: 1 }],
    [`'{"a": 12345678901234567890}'::jsonb`, { a: '12345678901234567890' }],
    [`'{"__proto__": {"x": 12345678901234567890}}'::json ->> '__proto__'`, '{"x": 12345678901234567890}'],
    [`'{"a": 1, "a": 2}'::json`, { a: 2 }],
  ])('keep what they are: %s', async (expression, value) => {
    const sql = `SELECT ${expression} AS v`
    const whole = JSON.parse((await query(JSON_TYPE, { sql })).text) as { rows: unknown[][] }
    expect(whole.rows).toStrictEqual([[value]])
    expect(documents((await query(NDJSON, { sql })).text)[0]).toStrictEqual({ v: value })
  })
})

describe('answers are UTF-8', () => {
  const LATIN1 = `set_config('client_encoding', 'LATIN1', true)`

  it.each([
    ['reads', `SELECT ${LATIN1}, 'é' AS e`],
    ['writes', `INSERT INTO noted VALUES ('é') RETURNING ${LATIN1}, e`],
  ])('also where an administrator makes PostgreSQL speak otherwise: %s', async (_, sql) => {
    await outside.query('CREATE TABLE IF NOT EXISTS noted (e text)')
    await outside.query('GRANT ALL ON noted TO PUBLIC')
    for (const accept of [JSON_TYPE, NDJSON, CSV]) {
      const { status, text } = await query(accept, { sql }, admin)
      expect({ status, text }).toMatchObject({
        status: 422,
        text: expect.stringContaining('"sqlstate":"22021"') as string,
      })
    }
    expect((await query(CSV, { sql: `SELECT 'é' AS e` }, admin)).text).toBe('e\r\né\r\n')
  })

  it('also where the database holds bytes that are none', async () => {
    const sql = `SELECT convert_from('\\xc3a9'::bytea, 'SQL_ASCII') AS e`
    expect((await query(CSV, { database: 'ascii', sql })).text).toBe('e\r\né\r\n')
    for (const accept of [JSON_TYPE, NDJSON, CSV]) {
      const broken = await query(accept, { database: 'ascii', sql: sql.replace('c3a9', 'e9') })
      expect(broken.status).toBe(422)
      expect(JSON.parse(broken.text)).toMatchObject({ code: 'sql_failed', sqlstate: '22021' })
    }
  })
})
