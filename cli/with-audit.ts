import type { AuditLog } from '../src/audit/open.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { createNotices } from './notices.ts'
import { readSettings } from './read-settings.ts'

/** Opens the record beside a gateway that may be running, lets `work` read it, and closes it. */
export async function withAudit(
  invocation: Invocation,
  given: Given,
  work: (audit: AuditLog) => Promise<ExitCode>,
): Promise<ExitCode> {
  const read = await readSettings(invocation, given)
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
      return await work(audit)
    } finally {
      await audit.close()
    }
  } finally {
    await store.close()
  }
}
