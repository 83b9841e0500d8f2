import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openAudit } from '../../src/audit/open.ts'
import type { Caller } from '../../src/identity/caller.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openStore, type StoreOptions } from '../../src/store/open.ts'
import { manualClock } from '../support/clock.ts'
import { callerOf, controlParts } from '../support/http-parts.ts'
import { testPostgres } from '../support/postgres.ts'

interface Entry {
  readonly seq: number
  readonly tenant?: string
  readonly tool?: string
}

test('an administrator of one tenant sees nothing of what others did', async () => {
  const parts = controlParts(manualClock())
  const ask = async (caller: Caller, path: string, body?: unknown): Promise<Entry[]> => {
    const response = await parts.app.request(
      path,
      body === undefined
        ? {}
        : {
            method: 'POST',
            body: JSON.stringify(body),
            headers: { 'content-type': 'application/json' },
          },
      {
        caller,
        requestId: 'req-1',
        remoteAddress: '192.0.2.1',
        baseUrl: 'https://gate.example.org',
        begin() {
          throw new Error('no reply of this test is that long')
        },
        credentialShown: true,
        signal: new AbortController().signal,
        note: () => undefined,
      },
    )
    expect(response.status).toBeLessThan(300)
    return ((await response.json()) as { entries?: Entry[] }).entries ?? []
  }
  const ours = callerOf('admin')
  const theirs = callerOf('admin', { tenant: 'acme' })
  await ask(ours, '/mcp/tools/echo', {})
  await ask(callerOf('read-only', { tenant: 'other' }), '/mcp/tools/echo', {})
  await ask(theirs, '/mcp/tools/echo', {})

  const tenants = async (caller: Caller, query = ''): Promise<unknown[]> => [
    ...new Set((await ask(caller, `/api/v1/admin/audit${query}`)).map(({ tenant }) => tenant)),
  ]
  expect(await tenants(theirs)).toEqual(['acme'])
  for (const query of [
    '?tool=echo',
    '?credential=tok_admin',
    '?who=read-only-owner',
    '?cursor=2',
    '?limit=1000',
  ]) {
    expect((await tenants(theirs, query)).filter((tenant) => tenant !== 'acme')).toEqual([])
  }
  expect(new Set(await tenants(ours, '?tool=echo'))).toEqual(new Set(['acme', 'default', 'other']))
})

test.each(['sqlite', 'postgres'] as const)('the record tells tenants apart in %s', async (kind) => {
  const dir = await mkdtemp(join(tmpdir(), 'postern-tenants-'))
  const database = kind === 'postgres' ? await (await testPostgres()).createDatabase() : undefined
  const options: StoreOptions =
    database === undefined
      ? { kind: 'sqlite', file: join(dir, 'store.db') }
      : { kind: 'postgres', url: new Secret(database.url) }
  const store = await openStore(options, { clock: systemClock, observe: () => undefined })
  const audit = openAudit(store.db, systemClock, () => undefined, {
    bufferEvents: 100,
    flushIntervalMs: 10,
    retentionMs: 86_400_000,
  })
  try {
    const entry = { kind: 'decision', outcome: 'allow', action: 'echo' } as const
    for (const tenant of ['default', 'acme', "acme' OR '1'='1", 'ACME', 'acme']) {
      audit.record({ ...entry, at: systemClock.now(), tenant })
    }
    audit.record({ ...entry, at: systemClock.now(), kind: 'system' })
    await audit.flush()
    const seqs = async (tenant: string): Promise<number[]> =>
      (await audit.search({ tenant }, 10)).entries.map(({ seq }) => seq)
    expect(await seqs('acme')).toEqual([5, 2])
    expect(await seqs("acme' OR '1'='1")).toEqual([3])
    expect(await seqs('nobody')).toEqual([])
    expect((await audit.search({}, 10)).entries).toHaveLength(6)
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 6 })
  } finally {
    await audit.close()
    await store.close()
    await database?.drop()
    await rm(dir, { recursive: true, force: true })
  }
})
