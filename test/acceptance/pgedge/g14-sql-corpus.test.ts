import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CorpusLine, loadCorpus } from '../../../src/databases/gate/corpus.ts'
import { changedParts } from '../../../src/databases/gate/selftest.ts'
import { readState } from '../../../src/databases/gate/state.ts'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import {
  call,
  configuration,
  observe,
  type Observer,
  openRoom,
  query,
  type CallAnswer,
  ROOT,
  type Room,
  served,
  soon,
} from './room.ts'

const READER = 'the-read-only-token-of-the-tests'
const WRITER = 'the-read-write-token-of-the-tests'
/** Small, so that what would run for ever is cut off soon. */
const LIMITS = { statementTimeout: '500ms', rows: 200, resultBytes: '64KiB' }

const corpus = loadCorpus()

let shop: TestDatabase
let outside: Observer
let room: Room
let gateway: Serving

beforeAll(async () => {
  const postgres = await testPostgres()
  shop = await postgres.createDatabase(undefined, { sample: true })
  outside = await observe(shop)
  // A role that may do more than it should: what holds is the gateway, not only the database.
  await outside.query(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${postgres.reader.user}`)
  await outside.query(`GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${postgres.reader.user}`)
  await outside.query(`GRANT CREATE, TEMP ON DATABASE ${shop.name} TO ${postgres.reader.user}`)
  await outside.query(`GRANT CREATE ON SCHEMA public TO ${postgres.reader.user}`)
  room = await openRoom({
    'postern.yaml': configuration({
      auth: {
        tokens: {
          root: { value: ROOT, level: 'admin' },
          reader: { value: READER },
          writer: { value: WRITER, level: 'read-write' },
        },
      },
      databases: [served('shop', shop, { statementTimeout: LIMITS.statementTimeout })],
      limits: { drain: '100ms', rows: LIMITS.rows, resultBytes: LIMITS.resultBytes },
    }),
  })
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
  await outside?.close()
  await shop?.drop()
})

/** Everything of the database that a statement could change: its objects, and every row of every table. */
async function wholeState(): Promise<Readonly<Record<string, string>>> {
  const tables = await outside.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  )
  const rows: Record<string, string> = {}
  for (const { name } of tables) {
    const [row] = await outside.query<{ state: string }>(
      `SELECT count(*) || ':' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS state FROM ONLY ${name} t`,
    )
    rows[name] = row?.state ?? ''
  }
  return {
    ...(await readState(async (sql) => [...(await outside.query(sql))])),
    ...rows,
  }
}

/** The same without the rows of the other tables: quick enough for after each statement. */
const quickState = async (): Promise<Readonly<Record<string, string>>> => {
  const [row] = await outside.query<{ state: string }>(
    `SELECT count(*) || ':' || sum(hashtextextended(o::text, 0)) AS state FROM orders o`,
  )
  return { ...(await readState(async (sql) => [...(await outside.query(sql))])), orders: row?.state ?? '' }
}

const send = (sql: string, token = READER, more = {}): Promise<CallAnswer> =>
  query(gateway.url, token, sql, more)

const wasCut = ({ code, text }: CallAnswer): boolean =>
  code === 'sql_timeout' || code === 'result_too_large' || (code === null && text.includes('… truncated'))

/** The most memory that the gateway has used, in bytes. The command may be a launcher: the gateway is then its child. */
async function peakMemory({ pid }: Serving): Promise<number> {
  const peak = async (of: number): Promise<number> =>
    Number(/^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${of}/status`, 'utf8'))?.[1] ?? 0) * 1024
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    .trim()
    .split(' ')
    .filter(Boolean)
  return Math.max(...(await Promise.all([pid, ...children.map(Number)].map(peak))))
}

let before: Readonly<Record<string, string>>
let quickBefore: Readonly<Record<string, string>>

beforeAll(async () => {
  quickBefore = await quickState()
  // Proof that the comparison sees a change, and that the role of the readers could make it.
  const asReader = new Client({ connectionString: shop.readerUrl })
  await asReader.connect()
  await asReader.query('CREATE TABLE left_behind (a int)')
  await asReader.query('UPDATE orders SET reference = $$changed$$ WHERE id = 1')
  expect(changedParts(quickBefore, await quickState())).toEqual(
    expect.arrayContaining(['pg_class', 'orders']),
  )
  await asReader.query('DROP TABLE left_behind')
  await asReader.end()
  before = await wholeState()
  quickBefore = await quickState()
})

/** Lines that hold no SQL: a question to `query_database`, 400 on the REST route. */
const isNoSql = ({ rule, statement }: CorpusLine): boolean => rule === 'sql.syntax' || statement === ''

/** Whether a call of `query_database` came to nothing, as the line says. */
function expectRefused(line: CorpusLine, answer: CallAnswer): void {
  expect(answer.rows).toEqual([])
  if (isNoSql(line)) {
    expect(answer.code === 'invalid_arguments' || answer.structured['needs_sql'] === true).toBe(true)
    return
  }
  expect(answer).toMatchObject({ code: 'sql_refused', rule: line.rule })
  // It is told by which rule, and what would be allowed.
  expect(answer.text).toContain(`Rule: ${line.rule}`)
  expect(answer.text).toContain('Allowed: ')
}

describe('G14 read-only means read-only: the corpus over MCP with a read-only token', () => {
  it.each(corpus)('G14 $outcome: $statement', async (line) => {
    const answer = await send(line.statement)
    if (line.outcome === 'refuse') {
      expectRefused(line, answer)
    } else if (line.outcome === 'bound') {
      expect(wasCut(answer) || answer.code === 'sql_failed').toBe(true)
      // The credential's connections are as good as before.
      expect(await send('SELECT 1 AS one')).toMatchObject({ code: null, rows: [[1]] })
    } else {
      expect(answer.code).toBeNull()
    }
    expect(changedParts(quickBefore, await quickState())).toEqual([])
  })

  it('G14 afterwards every row of every table is as before, nothing runs any more, memory stayed bounded', async () => {
    expect(changedParts(before, await wholeState())).toEqual([])
    await soon(() =>
      outside.query(
        `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`,
      ),
    ).toEqual([])
    // The longest answer of the corpus would be 900 MB.
    expect(await peakMemory(gateway)).toBeLessThan(400_000_000)
  })
})

describe('G14 by every other way to the database', () => {
  const refused = corpus.filter(({ outcome }) => outcome === 'refuse')

  it('G14 the REST route answers 403 and names the rule (400 for what is no SQL)', async () => {
    for (const line of refused) {
      const { status, body } = await ask(`${gateway.url}/api/v1/query`, READER, {
        json: { sql: line.statement },
      })
      const expected = isNoSql(line) ? [400] : [403, line.rule]
      const got = isNoSql(line) ? [status] : [status, (body as { rule?: string }).rule]
      expect([line.statement, ...got]).toEqual([line.statement, ...expected])
    }
    expect(changedParts(quickBefore, await quickState())).toEqual([])
  }, 60_000)

  it('G14 a session of a read-only token changes nothing of that', async () => {
    for (const line of refused) expectRefused(line, await send(line.statement, READER, { session: 's' }))
    expect(changedParts(quickBefore, await quickState())).toEqual([])
  }, 60_000)

  it('G14 execute_explain and count_rows refuse what query_database refuses', async () => {
    for (const { statement } of refused) {
      for (const [tool, args] of [
        ['execute_explain', { query: statement, analyze: true }],
        ['count_rows', { table: 'orders', where: `EXISTS (${statement})` }],
      ] as const)
        expect([statement, tool, (await call(gateway.url, READER, tool, args)).code]).not.toContain(null)
    }
    expect(changedParts(quickBefore, await quickState())).toEqual([])
  }, 60_000)

  it('G14 a read-write token writes nothing without a confirmation', async () => {
    for (const line of refused) {
      const answer = await send(line.statement, WRITER)
      if (isNoSql(line)) expectRefused(line, answer)
      else
        expect([line.statement, answer.code]).toEqual([
          line.statement,
          expect.stringMatching(/^(sql_refused|write_needs_confirmation)$/) as string,
        ])
    }
    expect(changedParts(quickBefore, await quickState())).toEqual([])
  }, 60_000)
})
