import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CatalogueLists,
  type GateCatalogue,
  loadGateCatalogue,
} from '../src/databases/gate/catalogue.ts'
import { loadCorpus } from '../src/databases/gate/corpus.ts'
import { loadGate } from '../src/databases/gate/judge.ts'
import { testPostgres, type TestDatabase } from '../test/support/postgres.ts'
import { loadSystemCatalogue, SYSTEM_CATALOGUE_FILE } from './system-catalogue.ts'

let database: TestDatabase
let live: GateCatalogue

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  const client = new Client({ connectionString: database.readerUrl })
  await client.connect()
  try {
    live = await loadGateCatalogue(async (sql) => (await client.query<Record<string, unknown>>(sql)).rows)
  } finally {
    await client.end()
  }
})
afterAll(() => database.drop())

const FIRST_USER_OID = 16_384

/** What belongs to PostgreSQL itself, in an order that does not depend on the server. */
function systemLists(catalogue: GateCatalogue): CatalogueLists {
  const all = <T>(index: ReadonlyMap<string, readonly T[]>, isSystem: (item: T) => boolean): T[] =>
    [...index.values()]
      .flat()
      .filter(isSystem)
      .map((item) => [JSON.stringify(item), item] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, item]) => item)
  const own = ({ oid }: { oid: number }): boolean => oid < FIRST_USER_OID
  return {
    version: 'system',
    fingerprint: 'system',
    searchPath: ['pg_catalog', 'public'],
    functions: all(catalogue.functions, own),
    operators: all(catalogue.operators, ({ schema }) => schema === 'pg_catalog'),
    types: all(catalogue.types, own),
    casts: [],
    relations: all(catalogue.relations, own),
  }
}

describe('the built-in catalogue', () => {
  it('is what the PostgreSQL of the tests says of itself', () => {
    const lists = systemLists(live)
    if (process.env['UPDATE_SYSTEM_CATALOGUE'])
      writeFileSync(SYSTEM_CATALOGUE_FILE, gzipSync(JSON.stringify(lists), { level: 9 }))
    expect(lists.functions.length).toBeGreaterThan(3000)
    const kept = JSON.parse(
      gunzipSync(readFileSync(SYSTEM_CATALOGUE_FILE)).toString('utf8'),
    ) as CatalogueLists
    expect(kept).toEqual(lists)
  })

  it('G14 lets no statement of the corpus through that must be refused, and judges the rest alike', async () => {
    const gate = await loadGate()
    const builtIn = loadSystemCatalogue()
    for (const { statement, outcome } of loadCorpus()) {
      const without = gate.judge(statement, builtIn)
      if (outcome === 'refuse') expect(without.ok, statement).toBe(false)
      expect(without.ok, statement).toBe(gate.judge(statement, live).ok)
    }
  })
})
