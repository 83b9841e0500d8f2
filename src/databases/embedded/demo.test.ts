import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Observation } from '../../observe/observation.ts'
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

async function as(role: 'reader' | 'writer', sql: string, database?: string): Promise<unknown[]> {
  const address = demo.databases[0]
  if (!address?.writer) throw new Error('no database')
  const login = role === 'reader' ? address : address.writer
  const client = new Client({
    host: address.host,
    port: address.port,
    database: database ?? address.database,
    user: login.user,
    password: login.password?.reveal(),
  })
  await client.connect()
  try {
    return (await client.query(sql)).rows as unknown[]
  } finally {
    await client.end()
  }
}

describe('the demo database', () => {
  test('has the sample, read by one role and changed by another', async () => {
    expect(seen).toEqual([
      expect.objectContaining({ kind: 'database.embedded', created: true, port: demo.databases[0]?.port }),
    ])
    expect(await as('reader', 'SELECT count(*)::int AS orders FROM orders')).toEqual([{ orders: 12_000 }])
    await expect(as('reader', 'DELETE FROM orders')).rejects.toThrow('permission denied')
    await as('writer', `UPDATE orders SET reference = 'kept' WHERE id = 1`)
  })

  test('gives its roles nothing else to hold on to', async () => {
    for (const role of ['reader', 'writer'] as const) {
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
    expect(await as('reader', 'SELECT reference FROM orders WHERE id = 1')).toEqual([{ reference: 'kept' }])
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
