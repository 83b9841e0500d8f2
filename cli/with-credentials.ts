import { join } from 'node:path'
import type { Settings } from '../src/config/settings.ts'
import type { CredentialRecord, StoredCredentials } from '../src/upstreams/credentials/stored.ts'
import type { CredentialPlace } from '../src/upstreams/user-credentials.ts'
import { accountName } from './account-name.ts'
import type { ExitCode, Given, Invocation } from './command.ts'
import { withAudit } from './with-audit.ts'

export interface CredentialDesk {
  readonly settings: Settings
  readonly credentials: Pick<StoredCredentials, 'put' | 'remove' | 'list'>
}

/**
 * Opens the store and the credentials in it beside a gateway that may be running, lets `work` administer them, and
 * closes everything. What was done is in the audit before this returns; the gateway hears of it at once.
 */
export async function withCredentials(
  invocation: Invocation,
  given: Given,
  work: (desk: CredentialDesk) => Promise<ExitCode>,
): Promise<ExitCode> {
  return await withAudit(invocation, given, async ({ settings, store, audit, observe }) => {
    const [{ StoredCredentials: Stored }, { openKey }, { sealer }] = await Promise.all([
      import('../src/upstreams/credentials/stored.ts'),
      import('../src/upstreams/credentials/open-key.ts'),
      import('../src/lib/seal.ts'),
    ])
    const { clock } = invocation
    const stored = new Stored({
      store,
      key: async () => sealer(await openKey(join(settings.dataDir, 'secret.key'), store, observe)),
      clock,
      observe,
    })
    await stored.start()
    const record = (action: string, { server, principal, tenant }: CredentialPlace): void => {
      audit.record({
        kind: 'administration',
        outcome: 'done',
        at: clock.now(),
        principal: `local:${accountName()}`,
        wire: 'cli',
        action,
        target: `${server} ${principal}`.slice(0, 256),
        tenant,
      })
    }
    try {
      return await work({
        settings,
        credentials: {
          list: (filter) => stored.list(filter),
          async put(place, value) {
            const kept = await stored.put(place, value)
            if (kept) record('server.credential.set_for', place)
            return kept
          },
          async remove(place) {
            const removed = await stored.remove(place)
            if (removed) record('server.credential.remove_for', place)
            return removed
          },
        },
      })
    } finally {
      await stored.close()
    }
  })
}

/** A credential as `--json` shows it: whose and since when, never its value. */
export const credentialJson = (record: CredentialRecord): Readonly<Record<string, string>> => ({
  server: record.server,
  tenant: record.tenant,
  principal: record.principal,
  created_at: new Date(record.createdAt).toISOString(),
  updated_at: new Date(record.updatedAt).toISOString(),
})
