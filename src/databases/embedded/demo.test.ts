import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Secret } from '../../lib/secret.ts'
import type { Observation } from '../../observe/observation.ts'
import { tenantKey } from '../tenancy/tenant-key.ts'
import { tenantRoles } from '../tenancy/tenant-roles.ts'
import { makeTenantSql } from '../tenancy/tenant-sql.ts'
import { type DemoDatabase, startDemoDatabase } from './demo.ts'

let dataDir: string
let demo: DemoDatabase
const seen: Observation[] = []
const observe = (observation: Observation): void => {
  seen.push(observation)
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'postern-demo-'))
  demo = await startDemoDatabase({ dataDir, observe })
})

afterAll(async () => {
  await demo.close()
  await rm(dataDir, { recursive: true, force: true })
})

const roles = tenantRoles(tenantKey(Buffer.alloc(32, 5)), 'postern')

type Login = { readonly user: string; readonly password: Secret | null }

async function loggedIn<T>(
  { user, password }: Login,
  work: (client: Client) => Promise<T>,
  database?: string,
): Promise<T> {
  const address = demo.databases[0]
  if (!address) throw new Error('no database')
  const client = new Client({
    host: address.host,
    port: address.port,
    database: database ?? address.database,
    user,
    password: password?.reveal(),
  })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const provisioner = (): Login => {
  const login = demo.databases[0]?.tenancy?.provisioner
  if (!login) throw new Error('no provisioner')
  return login
}

/** Asks as a role of the tenant, or as the one that reads the catalogue. */
async function as(
  who: 'default' | 'harbour' | 'catalogue',
  sql: string,
  database?: string,
): Promise<unknown[]> {
  const { name, password } = roles.of(who, 'write')
  const login = who === 'catalogue' ? demo.databases[0] : { user: name, password }
  if (!login) throw new Error('no database')
  return await loggedIn(login, async (client) => (await client.query(sql)).rows as unknown[], database)
}

async function makeTenants(): Promise<void> {
  await loggedIn(provisioner(), async (client) => {
    for (const tenant of ['default', 'harbour'])
      for (const sql of makeTenantSql({ roles, prefix: 'postern', version: 18 }, tenant))
        await client.query(sql)
  })
}

describe('the demo database', () => {
  test('has the sample, of which each tenant reads and changes its own rows', async () => {
    expect(seen).toEqual([
      expect.objectContaining({ kind: 'database.embedded', created: true, port: demo.databases[0]?.port }),
    ])
    await makeTenants()
    expect(await as('default', 'SELECT count(*)::int AS orders FROM orders')).toEqual([{ orders: 7_965 }])
    expect(await as('harbour', 'SELECT count(*)::int AS orders FROM orders')).toEqual([{ orders: 4_035 }])
    expect(await as('harbour', 'SELECT DISTINCT tenant_id FROM monthly_revenue')).toEqual([
      { tenant_id: 'harbour' },
    ])
    expect(await as('harbour', 'SELECT id FROM tenants')).toEqual([{ id: 'harbour' }])
    expect(await as('harbour', 'SELECT count(*)::int AS platforms FROM platforms')).toEqual([
      { platforms: 5 },
    ])
    await as('default', `UPDATE orders SET reference = 'kept' WHERE id = 1`)
  })

  test('gives its roles nothing else to hold on to', async () => {
    await expect(as('catalogue', 'SELECT FROM orders')).rejects.toThrow('permission denied')
    for (const role of ['default', 'harbour', 'catalogue'] as const) {
      await expect(as(role, 'CREATE TEMP TABLE t (a int)')).rejects.toThrow('permission denied')
      await expect(as(role, 'CREATE TABLE t (a int)')).rejects.toThrow('permission denied')
      await expect(as(role, 'SELECT 1', 'postgres')).rejects.toThrow('permission denied')
      await expect(as(role, `SELECT pg_read_file('PG_VERSION')`)).rejects.toThrow('permission denied')
    }
  })

  test('keeps what was changed, and starts quickly, with new passwords', async () => {
    const old = demo.databases[0]?.password?.reveal()
    await demo.close()
    seen.length = 0
    const startedAt = performance.now()
    demo = await startDemoDatabase({ dataDir, observe })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    expect(seen).toEqual([expect.objectContaining({ kind: 'database.embedded', created: false })])
    expect(demo.databases[0]?.password?.reveal()).not.toBe(old)
    expect(await as('default', 'SELECT reference FROM orders WHERE id = 1')).toEqual([{ reference: 'kept' }])
  })

  test('says so when its server ends by itself, and only then', async () => {
    // The start before this one was closed on purpose.
    expect(seen.map(({ kind }) => kind)).not.toContain('database.down')
    const pidFile = await readFile(join(dataDir, 'embedded', 'data', 'postmaster.pid'), 'utf8')
    process.kill(Number(pidFile.split('\n')[0]), 'SIGQUIT')
    await expect
      .poll(() => seen.at(-1), { timeout: 10_000 })
      .toMatchObject({
        kind: 'database.down',
        database: 'sample',
        message: expect.stringContaining('ended by itself') as string,
      })
  })
})
