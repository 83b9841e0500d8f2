import { readFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { servingPid } from '../../support/gateway.ts'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import {
  configuration,
  issue,
  observe,
  type Observer,
  openRoom,
  ROOT,
  type Room,
  served,
  soon,
} from '../pgedge/room.ts'

const NDJSON = 'application/x-ndjson'
const CSV = 'text/csv'
const MIB = 1024 * 1024

/** What the product promises, and what a machine that does ten other things is given. Milliseconds. */
const PROMISED_MS = 100
const PATIENT_MS = 1_000

/** Rows without end, as far as any client here can read: not in FROM, where PostgreSQL would make all of them first. */
const ENDLESS = `SELECT generate_series(1, 1000000000) AS n, repeat('x', 100) AS filler`

let database: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving
let token: string
const open: ClientRequest[] = []

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  outside = await observe(database)
  room = await openRoom({
    'postern.yaml': configuration({
      limits: { drain: '100ms', streamTime: '4s' },
      databases: [served('shop', database, { statementTimeout: '2s' })],
    }),
    'bounded.yaml': configuration({
      limits: { drain: '100ms', streamRows: 10, resultBytes: '10KiB' },
      databases: [served('shop', database)],
    }),
    'long.yaml': configuration({ databases: [served('shop', database)] }),
  })
  gateway = await room.serve()
  token = (await issue(gateway, 'reader', { level: 'read-only' })).token
})

afterEach(() => {
  for (const one of open.splice(0)) one.destroy()
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await database?.drop()
})

interface Begun {
  readonly reply: IncomingMessage
  readonly request: ClientRequest
}

/** Sends a query and reads nothing of the reply but its head. */
function begin(
  sql: string,
  accept: string,
  as = token,
  { url }: Pick<Serving, 'url'> = gateway,
): Promise<Begun> {
  return new Promise((resolve, reject) => {
    const one = request(
      `${url}/api/v1/query`,
      {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', accept },
      },
      (reply) => {
        resolve({ reply, request: one })
      },
    )
    open.push(one)
    one.on('error', reject)
    one.end(JSON.stringify({ sql }))
  })
}

interface Read {
  readonly text: string
  /** The reply came to its end, as HTTP understands it. */
  readonly whole: boolean
  readonly endedAt: number
}

async function readAll(reply: IncomingMessage): Promise<Read> {
  const chunks: Buffer[] = []
  reply.on('data', (chunk: Buffer) => chunks.push(chunk))
  reply.resume()
  const whole = await new Promise<boolean>((resolve) => {
    reply.on('end', () => {
      resolve(true)
    })
    reply.on('error', () => {
      resolve(false)
    })
  })
  return { text: Buffer.concat(chunks).toString('utf8'), whole, endedAt: performance.now() }
}

const stream = async (sql: string, accept: string, as = token, of: Pick<Serving, 'url'> = gateway) => {
  const { reply } = await begin(sql, accept, as, of)
  return { status: reply.statusCode, headers: reply.headers, ...(await readAll(reply)) }
}

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** Megabytes that the gateway's process has in memory. */
const residentMib = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${servingPid(gateway)}/status`, 'utf8'))?.[1]) / 1024

const backends = (sql: string) => outside.backends(`%${sql.slice(0, 60)}%`)
const running = async (sql: string): Promise<number> =>
  (await backends(sql)).filter(({ state }) => state === 'active').length

/** The server waits for somebody to read. */
const heldBack = (): Promise<void> =>
  soon(async () => {
    const [one] = await outside.query<{ wait_event: string }>(
      'SELECT wait_event FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()',
      [`%${ENDLESS.slice(0, 60)}%`],
    )
    return one?.wait_event
  }).toBe('ClientWrite')

describe('X7 NDJSON', () => {
  it('X7 is one object a line and a last line about the rest', async () => {
    const { status, headers, text, whole } = await stream(
      `SELECT n AS id, 'a' || n AS name, NULL AS none, n AS id FROM generate_series(1, 3) n`,
      NDJSON,
    )
    expect({ status, whole }).toEqual({ status: 200, whole: true })
    expect(headers['content-type']).toBe('application/x-ndjson; charset=utf-8')
    const lines = linesOf(text)
    expect(lines.slice(0, -1)).toEqual([1, 2, 3].map((id) => ({ id, name: `a${id}`, none: null, id_2: id })))
    expect(lines.at(-1)).toEqual({
      database: 'shop',
      columns: [
        { name: 'id', type: 'int4' },
        { name: 'name', type: 'text' },
        { name: 'none', type: 'text' },
        { name: 'id', type: 'int4' },
      ],
      row_count: 3,
      truncated: false,
      command: 'SELECT 3',
      duration_ms: expect.any(Number) as number,
    })
  })

  it('X7 has its last line without rows, too, and the usual error before the first', async () => {
    expect(linesOf((await stream('SELECT 1 AS one WHERE false', NDJSON)).text)).toMatchObject([
      { row_count: 0 },
    ])
    const failed = await stream('SELECT 1 / 0', NDJSON)
    expect(failed.status).toBe(422)
    expect(failed.headers['content-type']).toContain('application/json')
    expect(JSON.parse(failed.text)).toMatchObject({ code: 'sql_failed', sqlstate: '22012' })
    expect((await stream('DELETE FROM items', NDJSON)).status).toBe(403)
  })

  it('X7 ends with the error that came after the first rows', async () => {
    const { status, text, whole } = await stream(
      'SELECT n, 1 / (200000 - n) AS q FROM generate_series(1, 300000) n',
      NDJSON,
    )
    expect({ status, whole }).toEqual({ status: 200, whole: true })
    const lines = linesOf(text)
    expect(lines.length).toBe(200_000)
    expect(lines.at(-1)).toMatchObject({ error: 'unprocessable', code: 'sql_failed', sqlstate: '22012' })
    await soon(
      async () =>
        (
          (await ask(`${gateway.url}/api/v1/admin/audit?tool=sql&kind=execution&limit=1`, ROOT)).body as {
            entries: unknown[]
          }
        ).entries,
    ).toMatchObject([{ outcome: 'refuse', rule: 'database.error' }])
  })
})

describe('X7 CSV', () => {
  it('X7 has a header line, quotes what needs it, and tells NULL from the empty text', async () => {
    const { headers, text, whole } = await stream(
      `SELECT * FROM (VALUES (1, 'plain', true), (2, 'a,"b"', NULL), (3, '', false), (4, E'x\\ny', NULL)) AS v (id, "the name", ok)`,
      CSV,
    )
    expect(whole).toBe(true)
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(text).toBe('id,the name,ok\r\n1,plain,t\r\n2,"a,""b""",\r\n3,"",f\r\n4,"x\ny",\r\n')
  })

  it('X7 is what PostgreSQL reads back as the same rows', async () => {
    const values = `SELECT n, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'",\\r\\n' || n ELSE 'é' END AS t,
      ARRAY[n, NULL], jsonb_build_object('n', n) FROM generate_series(1, 50) n`
    const { text } = await stream(values, CSV)
    await outside.query('CREATE TABLE back (n int, t text, a int[], j jsonb)')
    // COPY wants rows from a file or a program; a column of lines and its own parser do the same in SQL.
    const rows = parseCsv(text).slice(1)
    for (const row of rows) await outside.query('INSERT INTO back VALUES ($1, $2, $3, $4)', row)
    const different = await outside.query(
      `(${values} EXCEPT SELECT * FROM back) UNION ALL (SELECT * FROM back EXCEPT ${values})`,
    )
    expect(different).toEqual([])
    expect(rows).toHaveLength(50)
  })

  it('X7 keeps formulas as they are, or guards them for spreadsheets where that is asked for', async () => {
    const sql = `SELECT '=1+1' AS "=f", -1 AS n`
    expect((await stream(sql, CSV)).text).toBe('=f,n\r\n=1+1,-1\r\n')
    expect((await stream(sql, 'text/csv; formulas=guarded')).text).toBe('"\'=f",n\r\n"\'=1+1",-1\r\n')
  })

  it('X7 breaks off where an error came after the first rows: nobody takes half a file for whole', async () => {
    const { status, text, whole } = await stream(
      'SELECT n, 1 / (200000 - n) AS q FROM generate_series(1, 300000) n',
      CSV,
    )
    expect({ status, whole }).toEqual({ status: 200, whole: false })
    expect(text).not.toContain('error')
    const failing = fetch(`${gateway.url}/api/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: CSV },
      body: JSON.stringify({ sql: 'SELECT n, 1 / (200000 - n) FROM generate_series(1, 300000) n' }),
    }).then((reply) => reply.text())
    await expect(failing).rejects.toThrow()
  })
})

describe('X7 the choice of format', () => {
  it.each([
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['text/html', 'application/json'],
    ['text/*', 'text/csv'],
    ['text/csv, */*;q=0.1', 'text/csv'],
    ['text/csv;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['application/json;q=0, */*', 'application/x-ndjson'],
    ['application/json, text/csv', 'application/json'],
    ['TEXT/CSV', 'text/csv'],
    ['text/csv;q=abc', 'application/json'],
    [',;=,/;q', 'application/json'],
  ])('X7 Accept: %s gets %s', async (accept, type) => {
    const { status, headers } = await stream('SELECT 1 AS one', accept)
    expect(status).toBe(200)
    expect(headers['content-type']).toContain(type)
    expect(headers.vary).toContain('accept')
  })
})

describe('X7 streams are bounded', () => {
  it('X7 by rows and by the bytes of a row: NDJSON says so, CSV is an error', async () => {
    const bounded = await room.serve('serve', '--config', 'bounded.yaml', '--data-dir', '.bounded')
    const few = 'SELECT generate_series(1, 11) AS n'
    const ndjson = linesOf((await stream(few, NDJSON, ROOT, bounded)).text)
    expect(ndjson).toHaveLength(11)
    expect(ndjson.at(-1)).toMatchObject({ row_count: 10, truncated: true, truncated_by: 'rows' })
    const csv = await stream(few, CSV, ROOT, bounded)
    expect(csv.status).toBe(422)
    expect(JSON.parse(csv.text)).toMatchObject({ code: 'result_too_large', rule: 'limit.rows' })
    expect((await stream('SELECT generate_series(1, 10) AS n', CSV, ROOT, bounded)).status).toBe(200)

    const wide = `SELECT repeat('x', n * 4000) AS wide FROM generate_series(1, 5) n`
    expect(linesOf((await stream(wide, NDJSON, ROOT, bounded)).text).at(-1)).toMatchObject({
      row_count: 2,
      truncated_by: 'bytes',
    })
    expect(JSON.parse((await stream(`SELECT repeat('x', 20000)`, NDJSON, ROOT, bounded)).text)).toMatchObject(
      {
        code: 'result_too_large',
      },
    )
    await bounded.stop()
  })

  it('X7 by time in all, which is longer than that of a statement, and by silence, which is not', async () => {
    const startedAt = performance.now()
    const rows = `SELECT n, repeat('x', 2000) AS filler, pg_sleep(0.05) FROM generate_series(1, 1000) n`
    const { text, whole } = await stream(rows, NDJSON)
    const tookMs = performance.now() - startedAt
    expect(whole).toBe(true)
    expect(linesOf(text).at(-1)).toMatchObject({ error: 'timeout', code: 'sql_timeout' })
    expect(tookMs).toBeGreaterThan(3_500)
    await soon(() => running(rows)).toBe(0)

    const silent = await stream('SELECT pg_sleep(60)', NDJSON)
    expect(silent.status).toBe(504)
    expect(JSON.parse(silent.text)).toMatchObject({ code: 'sql_timeout', rule: 'limit.time' })
    await soon(() => running('SELECT pg_sleep(60)')).toBe(0)
    // The longer time was that statement's own.
    expect(JSON.parse((await stream('SHOW statement_timeout', 'application/json')).text)).toMatchObject({
      rows: [['2s']],
    })
  })
})

describe('X7 streams and their clients', () => {
  let long: Serving
  beforeAll(async () => {
    long = await room.serve('serve', '--config', 'long.yaml', '--data-dir', '.long')
  })
  const own = async (note: string) => issue(long, note, { level: 'read-only' })

  it.each([NDJSON, CSV])(
    'X7 %s of a million rows comes whole, in memory that does not grow',
    async (accept) => {
      const million = `SELECT n, 'row number ' || n AS name, n * 0.5 AS half FROM generate_series(1, 1000000) n`
      await stream(million, accept)
      const before = residentMib()
      let most = before
      const look = setInterval(() => {
        most = Math.max(most, residentMib())
      }, 50)
      const { text, whole } = await stream(million, accept)
      clearInterval(look)
      expect(whole).toBe(true)
      const lines = text.trimEnd().split('\n')
      expect(lines).toHaveLength(1_000_001)
      expect(accept === CSV ? lines.at(-1) : lines.at(-2)).toMatch(/1000000.*row number 1000000.*500000/)
      expect(most - before).toBeLessThan(100)
    },
  )

  it('X7 a client that reads slowly holds the server back, and costs no memory', async () => {
    const { token: mine } = await own('slow')
    const pid = servingPid(long)
    const memory = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
    const before = memory()
    const { reply } = await begin(ENDLESS, NDJSON, mine, long)
    reply.pause()
    await heldBack()
    expect(memory() - before).toBeLessThan(60)
    // It goes on where it had stopped.
    const read = await new Promise<number>((resolve) => {
      let bytes = 0
      reply.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > 64 * MIB) resolve(bytes)
      })
      reply.resume()
    })
    expect(read).toBeGreaterThan(64 * MIB)
  })

  it('X7 a client that goes away ends the statement at the server, reading or not', async () => {
    for (const reads of [true, false]) {
      const { token: mine } = await own('leaver')
      const sql = `${ENDLESS} /* ${reads ? 'reads' : 'waits'} */`
      const { reply, request: sent } = await begin(sql, NDJSON, mine, long)
      if (reads) reply.resume()
      else reply.pause()
      reply.on('error', () => {})
      const like = `%/* ${reads ? 'reads' : 'waits'} */%`
      await soon(async () => (await outside.backends(like)).length).toBe(1)
      const wentAt = performance.now()
      sent.destroy()
      await soon(async () => (await outside.backends(like)).length).toBe(0)
      expect(performance.now() - wentAt).toBeLessThan(PATIENT_MS)
    }
  })

  it.each([NDJSON, CSV])('X7 %s is cut within 100 ms when the credential is revoked', async (accept) => {
    const times: number[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      const { id, token: mine } = await own('revoked')
      const { reply } = await begin(ENDLESS, accept, mine, long)
      const ended = readAll(reply)
      await new Promise((resolve) => reply.once('data', resolve))
      const removed = await ask(`${long.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
      const revokedAt = performance.now()
      expect(removed.status).toBeLessThan(300)
      const { endedAt, whole, text } = await ended
      times.push(endedAt - revokedAt)
      const last = text.trimEnd().split('\n').at(-1) ?? ''
      if (whole) expect(JSON.parse(last)).toMatchObject({ code: 'unauthorized' })
      expect(accept === CSV && whole).toBe(false)
      await soon(() => running(ENDLESS)).toBe(0)
    }
    expect(Math.min(...times)).toBeLessThan(PROMISED_MS)
    expect(Math.max(...times)).toBeLessThan(PATIENT_MS)
  })

  it('X7 a client that does not read when its credential is revoked gets nothing more', async () => {
    const { id, token: mine } = await own('unread')
    const { reply } = await begin(ENDLESS, NDJSON, mine, long)
    reply.pause()
    await heldBack()
    await ask(`${long.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
    await soon(() => running(ENDLESS)).toBe(0)
    const { whole } = await readAll(reply)
    expect(whole).toBe(false)
  })

  it('X7 a database that is gone in the middle is told in NDJSON, and breaks CSV off', async () => {
    for (const accept of [NDJSON, CSV]) {
      const { token: mine } = await own('orphan')
      const { reply } = await begin(ENDLESS, accept, mine, long)
      const ended = readAll(reply)
      await new Promise((resolve) => reply.once('data', resolve))
      await outside.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()`,
        [`%${ENDLESS.slice(0, 60)}%`],
      )
      const { whole, text } = await ended
      expect(whole).toBe(accept === NDJSON)
      if (accept === NDJSON)
        expect(JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
          code: 'database_unavailable',
        })
    }
  })

  it('X7 a gateway that stops does not wait for a stream longer than for other requests', async () => {
    const { reply } = await begin(ENDLESS, NDJSON, ROOT, long)
    const ended = readAll(reply)
    await new Promise((resolve) => reply.once('data', resolve))
    await long.stop()
    expect((await ended).text).not.toContain('"row_count"')
    await soon(() => running(ENDLESS)).toBe(0)
  })
})

/** RFC 4180, with PostgreSQL's difference between nothing and `""`. */
function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y
  let row: (string | null)[] = []
  while (field.lastIndex < text.length) {
    const [, quoted, bare = '', separator] = field.exec(text) ?? []
    if (separator === undefined) throw new Error('this is no CSV')
    row.push(quoted === undefined ? (bare === '' ? null : bare) : quoted.replaceAll('""', '"'))
    if (separator === ',') continue
    rows.push(row)
    row = []
  }
  return rows
}
