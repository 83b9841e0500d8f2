import { setImmediate as breathe } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import {
  type AuditRow,
  type AuditRowFilter,
  pruneAuditRows,
  readAuditFloor,
  readAuditHead,
  searchAuditRows,
} from '../store/audit-rows.ts'
import type { StoreSchema } from '../store/schema.ts'
import { appendInThread } from './append-in-thread.ts'
import { type Append, appendTo } from './append.ts'
import type { AuditEvent, AuditSink } from './entry.ts'
import { type AuditVerification, verifyAudit } from './verify.ts'
import { type AuditState, AuditWriter } from './writer.ts'

export type { AuditState } from './writer.ts'

export interface AuditOptions {
  readonly bufferEvents: number
  readonly flushIntervalMs: number
  /** Entries older than this are pruned, oldest first; the chain stays provable from there on. */
  readonly retentionMs: number
  /** A SQLite store to write from a thread of its own; absent: on the store's connection. */
  readonly threadFile?: string
}

/** An entry as a reader sees it. */
export interface AuditEntry extends AuditEvent {
  readonly seq: number
  readonly hash: string
}

/** The record: written through `record`, read through `search`, proven by `verify`. */
export interface AuditLog extends AuditSink {
  /** From new to old; `next` is the cursor (`beforeSeq`) of the following page, absent on the last one. */
  search(
    filter: AuditRowFilter,
    limit: number,
  ): Promise<{ readonly entries: readonly AuditEntry[]; readonly next?: number }>
  verify(): Promise<AuditVerification>
  flush(): Promise<void>
  /** Entries in memory; transactions, and the entries in them, that this process wrote. */
  counts(): { readonly waiting: number; readonly flushes: number; readonly written: number }
  state(): AuditState
  close(): Promise<void>
}

/** Entries looked at before other work gets its turn: most filters read the JSON text of each one. */
const SEARCHED_AT_ONCE = 5_000

/** How often entries past their retention are looked for. */
const PRUNE_EVERY_MS = 3_600_000

/** Removed in one transaction, so that neither requests nor the writer wait for a month's worth. */
const PRUNED_AT_ONCE = 2_000

export function openAudit(
  db: Kysely<StoreSchema>,
  clock: Clock,
  observe: Observe,
  options: AuditOptions,
): AuditLog {
  const thread = options.threadFile === undefined ? undefined : appendInThread(options.threadFile)
  const append: Append = thread
    ? async (page) => {
        // The thread would go on writing into a file that was replaced or deleted; the store knows, and says so.
        await sql`select 1`.execute(db)
        await thread.append(page)
      }
    : appendTo(db)
  const writer = new AuditWriter(append, clock, observe, options)
  let cancelPrune = (): void => {}
  let pruning: Promise<void> | undefined
  let closed = false
  const isOpen = (): boolean => !closed
  const prune = async (): Promise<void> => {
    const before = clock.now() - options.retentionMs
    let pruned = 0
    try {
      let count: number
      do {
        count = await pruneAuditRows(db, before, PRUNED_AT_ONCE)
        pruned += count
        await breathe()
      } while (count === PRUNED_AT_ONCE && isOpen())
    } catch (error) {
      observe({ kind: 'fault', where: 'audit.prune', error })
    }
    if (pruned === 0) return
    writer.record({
      kind: 'system',
      outcome: 'done',
      at: clock.now(),
      action: 'audit.prune',
      rowCount: pruned,
    })
  }
  const schedulePrune = (delayMs: number): void => {
    if (closed) return
    cancelPrune = clock.after(delayMs, () => {
      pruning = prune().then(() => {
        schedulePrune(PRUNE_EVERY_MS)
      })
    })
  }
  schedulePrune(60_000)

  return {
    record: (event) => writer.record(event),
    room: () => writer.room(),
    flush: () => writer.flush(),
    counts: () => writer.counts(),
    state: () => writer.state(),
    verify: () => verifyAudit(db),
    async search(filter, limit) {
      const rows = await searchInPortions(db, filter, limit + 1)
      const page = rows.slice(0, limit)
      const entries = page.map((row) => ({
        ...(JSON.parse(row.entry) as AuditEvent),
        seq: row.seq,
        hash: row.hash,
      }))
      const last = page.at(-1)
      return rows.length > limit && last ? { entries, next: last.seq } : { entries }
    },
    async close() {
      closed = true
      cancelPrune()
      // The store is closed next, and what was pruned belongs into the record.
      await pruning
      try {
        await writer.close()
      } finally {
        await thread?.close()
      }
    },
  }
}

/** Rows that match, from new to old. SQLite looks at them on the thread that serves requests. */
async function searchInPortions(
  db: Kysely<StoreSchema>,
  filter: AuditRowFilter,
  most: number,
): Promise<readonly AuditRow[]> {
  const head = await readAuditHead(db)
  const floor = await readAuditFloor(db)
  const rows: AuditRow[] = []
  let beforeSeq = Math.min(filter.beforeSeq ?? Infinity, head.seq + 1)
  while (rows.length < most && beforeSeq > floor.seq + 1) {
    const fromSeq = Math.max(floor.seq + 1, beforeSeq - SEARCHED_AT_ONCE)
    rows.push(...(await searchAuditRows(db, { ...filter, beforeSeq, fromSeq }, most - rows.length)))
    beforeSeq = fromSeq
    await breathe()
  }
  return rows
}
