import { setImmediate as breathe } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { readAuditFloor, readAuditHead, readAuditRowsAfter } from '../store/audit-rows.ts'
import type { StoreSchema } from '../store/schema.ts'
import { linkHash } from './chain.ts'

/** What a verification found. `firstBad` names the first entry that does not fit the one before it. */
export interface AuditVerification {
  readonly intact: boolean
  /** Entries that were checked and fit. */
  readonly checked: number
  /** The number of the entry that the chain starts after: 0 unless older ones were pruned. */
  readonly floorSeq: number
  readonly headSeq: number
  /** Hash of the last entry: kept elsewhere, it proves later that nobody rebuilt the chain. */
  readonly headHash: string
  readonly firstBad?: {
    readonly seq: number
    readonly problem: 'altered' | 'removed' | 'inserted' | 'truncated'
    readonly message: string
  }
}

const PAGE_ROWS = 1_000

/**
 * Walks the whole chain in pages, so that a record of any length is checked in constant memory, and lets other
 * work go on between two of them: SQLite reads on the thread that serves requests.
 */
export async function verifyAudit(db: Kysely<StoreSchema>): Promise<AuditVerification> {
  let floor = await readAuditFloor(db)
  const head = await readAuditHead(db)
  let { seq, hash } = floor
  let checked = 0
  const broken = (
    badSeq: number,
    problem: 'altered' | 'removed' | 'inserted' | 'truncated',
    message: string,
  ): AuditVerification => ({
    intact: false,
    checked,
    floorSeq: floor.seq,
    headSeq: head.seq,
    headHash: head.hash,
    firstBad: { seq: badSeq, problem, message },
  })
  const intact = (): AuditVerification => ({
    intact: true,
    checked,
    floorSeq: floor.seq,
    headSeq: head.seq,
    headHash: head.hash,
  })
  while (seq < head.seq) {
    const page = await readAuditRowsAfter(db, seq, PAGE_ROWS)
    if (page[0]?.seq !== seq + 1) {
      // Pruned since the floor was read: what is left starts after the new one.
      const moved = await readAuditFloor(db)
      if (moved.seq > seq) {
        floor = moved
        ;({ seq, hash } = moved)
        // So far behind that all of what was there at the start has been pruned.
        if (seq > head.seq) return intact()
        continue
      }
    }
    if (page.length === 0) break
    for (const row of page) {
      // Entries that were appended after the head was read belong to the next verification.
      if (row.seq > head.seq) break
      if (row.seq !== seq + 1) {
        return broken(seq + 1, 'removed', `entry ${seq + 1} is missing: ${seq} is followed by ${row.seq}`)
      }
      if (row.previousHash !== hash) {
        return broken(row.seq, 'inserted', `entry ${row.seq} does not follow from entry ${seq}`)
      }
      if (linkHash(row.seq, row.previousHash, row.entry) !== row.hash || entryTime(row.entry) !== row.at) {
        return broken(row.seq, 'altered', `entry ${row.seq} was altered after it was written`)
      }
      ;({ seq, hash } = row)
      checked += 1
    }
    await breathe()
  }
  if (seq !== head.seq) {
    return broken(seq + 1, 'truncated', `the record ends at entry ${seq}, but ${head.seq} were written`)
  }
  if (hash !== head.hash) return broken(seq, 'altered', `entry ${seq} is not the one that was written last`)
  return intact()
}

/** The time inside the hashed text; the column beside it is only for searching. */
function entryTime(entry: string): number | undefined {
  try {
    const parsed: unknown = JSON.parse(entry)
    return typeof parsed === 'object' && parsed !== null && 'at' in parsed && typeof parsed.at === 'number'
      ? parsed.at
      : undefined
  } catch {
    return undefined
  }
}
