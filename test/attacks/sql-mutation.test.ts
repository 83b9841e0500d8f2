import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { loadCorpus } from '../../src/databases/gate/corpus.ts'
import { type Gate, loadGate } from '../../src/databases/gate/judge.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

const refused = loadCorpus().filter(
  ({ outcome, rule }) => outcome === 'refuse' && rule !== 'sql.syntax' && rule !== 'sql.empty',
)
/** Refused for what they name, not for what they are: these can stand inside other statements. */
const selects = refused.filter(
  ({ statement, rule }) =>
    /^(select|with|table|values)/i.test(statement) &&
    !['sql.empty', 'sql.one_statement', 'sql.into'].includes(rule ?? ''),
)

let database: TestDatabase
let superuser: Client
let gate: Gate
let catalogue: GateCatalogue

const query = async (sql: string) => (await superuser.query<Record<string, unknown>>(sql)).rows
const reload = async () => {
  catalogue = await loadGateCatalogue(query, catalogue)
}

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await query('CREATE TABLE orders (id serial PRIMARY KEY, customer_id int, total numeric)')
  gate = await loadGate()
  catalogue = await loadGateCatalogue(query)
})

afterAll(async () => {
  await superuser.end()
  await database.drop()
})

const expectRefused = (sql: string) => {
  const judged = gate.judge(sql, catalogue)
  expect(judged.ok ? `LET THROUGH: ${sql}` : judged.error.rule).toMatch(/^sql\./)
}

/** Parts of a statement that mean what they say: not inside a literal, a quoted name or a comment. */
function mapCode(sql: string, change: (code: string) => string): string {
  const literal =
    /E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|U&"(?:[^"]|"")*"|"(?:[^"]|"")*"|\$\$.*?\$\$|\$t\$.*?(?:\$t\$|$)|\/\*.*?\*\/|--.*$/gs
  let out = ''
  let at = 0
  for (const match of sql.matchAll(literal)) {
    out += change(sql.slice(at, match.index)) + match[0]
    at = match.index + match[0].length
  }
  return out + change(sql.slice(at))
}

/** Ways to write the same statement differently. */
const SPELLINGS: Readonly<Record<string, (sql: string) => string>> = {
  'comment before': (sql) => `/* SELECT 1 */ ${sql}`,
  'nested comment before': (sql) => `/* a /* b */ SELECT 1; */${sql}`,
  'line comment before': (sql) => `-- SELECT 1\n${sql}`,
  'comments for blanks': (sql) => mapCode(sql, (code) => code.replaceAll(' ', '/**/')),
  'nested comments for blanks': (sql) => mapCode(sql, (code) => code.replaceAll(' ', ' /* x /* y */ -- */ ')),
  'line comments for blanks': (sql) => mapCode(sql, (code) => code.replaceAll(' ', ' -- SELECT 1\n')),
  'upper case': (sql) => mapCode(sql, (code) => code.toUpperCase()),
  'mixed case': (sql) =>
    mapCode(sql, (code) => Array.from(code, (c, i) => (i % 2 ? c.toUpperCase() : c.toLowerCase())).join('')),
  tabs: (sql) => mapCode(sql, (code) => code.replaceAll(' ', '\t\v\f')),
  'carriage returns': (sql) => mapCode(sql, (code) => code.replaceAll(' ', '\r\n')),
  'no-break spaces': (sql) => mapCode(sql, (code) => code.replaceAll(' ', '\u00a0')),
  'wide spaces': (sql) => mapCode(sql, (code) => code.replaceAll(' ', '\u3000')),
  'byte order mark': (sql) => `\ufeff${sql}`,
  'zero-width space': (sql) => mapCode(sql, (code) => code.replace(/^(\w)/, '$1\u200b')),
  'semicolon behind': (sql) => `${sql};`,
  'semicolon before': (sql) => `;${sql}`,
  'read before': (sql) => `SELECT 1; ${sql}`,
  'read behind': (sql) => `${sql}\n; SELECT 1`,
  'NUL behind a read': (sql) => `SELECT 1\0; ${sql}`,
  'quoted functions': (sql) => mapCode(sql, (code) => code.replace(/\b([a-z]+_[a-z_0-9]+)\(/g, '"$1"(')),
  'escaped functions': (sql) =>
    mapCode(sql, (code) =>
      code.replace(
        /\b([a-z]+_[a-z_0-9]+)\(/g,
        (_, name: string) => `U&"\\${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"(`,
      ),
    ),
  'long escapes with another sign': (sql) =>
    mapCode(sql, (code) =>
      code.replace(
        /\b([a-z]+_[a-z_0-9]+)\(/g,
        (_, name: string) =>
          `U&"!+${name.charCodeAt(0).toString(16).padStart(6, '0')}${name.slice(1)}" UESCAPE '!' (`,
      ),
    ),
  'qualified functions': (sql) =>
    mapCode(sql, (code) =>
      code.replace(/(?<![."])\b(pg_[a-z_0-9]+|set_config|setval|nextval|lo_[a-z]+)\(/g, 'pg_catalog . $1 ('),
    ),
}

/** Ways to hide a query inside another. */
const WRAPPINGS: Readonly<Record<string, (sql: string) => string>> = {
  subquery: (sql) => `SELECT * FROM (${sql}) s`,
  'common table': (sql) => `WITH a AS (${sql}) SELECT 1 FROM a`,
  'common table that nobody reads': (sql) => `WITH a AS MATERIALIZED (${sql}) SELECT 1`,
  'recursive common table': (sql) => `WITH RECURSIVE a AS (${sql}), b AS (SELECT * FROM a) SELECT * FROM b`,
  'common table in a subquery': (sql) => `SELECT (SELECT 1 FROM (WITH a AS (${sql}) SELECT * FROM a) x)`,
  lateral: (sql) => `SELECT * FROM orders o LEFT JOIN LATERAL (${sql}) s ON true`,
  scalar: (sql) => `SELECT (${sql})`,
  exists: (sql) => `SELECT 1 WHERE EXISTS (${sql})`,
  'in a list': (sql) => `SELECT 1 WHERE 1 IN (${sql})`,
  'any of': (sql) => `SELECT 1 WHERE 1 = ANY (${sql})`,
  array: (sql) => `SELECT ARRAY(${sql})`,
  'json array': (sql) => `SELECT json_array(${sql})`,
  union: (sql) => `SELECT 1 UNION ALL (${sql})`,
  except: (sql) => `(${sql}) EXCEPT SELECT 1`,
  'order by': (sql) => `SELECT 1 ORDER BY (${sql})`,
  limit: (sql) => `SELECT 1 LIMIT (${sql})`,
  offset: (sql) => `SELECT 1 OFFSET (${sql})`,
  values: (sql) => `VALUES ((${sql}))`,
  'group by': (sql) => `SELECT 1 GROUP BY ROLLUP ((${sql}))`,
  having: (sql) => `SELECT 1 HAVING EXISTS (${sql})`,
  filter: (sql) => `SELECT count(*) FILTER (WHERE EXISTS (${sql}))`,
  'window frame': (sql) => `SELECT sum(1) OVER (ORDER BY 1 ROWS BETWEEN (${sql}) PRECEDING AND CURRENT ROW)`,
  'join condition': (sql) => `SELECT 1 FROM orders a JOIN orders b ON EXISTS (${sql})`,
  case: (sql) => `SELECT CASE WHEN false THEN 1 ELSE (${sql}) END`,
  'function argument': (sql) => `SELECT coalesce(1, abs((${sql})))`,
  'function in FROM': (sql) => `SELECT * FROM generate_series(1, (${sql}))`,
  sample: (sql) => `SELECT * FROM orders TABLESAMPLE system ((${sql}))`,
  explain: (sql) => `EXPLAIN ${sql}`,
  'explain analyze': (sql) => `EXPLAIN (ANALYZE, BUFFERS) ${sql}`,
}

describe.each(Object.entries(SPELLINGS))('G14 spelt differently: %s', (_, spell) => {
  it.each(refused)('$statement', ({ statement }) => {
    expectRefused(spell(statement))
  })
})

describe.each(Object.entries(WRAPPINGS))('G14 wrapped: %s', (_, wrap) => {
  it.each(selects)('$statement', ({ statement }) => {
    expectRefused(wrap(statement))
    expectRefused(wrap(wrap(statement)))
  })
})

describe('G14 hidden in objects of the database', () => {
  const hidden = selects.filter(
    ({ rule }) => rule === 'sql.function' || rule === 'sql.relation' || rule === 'sql.lock',
  )

  it('a view, a function, a default, a domain, an operator, a cast or an aggregate does not hide a refused statement', async () => {
    let made = 0
    for (const [index, { statement }] of hidden.entries()) {
      const names: string[] = []
      const tryTo = async (ddl: string, ...statements: string[]) => {
        try {
          await superuser.query(ddl)
        } catch {
          // Some statements have no place in some objects: PostgreSQL itself refuses them.
          return
        }
        names.push(...statements)
      }
      await tryTo(
        `CREATE VIEW v${index}(a) AS SELECT 1 WHERE EXISTS (${statement})`,
        `SELECT * FROM v${index}`,
        `SELECT * FROM public . "v${index}" x`,
      )
      if (names.length > 0)
        await tryTo(
          `CREATE VIEW w${index} AS SELECT * FROM v${index}`,
          `SELECT * FROM w${index}`,
          `WITH w${index} AS (TABLE w${index}) TABLE w${index}`,
        )
      await tryTo(
        `CREATE FUNCTION f${index}() RETURNS bool STABLE LANGUAGE sql AS $body$ SELECT EXISTS (${statement}) $body$`,
        `SELECT f${index}()`,
        `SELECT * FROM f${index}()`,
        `SELECT public."f${index}"()`,
      )
      await tryTo(
        `CREATE FUNCTION a${index}() RETURNS bool IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT EXISTS (${statement}); END`,
        `SELECT a${index}()`,
      )
      await tryTo(
        `CREATE FUNCTION p${index}() RETURNS bool STABLE LANGUAGE plpgsql AS $body$ BEGIN IF EXISTS (${statement}) THEN RETURN true; END IF; RETURN false; END $body$`,
        `SELECT p${index}()`,
      )
      await tryTo(
        `CREATE FUNCTION d${index}(x bool DEFAULT p${index}()) RETURNS bool STABLE LANGUAGE sql AS 'SELECT x'`,
        `SELECT d${index}()`,
      )
      made += names.length
      await reload()
      for (const sql of names) expectRefused(sql)
    }
    expect(made).toBeGreaterThan(300)
  }, 60_000)
})
