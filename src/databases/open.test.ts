import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'
import { Secret } from '../lib/secret.ts'

let database: TestDatabase
let harness: Harness
const ann = callerOf('ann')
const bob = callerOf('bob')
const root = callerOf('root', 'admin')

beforeAll(async () => {
  const postgres = await testPostgres()
  database = await postgres.createDatabase()
  const { user, password } = postgres.writer
  harness = await openHarness([
    optionsOf(database.readerUrl, { writer: { user, password: new Secret(password) } }),
  ])
})
afterAll(async () => {
  await harness?.databases.close()
  await database?.drop()
})

describe('reads', () => {
  test('answer with columns, rows and types', async () => {
    const result = await harness.run(
      ann,
      `SELECT 1::int2 AS a, -7 AS b, 9007199254740991::int8 AS c, 9007199254740993::int8 AS d, 1.50::numeric AS e,
        1.5::float8 AS f, 'NaN'::float8 AS g, true AS h, NULL::text AS i, '{"k":[1]}'::jsonb AS j,
        ARRAY[1,NULL,3] AS k, ARRAY['a,"b"', 'NULL', '']::text[] AS l, '\\xdeadbeef'::bytea AS m, 'Grüße'::text AS n,
        '2026-01-02 03:04:05.5'::timestamp AS o, '[0:1][1:2]={{1,2},{3,4}}'::int4[] AS p, 'Infinity'::float4 AS q,
        (-9007199254740993)::int8 AS r, 0::int4 AS s`,
    )
    expect(result).toMatchObject({
      ok: true,
      value: {
        rows: [
          [
            1,
            -7,
            9007199254740991,
            '9007199254740993',
            '1.50',
            1.5,
            'NaN',
            true,
            null,
            { k: [1] },
            [1, null, 3],
            ['a,"b"', 'NULL', ''],
            String.raw`\xdeadbeef`,
            'Grüße',
            '2026-01-02 03:04:05.5',
            [
              [1, 2],
              [3, 4],
            ],
            'Infinity',
            '-9007199254740993',
            0,
          ],
        ],
        truncated: false,
        command: 'SELECT 1',
        database: 'main',
      },
    })
    if (!result.ok) return
    expect(result.value.columns.slice(0, 6)).toEqual([
      { name: 'a', type: 'int2' },
      { name: 'b', type: 'int4' },
      { name: 'c', type: 'int8' },
      { name: 'd', type: 'int8' },
      { name: 'e', type: 'numeric' },
      { name: 'f', type: 'float8' },
    ])
  })

  test('keep the digits of long numbers, in json, too', async () => {
    const json =
      '{"id": 9007199254740993, "list": [12345678901234567890, 1.5], "text": "1234567890123456789"}'
    expect(
      await harness.rows(ann, `SELECT '${json}'::json, '1e400'::text, 123456789012345678::int8`),
    ).toEqual([
      [
        { id: '9007199254740993', list: ['12345678901234567890', 1.5], text: '1234567890123456789' },
        '1e400',
        '123456789012345678',
      ],
    ])
  })

  test('bind values as text that PostgreSQL types', async () => {
    const rows = await harness.rows(
      ann,
      'SELECT $1::int + 1, $2::text, $3::jsonb, $4::int[], $5::bool, $6::date',
      {
        params: [41, "it's gone", { a: [true] }, [1, 2], false, null],
      },
    )
    expect(rows).toEqual([[42, "it's gone", { a: [true] }, [1, 2], false, null]])
  })

  test('careful reads answer alike', async () => {
    expect(await harness.rows(ann, '/* careful */ SELECT 1')).toEqual([[1]])
    expect(await harness.rows(ann, '/* careful */ SHOW transaction_read_only')).toEqual([['on']])
    expect(await harness.rows(ann, 'SHOW transaction_read_only')).toEqual([['on']])
  })
})

describe('G1 nothing leaks', () => {
  const leftovers = [
    [
      'a temporary table',
      'CREATE TEMP TABLE left_behind (a int)',
      `SELECT to_regclass('left_behind') IS NULL`,
    ],
    [
      'a setting',
      `SELECT set_config('my.secret', 'x', false)`,
      `SELECT coalesce(current_setting('my.secret', true), '') = ''`,
    ],
    ['a prepared statement', 'PREPARE kept AS SELECT 1', 'SELECT count(*) = 0 FROM pg_prepared_statements'],
    [
      'an advisory lock',
      'SELECT pg_advisory_lock(42)',
      `SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42`,
    ],
    ['a subscription', 'LISTEN gossip', 'SELECT count(*) = 0 FROM pg_listening_channels()'],
    ['a role', 'SET ROLE none', `SELECT current_setting('role') = 'none'`],
    ['a time zone', `SET TIME ZONE 'Asia/Tokyo'`, `SELECT current_setting('TimeZone') <> 'Asia/Tokyo'`],
  ] as const

  test.each(leftovers)(
    'G1 %s of a write is gone at the next statement of the same credential',
    async (_name, leave, absent) => {
      await harness.rows(root, `/* write */ ${leave}`)
      for (const note of ['', '/* careful */ ', '/* write */ ']) {
        expect(await harness.rows(root, `${note}${absent}`)).toEqual([[true]])
      }
    },
  )

  test('G1 an open transaction does not reach the next statement of the same credential', async () => {
    await harness.rows(root, '/* write */ BEGIN')
    expect(await harness.refusal(root, '/* write */ SAVEPOINT inside')).toMatchObject({ sqlstate: '25P01' })
  })

  test('G1 a careful read leaves nothing on its connection', async () => {
    const narrow = await openHarness([optionsOf(database.readerUrl, { maxConnectionsPerCredential: 1 })])
    const [[pid] = []] = await narrow.rows(ann, 'SELECT pg_backend_pid()')
    for (const [leave, absent] of [
      [
        `SELECT set_config('my.secret', 'x', false)`,
        `SELECT coalesce(current_setting('my.secret', true), '') = ''`,
      ],
      [
        'SELECT pg_advisory_lock(43)',
        `SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 43`,
      ],
      ['PREPARE kept AS SELECT 1', 'SELECT count(*) = 0 FROM pg_prepared_statements'],
    ] as const) {
      await narrow.rows(ann, `/* careful */ ${leave}`)
      expect(await narrow.rows(ann, absent)).toEqual([[true]])
      expect(await narrow.rows(ann, 'SELECT pg_backend_pid()')).toEqual([[pid]])
    }
    await narrow.databases.close()
  })

  test('G1 two credentials never share a connection, in turn or at once', async () => {
    const pids = async (caller: typeof ann): Promise<Set<unknown>> =>
      new Set(
        (
          await Promise.all(
            Array.from({ length: 20 }, () =>
              harness.rows(caller, 'SELECT pg_backend_pid(), pg_sleep(0.002)'),
            ),
          )
        ).map(([row]) => row?.[0]),
      )
    for (let round = 0; round < 3; round += 1) {
      const [anns, bobs] = await Promise.all([pids(ann), pids(bob)])
      expect(anns.isDisjointFrom(bobs)).toBe(true)
      expect(anns.size).toBeLessThanOrEqual(4)
    }
  })
})

describe('the second wall holds alone', () => {
  beforeAll(async () => {
    const client = new Client({ connectionString: database.url })
    await client.connect()
    await client.query(`
      CREATE TABLE victim (a int); INSERT INTO victim VALUES (1);
      GRANT ALL ON victim TO postern_reader;
      CREATE FUNCTION sneak(stmt text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE stmt; RETURN 'done'; END $$;
      GRANT EXECUTE ON FUNCTION sneak TO postern_reader;
    `)
    await client.end()
  })

  test.each(['', '/* careful */ '])('a write is refused by PostgreSQL (%j)', async (note) => {
    for (const statement of [
      'DELETE FROM victim',
      'INSERT INTO victim VALUES (2)',
      'TRUNCATE victim',
      'CREATE TABLE more (a int)',
      `SELECT sneak('DELETE FROM victim')`,
      `SELECT sneak($$SET transaction_read_only = off$$), sneak('DELETE FROM victim')`,
      `SELECT set_config('transaction_read_only', 'off', false), sneak('DELETE FROM victim')`,
    ]) {
      const refusal = await harness.refusal(ann, note + statement)
      expect(['sql_refused', 'sql_failed']).toContain(refusal.code)
    }
    expect(await harness.rows(ann, 'SELECT count(*) FROM victim')).toEqual([[1]])
  })

  test.each(['', '/* careful */ '])(
    'several statements in one text are refused by the protocol (%j)',
    async (note) => {
      expect(await harness.refusal(ann, `${note}SELECT 1; SELECT 2`)).toMatchObject({
        code: 'sql_failed',
        sqlstate: '42601',
      })
    },
  )

  test('a connection whose read-only default was switched off is destroyed and nothing runs on it', async () => {
    const [[pid] = []] = await harness.rows(ann, 'SELECT pg_backend_pid()')
    const refusal = await harness.refusal(
      ann,
      `SELECT set_config('default_transaction_read_only', 'off', false)`,
    )
    expect(refusal).toMatchObject({ code: 'sql_refused', rule: 'read_only.settings' })
    expect(await harness.rows(ann, 'SHOW transaction_read_only')).toEqual([['on']])
    expect(await harness.rows(ann, 'SELECT pg_backend_pid()')).not.toEqual([[pid]])
    expect(harness.observations).toContainEqual(
      expect.objectContaining({
        kind: 'database.connection_destroyed',
        reason: expect.stringContaining('default_transaction_read_only') as string,
      }),
    )
  })

  test.each([
    'SET default_transaction_read_only = off',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
    'SET standard_conforming_strings = off',
    'BEGIN READ WRITE',
    'SET TRANSACTION READ WRITE',
    'COMMIT',
  ])('%s does not make the next statement able to write', async (statement) => {
    for (const note of ['', '/* careful */ ']) {
      await harness.run(ann, note + statement)
      for (const next of ['DELETE FROM victim', '/* careful */ DELETE FROM victim']) {
        expect(await harness.refusal(ann, next)).toMatchObject({ code: 'sql_refused', sqlstate: '25006' })
      }
      expect(await harness.rows(ann, 'SHOW standard_conforming_strings')).toEqual([['on']])
    }
  })

  test('COPY is refused and its connection not used again', async () => {
    for (const statement of ['COPY (SELECT 1) TO STDOUT', 'COPY victim FROM STDIN']) {
      const refusal = await harness.refusal(ann, statement)
      expect(refusal.code).toMatch(/sql_failed|sql_refused/)
      expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
    }
  })

  test('text that would end a protocol message early is refused', async () => {
    expect(await harness.refusal(ann, 'SELECT 1\0; DELETE FROM victim')).toMatchObject({ rule: 'sql.text' })
    expect(await harness.refusal(ann, "SELECT '\ud800'")).toMatchObject({ rule: 'sql.text' })
  })
})
