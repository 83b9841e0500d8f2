import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuiltinHarness, openBuiltin } from '../support/builtin.ts'
import { callerOf } from '../support/databases.ts'

let tools: BuiltinHarness
beforeAll(async () => {
  tools = await openBuiltin()
})
afterAll(async () => {
  await tools?.close()
})

const ruleOf = async (tool: string, args: unknown, level: 'read-only' | 'admin' = 'read-only') => {
  const answer = await tools.call(tool, args, { caller: callerOf(`a-${level}`, level) })
  return answer.outcome === 'refused' ? answer.refusal.rule : answer.outcome
}

describe('SQL smuggled in through arguments', () => {
  it.each([
    ['true) UNION SELECT 1 --', 'sql.syntax'],
    ['true) --', 'sql.syntax'],
    ['true) LIMIT (1', 'arguments'],
    ['true) GROUP BY (1', 'arguments'],
    ['true) WINDOW w AS (', 'arguments'],
    ['true) INTERSECT SELECT (1', 'arguments'],
    ['true); DELETE FROM orders; --', 'sql.syntax'],
    ['true /*', 'sql.syntax'],
    ['$$', 'sql.syntax'],
    ['id IN (SELECT oid::int FROM pg_authid)', 'sql.relation'],
    ["EXISTS(SELECT pg_read_file('/etc/passwd'))", 'sql.function'],
    ['(SELECT count(*) FROM pg_stat_activity) > 0', 'sql.relation'],
    [String.raw`U&"s\0065t_config"('a.b', 'c', false) IS NOT NULL`, 'sql.function'],
  ])('count_rows does not take "where": %s', async (where, rule) => {
    expect(await ruleOf('count_rows', { table: 'orders', where })).toBe(rule)
  })

  it.each(['pg_authid', 'pg_catalog.pg_authid', 'orders"; DROP TABLE orders; --', 'ord%', 'constructor'])(
    'count_rows and get_schema_info know no table %s',
    async (table) => {
      expect(await ruleOf('count_rows', { table })).toBe('table')
      expect(await ruleOf('get_schema_info', { table_name: table })).toBe('table')
    },
  )

  it.each([
    ['SELECT * FROM orders) x; DELETE FROM orders --', 'sql.syntax'],
    ['SELECT 1) AS a, (SELECT rolpassword FROM pg_authid LIMIT 1', 'sql.syntax'],
    ['SELECT * FROM orders ORDER BY id /*', 'sql.syntax'],
    ['TABLE pg_authid', 'sql.relation'],
  ])('query_database does not page %s into something else', async (query, rule) => {
    expect(await ruleOf('query_database', { query, offset: 1 })).toBe(rule)
  })

  it.each([
    '(ANALYZE) DELETE FROM orders',
    'ANALYZE DELETE FROM orders',
    'SELECT 1; DELETE FROM orders',
    'EXPLAIN ANALYZE DELETE FROM orders',
    'EXPLAIN (ANALYZE) CREATE TABLE x AS SELECT 1',
    '/**/EXPLAIN ANALYZE DELETE FROM orders',
    'SELECT 1 INTO y',
  ])('execute_explain runs no write for anybody: %s', async (query) => {
    for (const level of ['read-only', 'admin'] as const) {
      for (const analyze of [false, true]) {
        expect(await ruleOf('execute_explain', { query, analyze }, level)).toMatch(/^sql\./)
      }
    }
  })

  it('a reading tool does not write for an administrator either', async () => {
    const where = "nextval('orders_id_seq') > 0"
    expect(await ruleOf('count_rows', { table: 'orders', where }, 'admin')).toBe('sql.function')
  })
})

describe('sessions', () => {
  it('of the same name belong to different credentials', async () => {
    const pid = async (who: string): Promise<unknown> => {
      const args = { query: 'SELECT pg_backend_pid()', session: 'same' }
      const answer = await tools.call('query_database', args, { caller: callerOf(who) })
      if (answer.outcome !== 'done') throw new Error('refused')
      return (answer.structured as { rows: unknown[][] }).rows[0]?.[0]
    }
    const [ann, bob, again] = [await pid('ann'), await pid('bob'), await pid('ann')]
    expect(ann).toBe(again)
    expect(ann).not.toBe(bob)
  })

  it.each(['SET a.b = 1', 'PREPARE p AS SELECT 1', 'BEGIN', "SELECT set_config('a.b', 'c', false)"])(
    'keep nothing of a reader: %s',
    async (query) => {
      expect(await ruleOf('query_database', { query, session: 'kept' })).toMatch(/^sql\./)
    },
  )
})

describe('what PostgreSQL itself holds back', () => {
  it.each(['data_directory', 'hba_file', 'config_file', 'primary_conninfo', 'krb_server_keyfile'])(
    'setting %s is not shown to a reader',
    async (name) => {
      expect(await ruleOf('query_database', { query: `SHOW ${name}` })).toBe('database.permission')
      expect(await ruleOf('query_database', { query: `SELECT current_setting('${name}')` })).toBe(
        'database.permission',
      )
      const listed = await tools.done('query_database', {
        query: `SELECT count(*) FROM pg_settings WHERE name = '${name}'`,
      })
      expect(listed.structured['rows']).toEqual([[0]])
    },
  )

  it('XML reads no file of the server', async () => {
    const document = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    const { text } = await tools.done('query_database', {
      query: `SELECT xpath('/a/text()', '${document}'::xml)::text, '${document}'::xml::text`,
    })
    expect(text).not.toContain('root:')
  })
})
