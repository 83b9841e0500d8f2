import type { Settings } from '../src/config/settings.ts'
import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import type { Tokens } from '../src/identity/tokens.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { createNotices } from './notices.ts'
import { readSettings } from './read-settings.ts'
import { recordedTokens } from './recorded-tokens.ts'

export interface TokenDesk {
  readonly tokens: Tokens
  readonly settings: Settings
  /** Names of the configured databases, in the order of configuration. */
  readonly databases: readonly string[]
  /** Absolute path; `null` without one. */
  readonly tokenFile: string | null
}

/**
 * Opens the store and the credentials beside a gateway that may be running, lets `work` administer them,
 * and closes everything, whatever the outcome. What was done is in the audit before this returns.
 */
export async function withTokens(
  invocation: Invocation,
  given: Given,
  work: (desk: TokenDesk) => Promise<ExitCode>,
): Promise<ExitCode> {
  const read = await readSettings(invocation, given)
  if (!read.ok) return read.error
  const { settings } = read.value
  const [{ openStore }, { openIdentity }, { openAudit }] = await Promise.all([
    import('../src/store/open.ts'),
    import('../src/identity/open.ts'),
    import('../src/audit/open.ts'),
  ])
  const { clock } = invocation
  const observe = createNotices(invocation)
  const tokenFile = settings.auth.tokenFile
  const store = await openStore(settings.store, { clock, observe })
  try {
    const audit = openAudit(store.db, clock, observe, settings.audit)
    try {
      const identity = await openIdentity({
        store,
        staticTokens: settings.auth.tokens,
        tokenFile,
        enabled: true,
        clock,
        observe,
        tenantDefault: FIRST_TENANT,
        purpose: 'manage',
      })
      try {
        return await work({
          settings,
          tokens: recordedTokens(identity.tokens, audit, clock),
          databases: settings.databases.map((database) => database.name),
          tokenFile,
        })
      } finally {
        await identity.close()
      }
    } finally {
      await audit.close()
    }
  } finally {
    await store.close()
  }
}
