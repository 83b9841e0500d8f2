import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { type Gate, loadGate } from '../../src/databases/gate/judge.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

let database: TestDatabase
let superuser: Client
let gate: Gate
let catalogue: GateCatalogue

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  gate = await loadGate()
  catalogue = await loadGateCatalogue(
    async (sql) => (await superuser.query<Record<string, unknown>>(sql)).rows,
  )
  gate.judge('WITH a AS (SELECT 1) SELECT * FROM a', catalogue)
})
afterAll(async () => {
  await superuser?.end()
  await database?.drop()
})

const many = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(',')

/** Milliseconds that other callers wait while this is judged. The statement may be used once: judgements are kept. */
function judged(sql: string): number {
  expect(Buffer.byteLength(sql)).toBeLessThanOrEqual(100_000)
  const start = performance.now()
  gate.judge(sql, catalogue)
  return performance.now() - start
}

/** Twice as long a statement takes twice as long, not four times: what is left of a slow machine is in the slack. */
test.each<[string, (count: number) => string]>([
  ['queries of one WITH', (count) => `WITH ${many(count, (at) => `c${at} AS(SELECT)`)} SELECT 1`],
  [
    'queries of one recursive WITH',
    (count) => `WITH RECURSIVE ${many(count, (at) => `c${at} AS(SELECT)`)} SELECT 1`,
  ],
  [
    'WITH clauses that see many names',
    (count) =>
      `WITH RECURSIVE ${many(count / 2, (at) => `c${at} AS(SELECT)`)} SELECT ${many(count / 2, () => `(WITH x AS(SELECT) SELECT)`)}`,
  ],
])('G3 the gate does not stall on %s', (_, statement) => {
  const times = [1_000, 4_000].map((count) =>
    Math.min(...[1, 2, 3].map((turn) => judged(statement(count) + ' '.repeat(turn)))),
  )
  expect((times[1] as number) / (times[0] as number)).toBeLessThan(8)
  expect(times[1]).toBeLessThan(300)
})

test('names of WITH are seen where PostgreSQL sees them, and nowhere else', () => {
  const ruleOf = (sql: string) => {
    const answer = gate.judge(sql, catalogue)
    return answer.ok ? null : answer.error.rule
  }
  for (const hidden of [
    'WITH pg_authid AS (SELECT * FROM pg_authid) SELECT * FROM pg_authid',
    'SELECT (WITH pg_authid AS (SELECT 1) SELECT 1) FROM pg_authid',
    'WITH a AS (WITH pg_authid AS (SELECT 1) SELECT 1) SELECT * FROM pg_authid',
    'WITH a AS (SELECT * FROM pg_authid), pg_authid AS (SELECT 1) SELECT 1',
    '(WITH pg_authid AS (SELECT 1) SELECT 1) UNION SELECT oid FROM pg_authid',
    'WITH pg_authid AS (SELECT 1) SELECT * FROM pg_catalog.pg_authid',
    'WITH RECURSIVE a AS (WITH b AS (SELECT * FROM pg_authid), pg_authid AS (SELECT 1) SELECT 1) SELECT 1',
  ])
    expect([hidden, ruleOf(hidden)]).toEqual([hidden, 'sql.relation'])
  for (const seen of [
    'WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid',
    'WITH pg_authid AS (SELECT 1) SELECT (SELECT count(*) FROM pg_authid)',
    'WITH pg_authid AS (SELECT 1), b AS (WITH c AS (SELECT * FROM pg_authid) SELECT * FROM c) SELECT * FROM b',
    'WITH RECURSIVE a AS (SELECT * FROM pg_authid), pg_authid AS (SELECT 1) SELECT 1',
  ])
    expect([seen, ruleOf(seen)]).toEqual([seen, null])
})
