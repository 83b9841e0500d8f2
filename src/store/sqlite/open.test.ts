import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { openSqliteStore } from './open.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-sqlite-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

it('waits for the write lock of another connection without SQLite waiting on the event loop', async () => {
  const file = join(dir, 'store.db')
  const store = await openSqliteStore(file, systemClock, () => undefined)
  const other = new BetterSqlite3(file)
  try {
    const { rows } = await sql<{ timeout: number }>`pragma busy_timeout`.execute(store.db)
    expect(rows).toEqual([{ timeout: 0 }])

    other.exec('begin immediate')
    let written = false
    const change = store
      .change('tokens', async () => undefined)
      .then(() => {
        written = true
      })
    // The loop turns while the write waits: a timer that is due comes before it.
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(written).toBe(false)
    other.exec('commit')
    await change
    expect(written).toBe(true)
  } finally {
    other.close()
    await store.close()
  }
})

it('says that the file is damaged, and what to do, whatever part of it is', async () => {
  const file = join(dir, 'store.db')
  await (await openSqliteStore(file, systemClock, () => undefined)).close()
  const whole = await readFile(file)
  const reader = new BetterSqlite3(file, { readonly: true })
  const tables = reader
    .prepare<[], { name: string; page: number }>('select name, rootpage as page from sqlite_master')
    .all()
  const pageBytes = Number(reader.pragma('page_size', { simple: true }))
  reader.close()
  for (const name of ['schema_migrations', 'changes']) {
    const { page = 0 } = tables.find((one) => one.name === name) ?? {}
    const damaged = Buffer.from(whole)
    damaged.fill(0xa5, (page - 1) * pageBytes, page * pageBytes)
    await writeFile(file, damaged)
    await expect(
      openSqliteStore(file, systemClock, () => undefined),
      name,
    ).rejects.toThrow('the file is damaged: restore a backup')
  }
})
