import { openAudit, type AuditOptions } from '../audit/open.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import { type StoreOptions } from '../store/open.ts'
import { withWriting } from '../store/with-writing.ts'

export interface BackupAct {
  readonly outcome: 'done' | 'failed'
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly principal: string
  /** Digest of the backup: tells later which one it was. */
  readonly target?: string
  /** Code of what kept it from being written. */
  readonly rule?: string
  readonly clock: Clock
  readonly observe: Observe
}

/**
 * Records a backup in the store that was copied. Answers false where the store takes no writes: with a full disk a backup
 * is needed all the more.
 */
export async function recordBackup(
  store: StoreOptions,
  options: AuditOptions,
  { outcome, now, principal, target, rule, clock, observe }: BackupAct,
): Promise<boolean> {
  try {
    await withWriting(store, async (db) => {
      const audit = openAudit(db, clock, observe, options)
      audit.record({
        kind: 'administration',
        outcome,
        at: now,
        principal,
        wire: 'cli',
        action: 'store.backup',
        ...(target === undefined ? {} : { target }),
        ...(rule === undefined ? {} : { rule }),
      })
      await audit.close()
    })
    return true
  } catch {
    return false
  }
}
