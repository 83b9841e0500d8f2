import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Authentication } from '../../src/identity/authenticate.ts'
import { type Identity, type IdentityOptions, openIdentity } from '../../src/identity/open.ts'
import type { StaticToken } from '../../src/identity/static-tokens.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Observation } from '../../src/observe/observation.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/open.ts'

export interface TestIdentity {
  readonly identity: Identity
  readonly store: Store
  readonly observations: readonly Observation[]
  authenticate(token: Secret | string): Promise<Authentication>
  close(): Promise<void>
}

/**
 * Opens a store and an identity on it; several on one store stand for several replicas. `clock` is the
 * identity's; the store's change feed looks at the real time, whatever a test does to the other.
 */
export async function openTestIdentity(
  storeOptions: StoreOptions,
  clock: Clock,
  change: Partial<IdentityOptions> = {},
): Promise<TestIdentity> {
  const observations: Observation[] = []
  const observe = (observation: Observation): void => {
    observations.push(observation)
  }
  const store = await openStore(storeOptions, { clock: systemClock, observe })
  const identity = await openIdentity({
    store,
    staticTokens: [],
    tokenFile: null,
    enabled: true,
    clock,
    observe,
    tenantDefault: 'default',
    ...change,
  })
  return {
    identity,
    store,
    observations,
    async authenticate(token) {
      const text = typeof token === 'string' ? token : token.reveal()
      return await identity.authenticator.authenticate(`Bearer ${text}`)
    },
    async close() {
      await identity.close()
      await store.close()
    },
  }
}

export const staticToken = (name: string, value: string, change: Partial<StaticToken> = {}): StaticToken => ({
  name,
  value: new Secret(value),
  hash: null,
  level: 'read-only',
  owner: name,
  tenant: 'default',
  scopes: 'all',
  servers: 'all',
  databases: 'all',
  expiresAt: null,
  ...change,
})

/** A directory of its own for one test file. */
export async function temporaryDirectory(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'postern-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
