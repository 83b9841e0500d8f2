import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GateCatalogue, loadGateCatalogue } from '../../src/databases/gate/catalogue.ts'
import { loadCorpus } from '../../src/databases/gate/corpus.ts'
import { type Gate, loadGate } from '../../src/databases/gate/judge.ts'
import {
  changedParts,
  type DatabaseState,
  judgeOutcome,
  runSelftest,
} from '../../src/databases/gate/selftest.ts'
import { readState } from '../../src/databases/gate/state.ts'
import { callerOf, type Harness, openHarness, optionsOf } from '../support/databases.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'

const corpus = loadCorpus()
const caller = callerOf('corpus')

let database: TestDatabase
let superuser: Client
let gate: Gate
let catalogue: GateCatalogue
let harness: Harness

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(`
    CREATE TABLE IF NOT EXISTS public.orders (id serial PRIMARY KEY, customer_id int, total numeric);
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO postern_reader;
  `)
  const count = await superuser.query<{ n: string }>('SELECT count(*)::text AS n FROM orders')
  if (count.rows[0]?.n === '0')
    await superuser.query(
      'INSERT INTO orders (customer_id, total) SELECT n % 7, n FROM generate_series(1, 500) n',
    )
  gate = await loadGate()
  harness = await openHarness([optionsOf(database.readerUrl, { statementTimeoutMs: 700 })], { gate })
  catalogue = await loadGateCatalogue(async (sql) => (await superuser.query(sql)).rows)
})

afterAll(async () => {
  await harness.databases.close()
  await superuser.end()
  await database.drop()
})

const asSuperuser = async (sql: string) => (await superuser.query<Record<string, unknown>>(sql)).rows

/** Other test files make roles on the same server meanwhile: only those that this one knows are compared. */
async function stateHere(): Promise<DatabaseState> {
  const {
    pg_roles: _roles,
    pg_auth_members: _members,
    pg_db_role_setting: _settings,
    ...state
  } = await readState(asSuperuser)
  const [roles] = await asSuperuser(`
    SELECT json_agg(json_build_array(r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolcanlogin, r.rolreplication,
      r.rolconfig, ARRAY(SELECT m.roleid FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1),
      ARRAY(SELECT s.setconfig::text FROM pg_db_role_setting s WHERE s.setrole = r.oid ORDER BY 1)) ORDER BY r.rolname)::text AS roles
    FROM pg_roles r WHERE r.rolname IN ('postern_reader', 'postern_writer', current_user) OR r.rolname LIKE 'pg\\_%'`)
  return { ...state, roles: String(roles?.['roles']) }
}

async function wholeState(): Promise<DatabaseState> {
  const rows = await asSuperuser(
    'SELECT count(*) || $$:$$ || coalesce(sum(hashtextextended(o::text, 0)), 0) AS rows FROM orders o',
  )
  return { ...(await stateHere()), orders: String(rows[0]?.['rows']) }
}

/** What the caller's own connection is like: all that a statement could have left on it. */
const sessionState = () =>
  harness.rows(
    caller,
    `SELECT current_setting('transaction_read_only'), current_setting('default_transaction_read_only'), current_user,
       session_user, current_setting('search_path'), current_setting('role'), current_setting('request.jwt.claims', true),
       (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
       ARRAY(SELECT pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')`,
  )

describe('G14 the corpus at the gate', () => {
  it('holds every kind of outcome', () => {
    expect(corpus.length).toBeGreaterThan(150)
    expect(new Set(corpus.map(({ outcome }) => outcome))).toEqual(new Set(['refuse', 'bound', 'allow']))
  })

  it.each(corpus)('$outcome: $statement', ({ statement, outcome, rule }) => {
    const judged = gate.judge(statement, catalogue)
    expect(judged.ok ? null : judged.error.rule).toBe(rule)
    expect(judged.ok).toBe(outcome !== 'refuse')
    if (judged.ok) expect(judged.value.access).toBe('read')
    else expect(judged.error.allowed).toBeTruthy()
  })
})

describe('G14 the corpus on the real database', () => {
  it.each(corpus)('$outcome: $statement', async (line) => {
    const before = await wholeState()
    const session = await sessionState()
    const judged = judgeOutcome(line, await harness.run(caller, line.statement))
    expect(judged).toMatchObject({ passed: true })
    // The sample has all that the allowed lines name: they must run, not merely get past the gate.
    if (line.outcome === 'allow') expect(judged.got).toMatch(/ran|cut/)
    expect(changedParts(before, await wholeState())).toEqual([])
    expect(await sessionState()).toEqual(session)
  })

  it('is what the self-test reports', async () => {
    const seen: string[] = []
    const report = await runSelftest(
      (sql) => harness.run(caller, sql),
      stateHere,
      ({ statement }) => seen.push(statement),
    )
    expect(report.lines.filter(({ passed }) => !passed)).toEqual([])
    expect(report.changed).toEqual([])
    expect(report.passed).toBe(true)
    expect(seen).toHaveLength(corpus.length)
  }, 60_000)

  it('may be answered more strictly where several tenants share the database, and not otherwise', () => {
    const refused = (rule: string): boolean =>
      judgeOutcome(
        { outcome: 'allow', rule: null, statement: 'SELECT 1', why: '' },
        { ok: false, error: { code: 'sql_refused', rule, message: '' } },
      ).passed
    expect([refused('sql.tenants'), refused('sql.relation')]).toEqual([true, false])
  })

  it('is noticed by the self-test when something gets through', async () => {
    const report = await runSelftest(async (sql) => {
      if (sql === 'DELETE FROM orders') await superuser.query('CREATE TABLE IF NOT EXISTS got_through ()')
      return { ok: true, value: { truncated: false } }
    }, stateHere)
    await superuser.query('DROP TABLE got_through')
    expect(report.passed).toBe(false)
    expect(report.changed).toContain('pg_class')
    expect(report.lines.filter(({ passed }) => !passed).length).toBeGreaterThan(100)
  })
})
