import type { Settings } from '../src/config/settings.ts'
import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import type { Tokens } from '../src/identity/tokens.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { recordedTokens } from './recorded-tokens.ts'
import { withAudit } from './with-audit.ts'

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
  return await withAudit(invocation, given, async ({ settings, store, audit, observe }) => {
    const { openIdentity } = await import('../src/identity/open.ts')
    const { clock } = invocation
    const { tokenFile } = settings.auth
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
  })
}
