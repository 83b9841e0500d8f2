import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { type Gate, makeGate } from '../../src/databases/gate/judge.ts'
import { CatalogueNames } from '../../src/databases/gate/names.ts'
import { openParser, type Parser } from '../../src/databases/gate/parse.ts'
import { walkTree } from '../../src/databases/gate/walk.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

let database: TestDatabase
let superuser: Client
let parser: Parser
let gate: Gate
let catalogue: GateCatalogue

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  parser = await openParser()
  gate = makeGate(parser)
  catalogue = await loadGateCatalogue(
    async (sql) => (await superuser.query<Record<string, unknown>>(sql)).rows,
  )
})
afterAll(async () => {
  await superuser?.end()
  await database?.drop()
})

const many = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(',')

/** The least that looking through the parsed statement took, in milliseconds. Parsing has bounds of its own. */
function walked(sql: string): number {
  const parsed = parser.parse(sql)
  if (!parsed.ok) throw new Error(parsed.error.message)
  const tree = parsed.value.stmts?.[0]?.stmt
  const names = new CatalogueNames(catalogue, parser, walkTree)
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now()
    const refused = walkTree(tree, names, catalogue.searchPath, { leavesNothing: true, relations: new Set() })
    expect(refused).toBeNull()
    return performance.now() - start
  })
  return Math.min(...times)
}

/** Four times as long a statement takes four times as long, not sixteen: the slack is for slow machines. */
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
  const [short = 0, long = 0] = [1_000, 4_000].map((count) => walked(statement(count)))
  expect(long / short).toBeLessThan(10)
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
