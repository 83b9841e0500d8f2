import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { killHard, type RunningGateway, startGateway } from '../support/gateway.ts'
import { ask, type Serving, serve } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

const WAIT = { timeout: 20_000, interval: 50 }

let database: TestDatabase
let gateway: RunningGateway
let token: string
let id: string
let restarted: Serving | undefined

beforeEach(async () => {
  database = await (await testPostgres()).createDatabase()
  gateway = await startGateway({
    configuration: { databases: [{ name: 'main', url: database.readerUrl, statementTimeout: '3s' }] },
  })
  ;({ token, id } = await gateway.issue({ note: 'busy' }))
})
afterEach(async () => {
  await restarted?.stop()
  restarted = undefined
  await gateway?.close()
  await database?.drop()
})

interface Entry {
  readonly seq: number
  readonly at: string
  readonly kind: string
  readonly outcome: string
  readonly request_id: string
}

/** Everything in the record about the busy credential, page by page. */
async function record(url: string): Promise<readonly Entry[]> {
  const all: Entry[] = []
  for (let cursor = ''; ;) {
    const { body } = await ask(
      `${url}/api/v1/admin/audit?credential=${id}&limit=1000${cursor}`,
      gateway.admin,
    )
    const { entries, next_cursor: next } = body as { entries: Entry[]; next_cursor: string | null }
    all.push(...entries)
    if (next === null) return all
    cursor = `&cursor=${next}`
  }
}

interface Load {
  /** Request id and time of every answer that arrived whole. */
  readonly answered: Map<string, number>
  /** Of requests that were refused because the gateway was going. */
  readonly turnedAway: string[]
  readonly other: string[]
  readonly ended: Promise<void>
}

/** So many clients that ask without a pause until the gateway is gone. */
function load(url: string, clients: number, sql = 'SELECT 1'): Load {
  const answered = new Map<string, number>()
  const turnedAway: string[] = []
  const other: string[] = []
  const client = async (): Promise<void> => {
    for (;;) {
      try {
        const { status, headers, body } = await ask(`${url}/api/v1/query`, token, { json: { sql } })
        const request = headers.get('x-request-id') ?? ''
        if (status === 200) answered.set(request, Date.now())
        else if (status === 503 && (body as { code: string }).code === 'shutting_down')
          turnedAway.push(request)
        else other.push(`${status} ${JSON.stringify(body)}`)
      } catch {
        return
      }
    }
  }
  const ended = Promise.all(Array.from({ length: clients }, client)).then(() => undefined)
  return { answered, turnedAway, other, ended }
}

const verified = async (url: string): Promise<unknown> =>
  (await ask(`${url}/api/v1/admin/audit/verify`, gateway.admin)).body

const restart = async (): Promise<Serving> => {
  restarted = await serve(['serve'], { cwd: gateway.dir })
  return restarted
}

describe('SIGKILL in the middle of load', () => {
  it('the record still proves itself, and no more is missing than the last unwritten batch', async () => {
    for (let round = 0; round < 2; round += 1) {
      const { url } = round === 0 ? gateway.serving : (restarted as Serving)
      const serving = round === 0 ? gateway.serving : (restarted as Serving)
      const busy = load(url, 8)
      await vi.waitFor(async () => {
        expect(busy.answered.size).toBeGreaterThan(150)
        // Some of it is on the disk.
        expect((await record(url)).some(({ request_id: request }) => busy.answered.has(request))).toBe(true)
      }, WAIT)
      const killedAt = Date.now()
      await killHard(serving)
      await busy.ended
      expect(busy.other).toEqual([])

      const again = await restart()
      expect(again.token).toBeNull()
      expect(await verified(again.url)).toMatchObject({ intact: true })
      const written = new Set(
        (await record(again.url)).filter(({ kind }) => kind === 'execution').map((entry) => entry.request_id),
      )
      const missing = [...busy.answered].filter(([request]) => !written.has(request))
      expect(missing.length).toBeLessThan(busy.answered.size)
      // Three entries for each request, and `audit.bufferEvents` is 10,000.
      expect(missing.length * 3).toBeLessThanOrEqual(10_000)
      // What is missing are the last ones, of the moment before: 50 ms, more where the disk is slow.
      for (const [, at] of missing) expect(killedAt - at).toBeLessThan(3_000)
      expect((await ask(`${again.url}/api/v1/query`, token, { json: { sql: 'SELECT 1' } })).status).toBe(200)
    }
  }, 90_000)

  it('tokens that were issued and removed before it are so after it', async () => {
    const kept = await gateway.issue({ note: 'kept' })
    const gone = await gateway.issue({ note: 'gone' })
    const removal = await ask(`${gateway.url}/api/v1/admin/tokens/${gone.id}`, gateway.admin, {
      method: 'DELETE',
    })
    expect(removal.status).toBe(200)
    await killHard(gateway.serving)
    const { url } = await restart()
    expect((await ask(`${url}/mcp/tools`, kept.token)).status).toBe(200)
    expect((await ask(`${url}/mcp/tools`, gone.token)).status).toBe(401)
  })

  it('leaves no statement running beyond its deadline', async () => {
    const open = ask(`${gateway.url}/api/v1/query`, token, {
      json: { sql: 'SELECT pg_sleep(60) AS left_behind' },
    }).catch(() => undefined)
    const client = new Client({ connectionString: database.url })
    client.on('error', () => {})
    await client.connect()
    const backends = async (): Promise<number> =>
      (
        await client.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%left_behind%' AND pid <> pg_backend_pid()`,
        )
      ).rows.length
    await vi.waitFor(async () => {
      expect(await backends()).toBe(1)
    }, WAIT)
    await killHard(gateway.serving)
    await open
    await vi.waitFor(async () => {
      expect(await backends()).toBe(0)
    }, WAIT)
    await client.end()
  }, 60_000)
})

describe('SIGTERM in the middle of load', () => {
  it('finishes open requests, loses no entry of the record and ends with 0', async () => {
    const busy = load(gateway.url, 8)
    await vi.waitFor(() => {
      expect(busy.answered.size).toBeGreaterThan(150)
    }, WAIT)
    const slow = ask(`${gateway.url}/api/v1/query`, token, {
      json: { sql: 'SELECT pg_sleep(1.5)' },
    })
    // The slow one has been decided when it is in the record.
    const before = busy.answered.size
    await vi.waitFor(() => {
      expect(busy.answered.size).toBeGreaterThan(before + 50)
    }, WAIT)
    const ended = await gateway.serving.stop()
    await busy.ended
    expect(ended.code).toBe(0)
    expect(busy.other).toEqual([])
    const finished = await slow
    expect(finished, JSON.stringify(finished.body)).toMatchObject({ status: 200, body: { row_count: 1 } })

    const { url } = await restart()
    expect(await verified(url)).toMatchObject({ intact: true })
    const entries = await record(url)
    for (const kind of ['authentication', 'decision', 'execution']) {
      const written = new Set(entries.filter((entry) => entry.kind === kind).map((entry) => entry.request_id))
      const missing = [...busy.answered.keys(), finished.headers.get('x-request-id') ?? ''].filter(
        (request) => !written.has(request),
      )
      expect(missing, kind).toEqual([])
    }
    await vi.waitFor(async () => {
      const { body } = await ask(`${url}/api/v1/admin/audit?kind=system`, gateway.admin)
      const acts = (body as { entries: { tool: string }[] }).entries.map(({ tool }) => tool)
      expect(acts).toEqual(['server.start', 'server.stop', 'server.start'])
    }, WAIT)
    const log = ended.stderr.split('\n').filter(Boolean)
    expect(log.at(-1)).toContain('"msg":"Stopped"')
  }, 60_000)

  it('a second signal changes nothing', async () => {
    gateway.serving.signal('SIGTERM')
    gateway.serving.signal('SIGTERM')
    expect(await gateway.serving.ended).toBe(0)
  })
})
