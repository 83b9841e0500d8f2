import type { AuditLog } from '../src/audit/open.ts'
import type { Settings } from '../src/config/settings.ts'
import type { Observe } from '../src/observe/observation.ts'
import type { Store } from '../src/store/open.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { createNotices } from './notices.ts'
import { readSettings } from './read-settings.ts'

/** What a command has open that works on the store of a gateway which may be running. */
export interface AuditDesk {
  readonly settings: Settings
  readonly store: Store
  readonly audit: AuditLog
  readonly observe: Observe
}

/**
 * Opens the store and the record, lets `work` use them, and closes both, whatever the outcome. What was
 * recorded is written before this returns.
 */
export async function withAudit(
  invocation: Invocation,
  given: Given,
  work: (desk: AuditDesk) => Promise<ExitCode>,
): Promise<ExitCode> {
  const read = await readSettings(invocation, given, 'administer')
  if (!read.ok) return read.error
  const { settings } = read.value
  const [{ openStore }, { openAudit }] = await Promise.all([
    import('../src/store/open.ts'),
    import('../src/audit/open.ts'),
  ])
  const { clock } = invocation
  const observe = createNotices(invocation)
  const store = await openStore(settings.store, { clock, observe })
  try {
    const audit = openAudit(store.db, clock, observe, settings.audit)
    try {
      return await work({ settings, store, audit, observe })
    } finally {
      await audit.close()
    }
  } finally {
    await store.close()
  }
}
