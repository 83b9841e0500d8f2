import { mkdtemp, rm } from 'node:fs/promises'
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
