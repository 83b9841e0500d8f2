import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { systemClock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import type { Observation } from '../observe/observation.ts'
import { openStore, type Store, type StoreOptions } from '../store/open.ts'
import { GENESIS_HASH, linkEntries, linkHash } from './chain.ts'
import type { AuditEvent } from './entry.ts'
import { type AuditLog, openAudit } from './open.ts'

const DAY_MS = 86_400_000
/** A busy machine may need a while to start a thread. */
const WAIT = { timeout: 20_000 }

const OPTIONS = { bufferEvents: 1_000, flushIntervalMs: 200, retentionMs: 30 * DAY_MS }

const event = (at: number, more: Partial<AuditEvent> = {}): AuditEvent => ({
  kind: 'execution',
  outcome: 'done',
  at,
  principal: 'alice',
  credentialId: 'tok_1',
  action: 'query_database',
  ...more,
})

describe('linkEntries', () => {
  it('hashes number, predecessor and text, so that no entry fits another place', () => {
    const [first, second] = linkEntries(
      [
        { at: 1, entry: '{}' },
        { at: 2, entry: '{}' },
      ],
      { seq: 0, hash: GENESIS_HASH },
    )
    expect(first).toMatchObject({ seq: 1, previousHash: GENESIS_HASH })
    expect(second).toMatchObject({ seq: 2, previousHash: first?.hash })
    expect(linkHash(2, GENESIS_HASH, first?.entry ?? '')).not.toBe(first?.hash)
  })
})

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-audit-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

let count = 0
const engines: readonly (readonly [name: string, options: () => Promise<StoreOptions>, threaded: boolean])[] =
  [
    ['SQLite', () => Promise.resolve({ kind: 'sqlite', file: join(dir, `${(count += 1)}.db`) }), false],
    [
      'SQLite from a thread',
      () => Promise.resolve({ kind: 'sqlite', file: join(dir, `${(count += 1)}.db`) }),
      true,
    ],
    [
      'PostgreSQL',
      async () => ({
        kind: 'postgres',
        url: new Secret((await (await testPostgres()).createDatabase()).url),
      }),
      false,
    ],
  ]

describe.each(engines)('the audit record on %s', (_, options, threaded) => {
  const clock = manualClock()
  const observations: Observation[] = []
  const opened: (AuditLog | Store)[] = []
  let place: StoreOptions
  let store: Store
  let audit: AuditLog

  const openBoth = async (): Promise<readonly [Store, AuditLog]> => {
    const observe = (observation: Observation): void => {
      observations.push(observation)
    }
    // The store polls on its own clock: a month of the audit's would be a hundred million polls.
    const newStore = await openStore(place, { clock: systemClock, observe })
    const newAudit = openAudit(newStore.db, clock, observe, {
      ...OPTIONS,
      ...(threaded && place.kind === 'sqlite' ? { threadFile: place.file } : {}),
    })
    opened.push(newStore, newAudit)
    return [newStore, newAudit]
  }

  const start = async (): Promise<void> => {
    place = await options()
    observations.length = 0
    ;[store, audit] = await openBoth()
  }

  afterEach(async () => {
    for (const part of opened.reverse()) await part.close()
    opened.length = 0
  })

  it('writes what was recorded after the interval, in order, and proves it', async () => {
    await start()
    for (let index = 0; index < 5; index += 1) audit.record(event(clock.now(), { rowCount: index }))
    expect((await audit.search({}, 10)).entries).toEqual([])
    clock.advance(200)
    await vi.waitFor(async () => {
      expect((await audit.search({}, 10)).entries).toHaveLength(5)
    }, WAIT)
    const { entries } = await audit.search({}, 10)
    expect(entries.map((entry) => entry.rowCount)).toEqual([4, 3, 2, 1, 0])
    const report = await audit.verify()
    expect(report).toEqual({ intact: true, checked: 5, floorSeq: 0, headSeq: 5, headHash: entries[0]?.hash })
  })

  it('keeps one chain when two processes append at the same time', async () => {
    await start()
    const [, other] = await openBoth()
    for (let index = 0; index < 400; index += 1) {
      audit.record(event(clock.now(), { principal: 'server' }))
      other.record(event(clock.now(), { principal: 'command line' }))
    }
    await Promise.all([audit.flush(), other.flush()])
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 800, headSeq: 800 })
  })

  it('loses nothing of what was recorded before close', async () => {
    await start()
    for (let index = 0; index < 700; index += 1) audit.record(event(clock.now()))
    await audit.close()
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 700 })
  })

  const fill = async (entries: number): Promise<void> => {
    await start()
    for (let index = 0; index < entries; index += 1) audit.record(event(clock.now(), { rowCount: index }))
    await audit.flush()
  }

  it('names an altered entry', async () => {
    await fill(20)
    await sql`UPDATE audit_entries SET entry = replace(entry, 'alice', 'mallory') WHERE seq = 7`.execute(
      store.db,
    )
    const report = await audit.verify()
    expect(report).toMatchObject({ intact: false, checked: 6, firstBad: { seq: 7, problem: 'altered' } })
    expect(report.firstBad?.message).toContain('entry 7')
  })

  it('names an altered entry whose own hash was corrected, by the one after it', async () => {
    await fill(20)
    const [row] = (
      await sql<{
        entry: string
        previous_hash: string
      }>`SELECT entry, previous_hash FROM audit_entries WHERE seq = 7`.execute(store.db)
    ).rows
    const entry = row?.entry.replace('alice', 'mallory') ?? ''
    const hash = linkHash(7, row?.previous_hash ?? '', entry)
    await sql`UPDATE audit_entries SET entry = ${entry}, hash = ${hash} WHERE seq = 7`.execute(store.db)
    expect(await audit.verify()).toMatchObject({ intact: false, firstBad: { seq: 8, problem: 'inserted' } })
  })

  it('notices a time that was changed beside the hashed text', async () => {
    await fill(5)
    await sql`UPDATE audit_entries SET at = at - 1000 WHERE seq = 3`.execute(store.db)
    expect(await audit.verify()).toMatchObject({ intact: false, firstBad: { seq: 3, problem: 'altered' } })
  })

  it('names a removed entry', async () => {
    await fill(20)
    await sql`DELETE FROM audit_entries WHERE seq = 11`.execute(store.db)
    expect(await audit.verify()).toMatchObject({ intact: false, firstBad: { seq: 11, problem: 'removed' } })
  })

  it('names a swapped pair', async () => {
    await fill(20)
    await sql`UPDATE audit_entries SET seq = 1000 WHERE seq = 4`.execute(store.db)
    await sql`UPDATE audit_entries SET seq = 4 WHERE seq = 5`.execute(store.db)
    await sql`UPDATE audit_entries SET seq = 5 WHERE seq = 1000`.execute(store.db)
    expect(await audit.verify()).toMatchObject({ intact: false, firstBad: { seq: 4 } })
  })

  it('notices that the end was cut off', async () => {
    await fill(20)
    await sql`DELETE FROM audit_entries WHERE seq > 15`.execute(store.db)
    expect(await audit.verify()).toMatchObject({ intact: false, firstBad: { seq: 16, problem: 'truncated' } })
  })

  it('verifies a record longer than one page', async () => {
    await fill(2_300)
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 2_300 })
  })

  it('finds by who, what, outcome and time, page by page', async () => {
    await start()
    const before = clock.now()
    audit.record(event(before, { principal: 'bob', outcome: 'refuse', rule: 'sql.write' }))
    clock.advance(1_000)
    for (let index = 0; index < 5; index += 1) audit.record(event(clock.now()))
    await audit.flush()
    expect((await audit.search({ principal: 'bob' }, 10)).entries).toMatchObject([
      { rule: 'sql.write', seq: 1 },
    ])
    expect((await audit.search({ outcome: 'refuse', action: 'query_database' }, 10)).entries).toHaveLength(1)
    expect((await audit.search({ since: before + 1 }, 10)).entries).toHaveLength(5)
    const page = await audit.search({ credentialId: 'tok_1' }, 4)
    expect(page.entries.map((entry) => entry.seq)).toEqual([6, 5, 4, 3])
    const rest = await audit.search({ credentialId: 'tok_1', beforeSeq: page.next ?? 0 }, 4)
    expect(rest.entries.map((entry) => entry.seq)).toEqual([2, 1])
    expect(rest.next).toBeUndefined()
  })

  it('takes any name that a caller sends, so that none can stop the record', async () => {
    await start()
    audit.record(event(clock.now(), { action: 'no\0such\uD800tool' }))
    audit.record(event(clock.now(), { principal: 'later' }))
    await audit.flush()
    const { entries } = await audit.search({ action: 'no\uFFFDsuch\uFFFDtool' }, 10)
    expect(entries).toHaveLength(1)
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 2 })
  })

  it('prunes what is older than the retention and still proves the rest', async () => {
    await fill(10)
    clock.advance(31 * DAY_MS)
    audit.record(event(clock.now(), { principal: 'late' }))
    await audit.flush()
    await vi.waitFor(async () => {
      clock.advance(3_600_000)
      const report = await audit.verify()
      expect(report.floorSeq).toBe(10)
      expect(report.intact).toBe(true)
    }, WAIT)
    const { entries } = await audit.search({}, 10)
    expect(entries.at(-1)).toMatchObject({ seq: 11, principal: 'late' })
  })

  it('keeps what it cannot write, makes callers wait when full, and catches up', async () => {
    await start()
    await sql`ALTER TABLE audit_entries RENAME TO audit_entries_away`.execute(store.db)
    for (let index = 0; index < OPTIONS.bufferEvents; index += 1) audit.record(event(clock.now()))
    await vi.waitFor(() => {
      expect(observations.some((observation) => observation.kind === 'audit.flush_failed')).toBe(true)
    }, WAIT)
    const room = audit.room()
    expect(room).toBeInstanceOf(Promise)
    await sql`ALTER TABLE audit_entries_away RENAME TO audit_entries`.execute(store.db)
    await audit.flush()
    await expect(room).resolves.toBeUndefined()
    expect(audit.room()).toBeUndefined()
    expect(await audit.verify()).toMatchObject({ intact: true, checked: OPTIONS.bufferEvents })
  })

  it('refuses callers when the store takes nothing: what cannot be recorded must not happen', async () => {
    await start()
    await sql`ALTER TABLE audit_entries RENAME TO audit_entries_away`.execute(store.db)
    for (let index = 0; index < OPTIONS.bufferEvents; index += 1) audit.record(event(clock.now()))
    const refused = expect(audit.room()).rejects.toMatchObject({ code: 'store_unavailable' })
    clock.advance(5_000)
    await refused
    await expect(audit.flush()).rejects.toThrow(/audit_entries/)
    await sql`ALTER TABLE audit_entries_away RENAME TO audit_entries`.execute(store.db)
  })
})
