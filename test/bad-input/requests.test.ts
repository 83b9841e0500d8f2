import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type RunningGateway, servingPid, startGateway } from '../support/gateway.ts'
import { ask } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { head, type RawReply, sendRaw } from '../support/raw-http.ts'
import { type Bystander, watch } from './bystander.ts'

const FLOOD = fileURLToPath(new URL('../support/flood-client.ts', import.meta.url))
const run = promisify(execFile)
const WAIT = { timeout: 20_000, interval: 50 }
const MIB = 1_048_576

let database: TestDatabase
let gateway: RunningGateway
let token: string
let bystander: Bystander
const sockets: Socket[] = []

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  gateway = await startGateway({
    configuration: {
      databases: [{ name: 'main', url: database.readerUrl }],
      limits: { rows: 1_000_000, resultBytes: '8MiB', drain: '1s' },
    },
  })
  token = (await gateway.issue({ note: 'ill-mannered' })).token
})
afterAll(async () => {
  await gateway?.close()
  await database?.drop()
})
const memoryMib = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${servingPid(gateway.serving)}/status`, 'utf8'))?.[1]) /
  1024

const authorized = (more: readonly string[] = []): readonly string[] => [
  'Connection: close',
  `Authorization: Bearer ${token}`,
  'Content-Type: application/json',
  ...more,
]

const errorOf = (reply: RawReply): Record<string, unknown> => {
  expect(reply.body).not.toMatch(/\n\s*at |node_modules|RangeError/)
  return JSON.parse(reply.body) as Record<string, unknown>
}

/** Sends a request and reads nothing of the answer: the kernel's buffers fill, then the gateway's side stops. */
function neverReads(request: string): Socket {
  const socket = connect({ port: gateway.port, host: '127.0.0.1' })
  sockets.push(socket)
  socket.on('error', () => {})
  socket.pause()
  socket.write(request)
  return socket
}

const bodied = (path: string, json: unknown): string => {
  const body = JSON.stringify(json)
  return (
    head(`POST ${path}`, [
      `Authorization: Bearer ${token}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ]) + body
  )
}

/** Some 7 MB of rows, made by the database. */
const BIG = `SELECT repeat('x', 1000) FROM generate_series(1, 7000)`

describe('while another client asks', () => {
  // Whatever one client does: another one is answered before, meanwhile and afterwards.
  beforeEach(async () => {
    const other = (await gateway.issue({ note: 'bystander' })).token
    bystander = watch(gateway.url, other)
    await bystander.answered(3)
  })
  afterEach(async () => {
    await bystander.answered(3)
    const seen = await bystander.stop()
    for (const socket of sockets.splice(0)) socket.destroy()
    expect(seen.failures).toEqual([])
    expect(seen.slowestMs).toBeLessThan(10_000)
    expect(gateway.log().filter(({ level }) => level === 'ERROR')).toEqual([])
  })

  describe('a body of 100 MB', () => {
    it.each(['/api/v1/query', '/mcp/tools/query_database', '/mcp'])(
      'that is announced is refused before it comes: %s',
      async (path) => {
        const reply = await sendRaw(
          gateway.port,
          head(`POST ${path}`, authorized([`Content-Length: ${100 * MIB}`])),
        )
        expect(reply.status).toBe(413)
        expect(JSON.stringify(errorOf(reply))).toContain('body_too_large')
        expect(reply.body).toContain('bytes')
      },
    )

    it('that simply comes is cut off at the limit, and never held', async () => {
      const before = memoryMib()
      const heard: string[] = []
      for (let round = 0; round < 3; round += 1) {
        const floods = [1, 2, 3].map(() =>
          run(process.execPath, [FLOOD, String(gateway.port), token, '100'], { timeout: 25_000 }),
        )
        for (const { stdout } of await Promise.all(floods)) heard.push(stdout)
      }
      // A client that goes on sending may lose the reply to its own noise.
      expect(new Set(heard)).toEqual(new Set(heard.includes('none') ? ['413', 'none'] : ['413']))
      // 900 MB were sent. What was thrown away waits for the garbage collector for a while.
      expect(memoryMib() - before).toBeLessThan(300)
    })

    it('of a stranger is not read at all', async () => {
      const { stdout } = await run(process.execPath, [FLOOD, String(gateway.port), 'nobody', '100'], {
        timeout: 25_000,
      })
      expect(['401', 'none']).toContain(stdout)
    })
  })

  describe('JSON nested 100,000 deep', () => {
    const DEEP = 100_000
    it.each([
      ['arrays', '['.repeat(DEEP) + ']'.repeat(DEEP)],
      ['arrays that never close', '['.repeat(DEEP)],
      ['objects', `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`],
      [
        'both, inside an argument',
        `{"sql":"SELECT 1","params":${'[{"a":'.repeat(DEEP)}1${'}]'.repeat(DEEP)}}`,
      ],
    ])('gets 400 and the limit, on REST and MCP: %s', async (_, body) => {
      for (const path of ['/api/v1/query', '/mcp/tools/query_database', '/mcp']) {
        const reply = await sendRaw(gateway.port, [
          head(`POST ${path}`, authorized([`Content-Length: ${body.length}`])),
          body,
        ])
        expect(reply.status, path).toBe(400)
        expect(JSON.stringify(errorOf(reply)), path).toContain('invalid_request')
        expect(reply.body).toMatch(/nest|deep|levels/)
        if (path === '/mcp')
          expect(errorOf(reply)).toMatchObject({ jsonrpc: '2.0', error: { code: -32_700 } })
      }
    })

    it('inside SQL gets an answer, too: the parser follows no further than it can', async () => {
      for (const sql of [
        `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`,
        `SELECT ${'NOT '.repeat(20_000)}true`,
        `SELECT ${'1+'.repeat(40_000)}1`,
        `${'SELECT * FROM ('.repeat(3_000)}SELECT 1${') AS x'.repeat(3_000)}`,
      ]) {
        const { status, body } = await ask(`${gateway.url}/api/v1/query`, token, { json: { sql } })
        expect([400, 403]).toContain(status)
        expect((body as { rule: string }).rule).toMatch(/^sql\./)
      }
    })
  })

  describe('a header of 1 MB', () => {
    it.each([
      ['one header', [`X-Long: ${'x'.repeat(MIB)}`]],
      ['the credential', [`Authorization: Bearer ${'x'.repeat(MIB)}`]],
      ['ten thousand headers', Array.from({ length: 10_000 }, (_, at) => `X-${at}: ${'x'.repeat(90)}`)],
      ['a cookie', [`Cookie: ${'a=b; '.repeat(MIB / 5)}`]],
    ])('gets 431 and the limit: %s', async (_, headers) => {
      const reply = await sendRaw(gateway.port, head('GET /mcp/tools', headers))
      expect(reply.status).toBe(431)
      expect(errorOf(reply)).toMatchObject({
        error: 'too_large',
        code: 'headers_too_large',
        rule: 'limits.headerBytes',
      })
      expect(reply.closed).toBe(true)
    })

    it('as the address of the request gets 431, too', async () => {
      const reply = await sendRaw(gateway.port, head(`GET /mcp/tools?x=${'x'.repeat(MIB)}`, authorized()))
      expect(reply.status).toBe(431)
      expect(errorOf(reply)).toMatchObject({ code: 'headers_too_large' })
    })
  })

  describe('a client that never reads', () => {
    it('a big result holds no connection of the database and bounded memory', async () => {
      const before = memoryMib()
      for (let n = 0; n < 6; n += 1) neverReads(bodied('/api/v1/query', { sql: BIG }))
      await vi.waitFor(async () => {
        const { body } = await ask(
          `${gateway.url}/api/v1/admin/audit?tool=sql&kind=execution&limit=1000`,
          gateway.admin,
        )
        const big = (body as { entries: { row_count?: number }[] }).entries.filter(
          ({ row_count: rows }) => rows === 7_000,
        )
        expect(big.length).toBeGreaterThanOrEqual(6)
      }, WAIT)
      expect(memoryMib() - before).toBeLessThan(250)
      const answer = await ask(`${gateway.url}/api/v1/query`, token, { json: { sql: 'SELECT 1' } })
      expect(answer.status).toBe(200)
    })

    it('an event stream is cut off when too much waits, and its calls end with it', async () => {
      const stream = await fetch(`${gateway.url}/sse`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(25_000),
      })
      const reader = stream.body?.getReader()
      const first = new TextDecoder().decode((await reader?.read())?.value)
      const path = /data: (\S+)/.exec(first)?.[1] ?? ''
      expect(path).toMatch(/^\/message\?/)
      // The reader is not asked again: what comes now stays where it is.
      const call = (id: number) =>
        ask(`${gateway.url}${path}`, token, {
          json: {
            jsonrpc: '2.0',
            id,
            method: 'tools/call',
            params: { name: 'query_database', arguments: { query: BIG } },
          },
        })
      expect((await call(1)).status).toBe(202)
      await vi.waitFor(async () => {
        expect((await call(2)).status).toBe(404)
      }, WAIT)
      await reader?.cancel().catch(() => undefined)
    })

    it('event streams that are opened and left hold nobody up', async () => {
      for (let n = 0; n < 50; n += 1) {
        neverReads(head('GET /sse', [`Authorization: Bearer ${token}`]))
      }
      await bystander.answered(20)
    })

    it('a request that is sent a byte at a time holds nobody up', async () => {
      const slow = Array.from({ length: 20 }, () => neverReads('POST /mcp HTTP/1.1\r\nHost: loc'))
      for (let at = 0; at < 5; at += 1) {
        for (const socket of slow) socket.write('a')
        await bystander.answered(3)
      }
    })
  })
})

describe('in the end', () => {
  it('the gateway stops in time although clients do not read', async () => {
    for (let n = 0; n < 3; n += 1) neverReads(bodied('/api/v1/query', { sql: BIG }))
    for (let n = 0; n < 3; n += 1) neverReads(head('GET /sse', [`Authorization: Bearer ${token}`]))
    await vi.waitFor(async () => {
      const { body } = await ask(`${gateway.url}/api/v1/admin/audit?tool=sql&limit=1`, gateway.admin)
      expect(JSON.stringify(body)).toContain('"kind":"execution"')
    }, WAIT)
    expect((await ask(`${gateway.url}/api/v1/admin/audit/verify`, gateway.admin)).body).toMatchObject({
      intact: true,
    })
    const startedAt = performance.now()
    const { code } = await gateway.serving.stop()
    expect(code).toBe(0)
    // `limits.drain` is one second; streams have another for their last bytes.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    for (const socket of sockets.splice(0)) socket.destroy()
  })
})
