import { createHash } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestDatabase, testPostgres } from '../../../../test/support/postgres.ts'
import { loadSample, SAMPLE_VERSION } from './load.ts'

/** Changes when a single value of the sample does: then raise SAMPLE_VERSION and write the new one here. */
const CHECKSUM = { version: 2, digest: 'e37d8179f7f6c50240daa7d5730e47962197e4afca3eaa753fc5c1ab1df06521' }

let database: TestDatabase
let owner: Client

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  owner = new Client({ connectionString: database.url })
  await owner.connect()
})

afterAll(async () => {
  await owner.end()
  await database.drop()
})

async function checksum(client: Client): Promise<string> {
  await client.query(`SET timezone = 'UTC'`)
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname`,
  )
  const digest = createHash('sha256')
  for (const { name } of rows) {
    const { rows: sums } = await client.query<{ sum: string }>(
      `SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) AS sum FROM ${name} AS t`,
    )
    digest.update(`${name} ${sums[0]?.sum}\n`)
  }
  return digest.digest('hex')
}

describe('the sample data', () => {
  test('are the same to the last value wherever and whenever they are made', async () => {
    expect({ version: SAMPLE_VERSION, digest: await checksum(owner) }).toEqual(CHECKSUM)
    const second = await (await testPostgres()).createDatabase()
    const client = new Client({ connectionString: second.url })
    await client.connect()
    await client.query(`SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'`)
    await loadSample(client)
    await client.query(`SET datestyle = 'ISO'`)
    expect(await checksum(client)).toBe(CHECKSUM.digest)
    await client.end()
    await second.drop()
  })

  test('are some 100,000 rows, analysed', async () => {
    const { rows } = await owner.query<{ rows: string }>(
      `SELECT sum(reltuples) AS rows FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    )
    expect(Number(rows[0]?.rows)).toBeGreaterThan(100_000)
    expect(Number(rows[0]?.rows)).toBeLessThan(130_000)
  })

  test('hold every foreign key, although loading does not check them', async () => {
    const { rows: keys } = await owner.query<{ child: string; parent: string; column: string; key: string }>(
      `SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, a.attname AS column, k.attname AS key
       FROM pg_constraint AS c
       JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
       JOIN pg_attribute AS k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1]
       WHERE c.contype = 'f' AND c.conparentid = 0 AND cardinality(c.conkey) = 1`,
    )
    expect(keys.length).toBeGreaterThan(30)
    for (const { child, parent, column, key } of keys) {
      const { rows } = await owner.query<{ orphans: string }>(
        `SELECT count(*) AS orphans FROM ${child} AS c
         WHERE c.${column} IS NOT NULL AND NOT EXISTS (SELECT FROM ${parent} AS p WHERE p.${key} = c.${column})`,
      )
      expect({ child, column, orphans: rows[0]?.orphans }).toEqual({ child, column, orphans: '0' })
    }
  })

  test('never let a row of one tenant lead to a row of the other', async () => {
    const { rows: keys } = await owner.query<{ child: string; parent: string; column: string; key: string }>(
      `SELECT c.conrelid::regclass AS child, c.confrelid::regclass AS parent, a.attname AS column, k.attname AS key
       FROM pg_constraint AS c
       JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
       JOIN pg_attribute AS k ON k.attrelid = c.confrelid AND k.attnum = c.confkey[1]
       WHERE c.contype = 'f' AND c.conparentid = 0
         AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.confrelid AND attname = 'tenant_id')`,
    )
    expect(keys.length).toBeGreaterThan(15)
    for (const { child, parent, column, key } of keys) {
      const { rows } = await owner.query<{ strays: string }>(
        `SELECT count(*) AS strays FROM ${child} AS c JOIN ${parent} AS p ON p.${key} = c.${column} WHERE c.tenant_id <> p.tenant_id`,
      )
      expect({ child, column, strays: rows[0]?.strays }).toEqual({ child, column, strays: '0' })
    }
    const { rows } = await owner.query('SELECT tenant_id FROM orders GROUP BY tenant_id ORDER BY tenant_id')
    expect(rows).toEqual([{ tenant_id: 'default' }, { tenant_id: 'harbour' }])
  })

  test('explain every table and view by a comment', async () => {
    const { rows } = await owner.query(
      `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
         AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL`,
    )
    expect(rows).toEqual([])
  })

  test('go on counting after the last row', async () => {
    const writer = new Client({ connectionString: database.writerUrl })
    await writer.connect()
    const { rows } = await writer.query(
      `INSERT INTO orders (tenant_id, customer_id) VALUES ('default', 1) RETURNING id, status`,
    )
    expect(rows).toEqual([{ id: '12001', status: 'draft' }])
    await expect(writer.query('DROP TABLE orders')).rejects.toThrow('must be owner')
    await writer.end()
  })

  test('can be read and not written by the reader', async () => {
    const reader = new Client({ connectionString: database.readerUrl })
    await reader.connect()
    const { rows } = await reader.query(
      `SELECT order_total(1) = (SELECT total FROM order_totals WHERE order_id = 1) AS same, stock_on_hand(1) > 0 AS stocked,
         (SELECT count(*) FROM monthly_revenue) > 50 AS months, (SELECT count(*) FROM low_stock) > 10 AS low`,
    )
    expect(rows).toEqual([{ same: true, stocked: true, months: true, low: true }])
    await expect(reader.query('UPDATE orders SET reference = NULL')).rejects.toThrow('permission denied')
    await expect(reader.query(`SELECT nextval('orders_id_seq')`)).rejects.toThrow('permission denied')
    await reader.end()
  })
})
