import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestDatabase, testPostgres } from '../../../test/support/postgres.ts'
import { type CatalogueQuery, loadGateCatalogue } from './catalogue.ts'

let database: TestDatabase
let client: Client
const query: CatalogueQuery = async (sql) => (await client.query<Record<string, unknown>>(sql)).rows

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  client = new Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

describe('loadGateCatalogue', () => {
  it('answers with the previous catalogue until an object changes', async () => {
    const first = await loadGateCatalogue(query)
    expect(await loadGateCatalogue(query, first)).toBe(first)
    await client.query('CREATE VIEW numbers AS SELECT 1 AS n')
    const second = await loadGateCatalogue(query, first)
    expect(second.fingerprint).not.toBe(first.fingerprint)
    await client.query('CREATE OR REPLACE VIEW numbers AS SELECT 2 AS n')
    expect((await loadGateCatalogue(query, second)).fingerprint).not.toBe(second.fingerprint)
  })

  it('leaves temporary objects out, of which one session can make very many', async () => {
    await client.query(`CREATE TEMP TABLE passing (n int); CREATE TEMP VIEW passed AS SELECT n FROM passing;
      CREATE TYPE pg_temp.pair AS (a int); CREATE DOMAIN pg_temp.small AS int; CREATE DOMAIN tall AS int`)
    const { relations, types } = await loadGateCatalogue(query)
    expect(['passing', 'passed'].filter((name) => relations.has(name))).toEqual([])
    expect(['pair', 'small', 'tall'].filter((name) => types.has(name))).toEqual(['tall'])
  })

  it('reads a server whose object numbers have passed 2^31', async () => {
    await client.query('SET allow_system_table_mods = on')
    await client.query(
      "INSERT INTO pg_catalog.pg_namespace (oid, nspname, nspowner) VALUES (4000000000, 'late', 10)",
    )
    await client.query('CREATE TABLE late.orders (id int)')
    const { relations } = await loadGateCatalogue(query)
    expect(relations.get('orders')).toMatchObject([{ schema: 'late', kind: 'r' }])
  })
})
