import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { type TestDatabase, testPostgres } from '../../../test/support/postgres.ts'
import type { CatalogueRow } from '../open.ts'
import { openSchemaCatalogues, type SchemaCatalogue, type SchemaCatalogues } from './catalogue.ts'

let database: TestDatabase
let owner: Client
let reader: Client
let asked: string[]
const clock = manualClock(0)

const open = (): SchemaCatalogues =>
  openSchemaCatalogues({
    clock,
    databases: {
      tenantView: () => null,
      async catalogueQuery(_database, sql, params): Promise<CatalogueRow[]> {
        asked.push(sql)
        return (await reader.query(sql, params === undefined ? undefined : [...params]))
          .rows as CatalogueRow[]
      },
    },
  })

const current = (): Promise<SchemaCatalogue> => open().of('sample')

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase(undefined, { sample: true })
  owner = new Client({ connectionString: database.url })
  reader = new Client({ connectionString: database.readerUrl })
  await Promise.all([owner.connect(), reader.connect()])
  asked = []
})

afterAll(async () => {
  await Promise.all([owner.end(), reader.end()])
  await database.drop()
})

describe('the schema of a database', () => {
  test('has columns with types, defaults, comments, and keys from both ends', async () => {
    const catalogue = await current()
    const [customers] = catalogue.find('customers')
    expect(customers).toMatchObject({
      schema: 'public',
      kind: 'table',
      comment: 'Companies and people who buy from us',
      estimatedRows: 2000,
      primaryKey: ['id'],
      uniqueKeys: [['tenant_id', 'email']],
    })
    expect(customers?.columns.find(({ name }) => name === 'credit_limit')).toEqual({
      name: 'credit_limit',
      type: 'numeric(12,2)',
      nullable: false,
      default: '5000',
      comment: 'Euro that may be owed before deliveries stop',
    })
    expect(customers?.foreignKeys).toContainEqual({
      columns: ['account_manager_id'],
      target: { schema: 'public', name: 'users', columns: ['id'] },
    })
    expect(customers?.referencedBy).toEqual([
      { columns: ['id'], source: { schema: 'public', name: 'orders', columns: ['customer_id'] } },
    ])
    const [orders] = catalogue.find('ORDERS')
    expect(orders?.columns.find(({ name }) => name === 'status')?.values).toEqual([
      'draft',
      'confirmed',
      'in_production',
      'shipped',
      'delivered',
      'cancelled',
    ])
    expect(orders?.columns[0]).toMatchObject({ name: 'id', type: 'bigint', default: 'identity' })
  })

  test('has views, materialized views and partitioned tables, not their partitions', async () => {
    const catalogue = await current()
    expect(catalogue.find('order_totals')[0]?.kind).toBe('view')
    expect(catalogue.find('monthly_revenue_all')[0]?.kind).toBe('materialized view')
    expect(catalogue.find('metrics')[0]).toMatchObject({ kind: 'partitioned table', estimatedRows: 40_000 })
    expect(catalogue.find('metrics_2026_05')).toEqual([])
    expect(catalogue.incomplete).toBe(false)
  })

  test('leaves out what the role may not read: tables, columns, keys that name them, system catalogues', async () => {
    await owner.query(`
      CREATE TABLE salaries (id int PRIMARY KEY, amount int);
      REVOKE ALL ON salaries FROM postern_reader;
      CREATE TABLE staff (id int PRIMARY KEY, salary_id int REFERENCES salaries, pin text, name text);
      REVOKE ALL ON staff FROM postern_reader;
      GRANT SELECT (id, name) ON staff TO postern_reader;
      CREATE SCHEMA closed; CREATE TABLE closed.plans (id int); GRANT SELECT ON closed.plans TO postern_reader;
    `)
    const catalogue = await current()
    expect(catalogue.find('salaries')).toEqual([])
    expect(catalogue.find('plans')).toEqual([])
    expect(catalogue.find('pg_class')).toEqual([])
    expect(catalogue.find('staff')[0]).toMatchObject({
      columns: [{ name: 'id' }, { name: 'name' }],
      foreignKeys: [],
    })
    expect(catalogue.search('salary pin', 20).map(({ relation }) => relation.name)).not.toContain('salaries')
  })

  test('sees every kind of change once it is stale, and asks the database little while nothing changes', async () => {
    const catalogues = open()
    const first = await catalogues.of('sample')
    expect(await catalogues.of('sample')).toBe(first)
    clock.advance(16_000)
    asked.length = 0
    expect(await catalogues.of('sample')).toBe(first)
    expect(asked).toHaveLength(1)

    const changes: [sql: string, seen: (catalogue: SchemaCatalogue) => boolean][] = [
      ['CREATE TABLE fresh (a int, b int)', (c) => c.find('fresh').length === 1],
      ['ALTER TABLE fresh RENAME b TO c', (c) => c.find('fresh')[0]?.columns[1]?.name === 'c'],
      ['ALTER TABLE fresh ALTER c TYPE text', (c) => c.find('fresh')[0]?.columns[1]?.type === 'text'],
      [`COMMENT ON TABLE fresh IS 'Quite new'`, (c) => c.find('fresh')[0]?.comment === 'Quite new'],
      ['ALTER TABLE fresh ADD PRIMARY KEY (a)', (c) => c.find('fresh')[0]?.primaryKey[0] === 'a'],
      [
        `ALTER TYPE machine_state ADD VALUE 'sold'`,
        (c) => c.search('sold', 1)[0]?.relation.name === 'machines',
      ],
      ['REVOKE SELECT ON fresh FROM postern_reader', (c) => c.find('fresh').length === 0],
      ['GRANT SELECT (c) ON fresh TO postern_reader', (c) => c.find('fresh')[0]?.columns.length === 1],
      [
        'ALTER TABLE fresh RENAME TO stale',
        (c) => c.find('fresh').length === 0 && c.find('stale').length === 1,
      ],
      ['DROP TABLE stale', (c) => c.find('stale').length === 0],
    ]
    for (const [sql, seen] of changes) {
      await owner.query(sql)
      clock.advance(16_000)
      expect({ sql, seen: seen(await catalogues.of('sample')) }).toEqual({ sql, seen: true })
    }
  })

  test('is loaded once for callers that come together', async () => {
    const catalogues = open()
    asked.length = 0
    const all = await Promise.all(Array.from({ length: 20 }, () => catalogues.of('sample')))
    expect(new Set(all).size).toBe(1)
    expect(asked).toHaveLength(2)
  })

  test('is not answered from memory when the database is away', async () => {
    let away = false
    const catalogues = openSchemaCatalogues({
      clock,
      databases: {
        tenantView: () => null,
        async catalogueQuery(_database, sql, params): Promise<CatalogueRow[]> {
          if (away) throw new Error('away')
          return (await reader.query(sql, params === undefined ? undefined : [...params]))
            .rows as CatalogueRow[]
        },
      },
    })
    await catalogues.of('sample')
    away = true
    clock.advance(16_000)
    await expect(catalogues.of('sample')).rejects.toThrow('away')
    away = false
    expect((await catalogues.of('sample')).find('orders')).toHaveLength(1)
  })
})

describe('P2 the schema search', () => {
  const names = async (query: string, limit = 5): Promise<string[]> =>
    (await current()).search(query, limit).map(({ relation }) => relation.name)

  test.each([
    ['customer', 'customers', 'name: customers'],
    ['customers', 'customers', 'name: customers'],
    ['Customer', 'customers', 'name: customers'],
    ['cust', 'customers', 'name: customers'],
    ['custmers', 'customers', 'name: customers (near spelling)'],
    ['costumer', 'customers', 'name: customers (near spelling)'],
    ['orderlines', 'order_lines', 'name: order_lines'],
    ['orderLine', 'order_lines', 'name: order_lines'],
    ['webhook delivery', 'webhook_deliveries', 'name: webhook_deliveries'],
    ['who buys from us', 'customers', 'comment: Companies and people who buy from us'],
    ['credit', 'customers', 'column: credit_limit'],
    ['purchase order number', 'orders', "column comment: The customer's own purchase order number"],
    ['vibration', 'metrics', 'column comment: temperature_c, vibration_mm_s, power_kw or pieces_per_hour'],
    ['in_production', 'orders', 'value: in_production'],
    ['counted shelf', 'inventory', 'column comment: When somebody last counted the shelf'],
    ['Show me all active users', 'users', 'name: users'],
    ['How much labour was posted on work orders last month?', 'labour_entries', 'name: labour_entries'],
    ['which machines are broken', 'machines', 'name: machines'],
  ])('finds for "%s" first %s, by %s', async (query, table, reason) => {
    const [first] = (await current()).search(query, 5)
    expect(first?.relation.name).toBe(table)
    expect(first?.reasons).toContain(reason)
  })

  test('adds what the matches are joined with, after them', async () => {
    const catalogue = await current()
    const found = catalogue.search('market places', 8)
    expect(found[0]?.relation.name).toBe('platforms')
    expect(found.find(({ relation }) => relation.name === 'connections')?.reasons).toContain(
      'joins: platforms',
    )
    expect(await names('stock on hand', 3)).toContain('inventory')
    expect(await names('customers orders', 4)).toEqual(expect.arrayContaining(['customers', 'orders']))
  })

  test('answers nothing, quickly, for nothing, noise and floods', async () => {
    const catalogue = await current()
    expect(catalogue.search('', 5)).toEqual([])
    expect(catalogue.search('   ;;; ', 5)).toEqual([])
    expect(catalogue.search('qqqqxxxzzzz', 5)).toEqual([])
    const startedAt = performance.now()
    catalogue.search('order '.repeat(200_000), 5)
    catalogue.search('x'.repeat(1_000_000), 5)
    catalogue.search(Array.from({ length: 10_000 }, (_, at) => `w${at}rd`).join(' '), 5)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('gives the same order every time', async () => {
    expect(await names('order', 20)).toEqual(await names('order', 20))
  })
})
