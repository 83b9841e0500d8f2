import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ManualClock, manualClock } from '../../test/support/clock.ts'
import { systemClock } from '../lib/clock.ts'
import type { Observation } from '../observe/observation.ts'
import { insertAuditRows, pruneAuditRows, reserveAuditSeqs } from '../store/audit-rows.ts'
import { openStore, type Store } from '../store/open.ts'
import { linkEntries } from './chain.ts'
import { type AuditLog, openAudit } from './open.ts'

const DAY_MS = 86_400_000
const WAIT = { timeout: 20_000 }

let dir: string
let store: Store
let clock: ManualClock
let audit: AuditLog
const observations: Observation[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-prune-'))
  observations.length = 0
  clock = manualClock()
  const observe = (observation: Observation): void => void observations.push(observation)
  store = await openStore({ kind: 'sqlite', file: join(dir, 'store.db') }, { clock: systemClock, observe })
  const limits = { bufferEvents: 1_000, flushIntervalMs: 200, retentionMs: 30 * DAY_MS }
  audit = openAudit(store.db, clock, observe, limits)
})

afterEach(async () => {
  await audit.close()
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

/** Entries of long ago, written at once. */
async function fill(count: number): Promise<void> {
  const at = clock.now() - 100 * DAY_MS
  const entry = JSON.stringify({ kind: 'execution', outcome: 'done', at, action: 'query_database' })
  await store.db.transaction().execute(async (trx) => {
    const head = await reserveAuditSeqs(trx, count)
    await insertAuditRows(
      trx,
      linkEntries(
        Array.from({ length: count }, () => ({ at, entry })),
        head,
      ),
    )
  })
}

/** Counts how often other work gets its turn while something is under way. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0
  let over = false
  const turn = (): void => {
    turns += 1
    if (!over) setImmediate(turn)
  }
  setImmediate(turn)
  await work
  over = true
  return turns
}

describe('a long record', () => {
  it('is verified without holding up everything else', async () => {
    await fill(10_000)
    expect(await turnsDuring(audit.verify())).toBeGreaterThan(9)
  })

  it('is searched without holding up everything else, over all of it', async () => {
    audit.record({ kind: 'system', outcome: 'done', at: 1, action: 'server.start' })
    await audit.flush()
    await fill(30_000)
    const search = audit.search({ action: 'server.start' }, 10)
    expect(await turnsDuring(search)).toBeGreaterThan(5)
    expect((await search).entries).toMatchObject([{ seq: 1 }])
    const page = await audit.search({ action: 'query_database' }, 7_000)
    expect(page.entries).toHaveLength(7_000)
    expect(page.next).toBe(23_002)
  })

  it('is pruned in portions, and one entry says how many went', async () => {
    await fill(9_000)
    const over = vi.waitFor(async () => {
      await audit.flush()
      expect((await audit.search({ action: 'audit.prune' }, 1)).entries).toMatchObject([{ rowCount: 9_000 }])
    }, WAIT)
    clock.advance(60_000)
    expect(await turnsDuring(over)).toBeGreaterThan(4)
    expect(await audit.verify()).toMatchObject({ intact: true, floorSeq: 9_000, checked: 1 })
  })

  it('still proves itself when it is pruned while it is verified', async () => {
    await fill(5_000)
    const verified = audit.verify()
    await new Promise(setImmediate)
    expect(await pruneAuditRows(store.db, clock.now(), 3_500)).toBe(3_500)
    const report = await verified
    expect(report).toMatchObject({ intact: true, floorSeq: 3_500, headSeq: 5_000 })
    expect(report.checked).toBeLessThan(5_000)
    const all = audit.verify()
    await pruneAuditRows(store.db, clock.now(), 3_500)
    expect(await all).toMatchObject({ intact: true })
  })

  it('does not pass for pruned when its floor was only said to be higher', async () => {
    await fill(10)
    await store.db.updateTable('audit_head').set({ floor_seq: 1_000 }).execute()
    expect(await audit.verify()).toMatchObject({ intact: false })
  })
})

describe('closing', () => {
  it('waits for what is being pruned, records it, and leaves no timer behind', async () => {
    await fill(5_000)
    clock.advance(60_000)
    await audit.close()
    expect(clock.waiting).toBe(0)
    const { entries } = await audit.search({ action: 'audit.prune' }, 1)
    expect(entries[0]?.rowCount).toBeGreaterThan(0)
    expect(observations.filter(({ kind }) => kind === 'fault')).toEqual([])
  })
})
