import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLog, openAudit } from '../src/audit/open.ts'
import { type Identity, openIdentity } from '../src/identity/open.ts'
import type { Tokens } from '../src/identity/tokens.ts'
import { systemClock } from '../src/lib/clock.ts'
import { openStore, type Store } from '../src/store/open.ts'
import { recordedTokens } from './recorded-tokens.ts'

let dir: string
let store: Store
let audit: AuditLog
let identity: Identity
let tokens: Tokens
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-recorded-'))
  const clock = systemClock
  const observe = (): void => undefined
  store = await openStore({ kind: 'sqlite', file: join(dir, 'store.db') }, { clock, observe })
  audit = openAudit(store.db, clock, observe, {
    bufferEvents: 100,
    flushIntervalMs: 60_000,
    retentionMs: 86_400_000,
  })
  identity = await openIdentity({
    store,
    staticTokens: [],
    tokenFile: null,
    enabled: true,
    clock,
    observe,
    tenantDefault: 'default',
    purpose: 'manage',
  })
  tokens = recordedTokens(identity.tokens, audit, clock)
})
afterEach(async () => {
  await identity.close()
  await audit.close()
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

const actions = async (): Promise<unknown[]> =>
  (await audit.search({}, 10)).entries.map(({ action, target }) => [action, target])

/** The store takes tokens, but no entry of the record. */
const refuseEntries = async (): Promise<void> => {
  await sql`create trigger no_entries before insert on audit_entries begin select raise(fail, 'no'); end`.execute(
    store.db,
  )
}
const takeEntries = async (): Promise<void> => {
  await sql`drop trigger no_entries`.execute(store.db)
}

it('has written the entry of a token when it hands out its value', async () => {
  const added = await tokens.add({ note: 'one' })
  if (!added.ok) throw new Error('refused')
  expect(await actions()).toEqual([['token.add', added.value.record.id]])
  const rotated = await tokens.rotate(added.value.record.id)
  expect(rotated.ok).toBe(true)
  expect(await actions()).toHaveLength(2)
})

it('ends a new token again when its entry cannot be written', async () => {
  await refuseEntries()
  await expect(tokens.add({ note: 'one' })).rejects.toMatchObject({
    code: 'store_unavailable',
    message: expect.stringContaining('was removed again') as string,
  })
  const [only] = await tokens.list()
  expect(only).toMatchObject({ note: 'one', status: 'revoked' })
  await takeEntries()
  await audit.flush()
  // Both facts come into the record once the store takes them.
  expect(await actions()).toEqual([
    ['token.remove', only?.id],
    ['token.add', only?.id],
  ])
})

it('ends the successor again when the rotation cannot be recorded', async () => {
  const added = await tokens.add({ note: 'one' })
  if (!added.ok) throw new Error('refused')
  await refuseEntries()
  await expect(tokens.rotate(added.value.record.id, 60_000)).rejects.toMatchObject({
    code: 'store_unavailable',
  })
  const status = new Map((await tokens.list()).map((one) => [one.id, one.status]))
  expect(status.get(added.value.record.id)).toBe('valid')
  expect([...status.values()].toSorted()).toEqual(['revoked', 'valid'])
  await takeEntries()
})
