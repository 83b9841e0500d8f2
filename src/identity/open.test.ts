import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import {
  openTestIdentity,
  staticToken,
  temporaryDirectory,
  type TestIdentity,
} from '../../test/support/identity.ts'
import { testPostgres } from '../../test/support/postgres.ts'
import { startStoreChild, storeOptionsOf } from '../../test/support/store-child.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { sha256Hex } from '../lib/digest.ts'
import { DAY_MS } from '../lib/duration.ts'
import { Secret } from '../lib/secret.ts'
import type { ChangeFeed } from '../store/change-feed.ts'
import { openStore, type StoreOptions } from '../store/open.ts'
import { insertTokens, type TokenRow } from '../store/tokens.ts'
import { type IdentityOptions, openIdentity } from './open.ts'
import type { IssuedToken } from './tokens.ts'

let directory: Awaited<ReturnType<typeof temporaryDirectory>>
beforeAll(async () => {
  directory = await temporaryDirectory()
})
afterAll(async () => {
  await directory.remove()
})

let opened: TestIdentity[] = []
afterEach(async () => {
  for (const one of opened) await one.close()
  opened = []
})

async function open(
  store: StoreOptions,
  clock: Clock = manualClock(),
  change: Partial<IdentityOptions> = {},
): Promise<TestIdentity> {
  const one = await openTestIdentity(store, clock, change)
  opened.push(one)
  return one
}

let count = 0
const newPath = (name: string): string => join(directory.path, `${(count += 1)}-${name}`)
const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: newPath('postern.db') })
const newPostgres = async (): Promise<StoreOptions> => ({
  kind: 'postgres',
  url: new Secret((await (await testPostgres()).createDatabase()).url),
})

async function add(
  one: TestIdentity,
  input: Parameters<TestIdentity['identity']['tokens']['add']>[0],
): Promise<IssuedToken> {
  const added = await one.identity.tokens.add(input)
  if (!added.ok) throw new Error(added.error.message)
  return added.value
}

const refused = (reason: string, credentialId?: string) => ({
  ok: false,
  error: credentialId === undefined ? { reason } : { reason, credentialId },
})

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('issued tokens on $engine', ({ newStore }) => {
  it('P4 issues a token that authenticates as its owner with its grant, and only hashes are kept', async () => {
    const one = await open(await newStore())
    const { token, record } = await add(one, {
      note: 'nightly report',
      owner: 'ada',
      level: 'read-write',
      databases: ['main'],
      scopes: ['stats:read'],
    })
    expect(token.reveal()).toMatch(/^pst_[A-Za-z0-9_-]{43}$/)
    expect(record.id).toMatch(/^tok_[0-9a-f-]{36}$/)
    expect(record.hashPrefix).toBe(sha256Hex(token.reveal()).slice(0, 12))
    expect(await one.authenticate(token)).toEqual({
      ok: true,
      value: {
        principal: { kind: 'service', id: 'ada', name: 'ada' },
        credential: {
          id: record.id,
          kind: 'issued',
          name: 'nightly report',
          createdAt: record.createdAt,
          expiresAt: (record.createdAt ?? 0) + 30 * DAY_MS,
        },
        grant: {
          tenant: 'default',
          level: 'read-write',
          scopes: ['stats:read'],
          servers: 'all',
          databases: ['main'],
        },
      },
    })
    const rows = await one.store.db.selectFrom('tokens').selectAll().execute()
    const everything = JSON.stringify(rows) + inspect([one.observations, token, record], { depth: 9 })
    expect(everything).not.toContain(token.reveal())
  })

  it('answers at once when the credential is cached, with the same frozen caller', async () => {
    const one = await open(await newStore())
    const { token } = await add(one, { note: 'n' })
    const header = `Bearer ${token.reveal()}`
    const first = one.identity.authenticator.authenticate(header)
    expect(first).toBeInstanceOf(Promise)
    const late = await first
    const again = one.identity.authenticator.authenticate(header)
    if (again instanceof Promise || !again.ok || !late.ok) throw new Error('expected an answer at once')
    expect(again.value).toBe(late.value)
    expect(Object.isFrozen(again.value.grant) && Object.isFrozen(again.value)).toBe(true)
  })

  it('C1 remembers what is unknown, and forgets that when it is issued', async () => {
    const options = await newStore()
    const one = await open(options, systemClock)
    const value = `pst_${'chosenInAdvance'.padEnd(43, '-')}`
    expect(await one.authenticate(value)).toEqual(refused('unknown'))
    expect(one.identity.authenticator.authenticate(`Bearer ${value}`)).not.toBeInstanceOf(Promise)
    const two = await open(options, systemClock)
    await two.store.change('tokens', async (trx, revision) => {
      await insertTokens(trx, [row('tok_chosen', { hash: sha256Hex(value), revision })])
    })
    await vi.waitFor(async () => expect(await one.authenticate(value)).toMatchObject({ ok: true }), {
      timeout: 3_000,
      interval: 5,
    })
  })

  it('looks a token up once, however many ask at the same time', async () => {
    const one = await open(await newStore())
    const { token } = await add(one, { note: 'n' })
    const answers = await Promise.all(Array.from({ length: 50 }, () => one.authenticate(token)))
    expect(new Set(answers.map((answer) => answer.ok && answer.value)).size).toBe(1)
  })

  it('G2 ends what is open when a token is removed, at once', async () => {
    const one = await open(await newStore())
    const { token, record } = await add(one, { note: 'n' })
    await one.authenticate(token)
    const ended: string[] = []
    one.identity.lifelines.hold(record.id, (reason) => ended.push(reason))
    const removed = await one.identity.tokens.remove(record.id)
    expect(removed).toMatchObject({ ok: true, value: { id: record.id, status: 'revoked' } })
    expect(ended).toEqual(['revoked'])
    expect(await one.authenticate(token)).toEqual(refused('revoked', record.id))
    expect(one.observations).toContainEqual({
      kind: 'credential.ended',
      credentialId: record.id,
      reason: 'revoked',
    })
    expect(await one.identity.tokens.remove(record.id)).toMatchObject({
      ok: false,
      error: { code: 'conflict', rule: 'token.revoked' },
    })
    expect(await one.identity.tokens.list()).toMatchObject([{ id: record.id, status: 'revoked' }])
  })

  it('P8 refuses a token that another process removed, and ends what it held', async () => {
    const options = await newStore()
    const one = await open(options, systemClock)
    const child = await startStoreChild(storeOptionsOf(options))
    try {
      const { token, id } = (await child.ask({ op: 'add', note: 'from outside' })) as {
        token: string
        id: string
      }
      expect(await one.authenticate(token)).toMatchObject({ ok: true })
      const ended: string[] = []
      one.identity.lifelines.hold(id, (reason) => ended.push(reason))
      await child.ask({ op: 'remove', id })
      await vi.waitFor(
        async () => {
          expect(await one.authenticate(token)).toEqual(refused('revoked', id))
          expect(ended).toEqual(['revoked'])
        },
        { timeout: 2_000, interval: 2 },
      )
    } finally {
      await child.close()
    }
  })

  it('G5 says that it took over what another process added or removed', async () => {
    const options = await newStore()
    const one = await open(options, systemClock)
    const child = await startStoreChild(storeOptionsOf(options))
    const reloads = () => one.observations.filter(({ kind }) => kind === 'tokens.reloaded')
    try {
      const { id } = (await child.ask({ op: 'add', note: 'from outside' })) as { id: string }
      await vi.waitFor(() => expect(reloads()).toHaveLength(1), { timeout: 5_000, interval: 2 })
      await child.ask({ op: 'remove', id })
      await vi.waitFor(() => expect(reloads()).toHaveLength(2), { timeout: 5_000, interval: 2 })
      expect(reloads()[1]).toEqual({ kind: 'tokens.reloaded', source: 'store', changed: 1 })
    } finally {
      await child.close()
    }
  })

  it('never remembers what it read before a removal that was announced meanwhile', async () => {
    const options = await newStore()
    const one = await open(options)
    for (let turn = 0; turn < 20; turn += 1) {
      const { token, record } = await add(one, { note: 'race' })
      const [, removed] = await Promise.all([one.authenticate(token), one.identity.tokens.remove(record.id)])
      expect(removed.ok).toBe(true)
      expect(await one.authenticate(token)).toEqual(refused('revoked', record.id))
    }
  })

  it('ends at the moment of expiry, and refuses from then on', async () => {
    const clock = manualClock()
    const one = await open(await newStore(), clock)
    const { token, record } = await add(one, { note: 'n', expiresInMs: 60_000 })
    const ended: string[] = []
    await one.authenticate(token)
    one.identity.lifelines.hold(record.id, (reason) => ended.push(reason))
    clock.advance(59_999)
    expect(await one.authenticate(token)).toMatchObject({ ok: true })
    expect(ended).toEqual([])
    clock.advance(1)
    expect(ended).toEqual(['expired'])
    expect(await one.authenticate(token)).toEqual(refused('expired', record.id))
    expect(await one.identity.tokens.list()).toMatchObject([{ status: 'expired', rotationDue: false }])
  })

  it('ends with "changed" what was opened with rights that are no longer the same', async () => {
    const options = await newStore()
    const one = await open(options)
    const { token, record } = await add(one, { note: 'n', level: 'read-write' })
    await one.authenticate(token)
    const ended: string[] = []
    one.identity.lifelines.hold(record.id, (reason) => ended.push(reason))
    await one.store.change('tokens', async (trx, revision) => {
      await trx
        .updateTable('tokens')
        .set({ level: 'read-only', revision })
        .where('id', '=', record.id)
        .execute()
    })
    await vi.waitFor(() => expect(ended).toEqual(['changed']))
    expect(await one.authenticate(token)).toMatchObject({
      ok: true,
      value: { grant: { level: 'read-only' } },
    })
  })

  it('P8 rotates with a grace period: both are good until it ends', async () => {
    const clock = manualClock()
    const one = await open(await newStore(), clock)
    const old = await add(one, { note: 'n', owner: 'ada', level: 'admin', databases: ['a'] })
    await one.authenticate(old.token)
    clock.jump(10 * DAY_MS)
    const rotated = await one.identity.tokens.rotate(old.record.id, 60_000)
    if (!rotated.ok) throw new Error(rotated.error.message)
    const { token, record, predecessor } = rotated.value
    expect(record).toMatchObject({
      note: 'n',
      owner: 'ada',
      level: 'admin',
      databases: ['a'],
      createdAt: clock.now(),
      expiresAt: clock.now() + 14 * DAY_MS,
    })
    expect(predecessor).toMatchObject({ id: old.record.id, expiresAt: clock.now() + 60_000, status: 'valid' })
    expect(await one.authenticate(token)).toMatchObject({ ok: true })
    expect(await one.authenticate(old.token)).toMatchObject({ ok: true })
    expect(await one.identity.tokens.rotate(old.record.id, 60_000)).toMatchObject({
      ok: false,
      error: { code: 'conflict', rule: 'token.rotated' },
    })
    clock.advance(60_000)
    expect(await one.authenticate(old.token)).toEqual(refused('expired', old.record.id))
    expect(await one.authenticate(token)).toMatchObject({ ok: true })
  })

  it('P8 rotates without grace: the predecessor ends at once', async () => {
    const one = await open(await newStore())
    const old = await add(one, { note: 'n', expiresInMs: null })
    await one.authenticate(old.token)
    const ended: string[] = []
    one.identity.lifelines.hold(old.record.id, (reason) => ended.push(reason))
    const rotated = await one.identity.tokens.rotate(old.record.id)
    expect(rotated).toMatchObject({
      ok: true,
      value: { record: { expiresAt: null }, predecessor: { status: 'revoked' } },
    })
    expect(ended).toEqual(['revoked'])
    expect(await one.authenticate(old.token)).toEqual(refused('revoked', old.record.id))
  })

  it('rotates once when many ask at the same time', async () => {
    const options = await newStore()
    const one = await open(options)
    const two = await open(options)
    const { record } = await add(one, { note: 'n' })
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => [one, two][i % 2]!.identity.tokens.rotate(record.id, 1_000)),
    )
    expect(results.filter(({ ok }) => ok)).toHaveLength(1)
    expect(await one.identity.tokens.list()).toHaveLength(2)
  })

  it('G10 removes what has expired at the start, and says how many', async () => {
    const options = await newStore()
    const clock = manualClock()
    const before = await open(options, clock)
    await add(before, { note: 'short', expiresInMs: 1_000 })
    await add(before, { note: 'long' })
    const revoked = await add(before, { note: 'revoked' })
    await before.identity.tokens.remove(revoked.record.id)
    clock.advance(2_000)
    const one = await open(options, clock)
    expect(one.observations).toContainEqual({ kind: 'tokens.loaded', source: 'store', count: 1 })
    expect(one.observations).toContainEqual({ kind: 'tokens.expired_removed', source: 'store', count: 1 })
    expect((await one.identity.tokens.list()).map(({ note, status }) => [note, status])).toEqual([
      ['long', 'valid'],
      ['revoked', 'revoked'],
    ])
  })

  it('C4 makes one admin token, once ever, however many processes start', async () => {
    const options = await newStore()
    const one = await open(options)
    const children = await Promise.all([1, 2].map(() => startStoreChild(storeOptionsOf(options))))
    try {
      const made = await Promise.all([
        one.identity.bootstrapAdmin().then((token) => token !== null),
        ...children.map((child) => child.ask({ op: 'bootstrap' })),
      ])
      expect(made.filter((answer) => answer === true)).toHaveLength(1)
    } finally {
      await Promise.all(children.map((child) => child.close()))
    }
    const [record] = await one.identity.tokens.list()
    expect(record).toMatchObject({ level: 'admin', note: 'first start' })
    await one.identity.tokens.remove(record!.id)
    expect(await one.identity.bootstrapAdmin()).toBeNull()
    expect(one.observations).toContainEqual(expect.objectContaining({ kind: 'config.warning' }))
  })

  it('C4 makes none when there is a credential of any kind, also when that is gone later', async () => {
    const options = await newStore()
    const one = await open(options, manualClock(), { staticTokens: [staticToken('dev', 'a-static-token')] })
    expect(await one.identity.bootstrapAdmin()).toBeNull()
    one.identity.reload([])
    expect(await one.identity.bootstrapAdmin()).toBeNull()
    const two = await open(options)
    expect(await two.identity.bootstrapAdmin()).toBeNull()
  })

  it('records when a token was last used, at most once a minute', async () => {
    const options = await newStore()
    const clock = manualClock()
    const one = await open(options, clock)
    const { token, record } = await add(one, { note: 'n' })
    expect(await one.identity.tokens.list()).toMatchObject([{ lastUsedAt: null }])
    await one.authenticate(token)
    const usedAt = clock.now()
    expect(await one.identity.tokens.list()).toMatchObject([{ lastUsedAt: usedAt }])
    const uses = () => one.store.db.selectFrom('token_uses').selectAll().execute()
    expect(await uses()).toEqual([])
    clock.advance(60_000)
    await vi.waitFor(async () =>
      expect(await uses()).toEqual([{ credential_id: record.id, last_used_at: usedAt }]),
    )
    const two = await open(options, clock)
    expect(await two.identity.tokens.list()).toMatchObject([{ lastUsedAt: usedAt }])
  })

  it('G7 finds by id or hash prefix, and refuses what is short or ambiguous, naming the candidates', async () => {
    const one = await open(await newStore())
    const hashes = ['aabbccdd11', 'aabbccdd22', 'aabb000000'].map((start) => start.padEnd(64, '0'))
    await one.store.change('tokens', async (trx, revision) => {
      await insertTokens(
        trx,
        hashes.map((hash, i) => row(`tok_${i}`, { hash, revision })),
      )
    })
    const remove = (name: string) => one.identity.tokens.remove(name)
    expect(await remove('aabbccdd')).toMatchObject({
      ok: false,
      error: { code: 'conflict', rule: 'token.prefix', candidates: ['tok_0', 'tok_1'] },
    })
    expect(await remove('aabb')).toMatchObject({
      ok: false,
      error: { code: 'invalid_arguments', candidates: ['tok_2', 'tok_0', 'tok_1'] },
    })
    expect(await remove('ffffffff')).toMatchObject({ ok: false, error: { code: 'not_found' } })
    expect(await remove('')).toMatchObject({ ok: false, error: { code: 'not_found' } })
    expect(await remove('%')).toMatchObject({ ok: false, error: { code: 'not_found' } })
    expect(await remove("' OR 1=1 --")).toMatchObject({ ok: false, error: { code: 'not_found' } })
    expect(await remove('AABBCCDD1')).toMatchObject({ ok: true, value: { id: 'tok_0' } })
    expect(await remove('aabbccdd')).toMatchObject({ ok: true, value: { id: 'tok_1' } })
    expect(await remove('tok_2')).toMatchObject({ ok: true, value: { id: 'tok_2' } })
  })

  it('finds what a name means without reading the rest: an id in any state, a prefix of what is not revoked', async () => {
    const one = await open(await newStore(), manualClock(), { staticTokens: [staticToken('dev', 'static')] })
    const { token, record } = await add(one, { note: 'first' })
    const other = await add(one, { note: 'second' })
    await one.authenticate(token)
    const { tokens } = one.identity
    const listed = new Map((await tokens.list()).map((entry) => [entry.id, entry]))
    expect(listed.get(record.id)?.lastUsedAt).not.toBeNull()
    for (const name of [
      record.id,
      ` ${record.id} `,
      record.hashPrefix,
      sha256Hex(token.reveal()).toUpperCase(),
    ]) {
      expect(await tokens.find(name)).toEqual([listed.get(record.id)])
    }
    expect(await tokens.find('config:dev')).toEqual([listed.get('config:dev')])
    expect(await tokens.find(sha256Hex('static').slice(0, 8))).toEqual([listed.get('config:dev')])
    for (const name of ['tok_nobody', '0'.repeat(64), '', '%']) expect(await tokens.find(name)).toEqual([])
    await tokens.remove(other.record.id)
    expect(await tokens.find(other.record.id)).toMatchObject([{ status: 'revoked' }])
    expect(await tokens.find(other.record.hashPrefix)).toEqual([])
  })

  it('lists more tokens than fit one page, newest first', async () => {
    const one = await open(await newStore())
    await one.store.change('tokens', async (trx, revision) => {
      await insertTokens(
        trx,
        Array.from({ length: 1_200 }, (_, i) =>
          row(`tok_${String(i).padStart(5, '0')}`, { hash: sha256Hex(`t${i}`), createdAt: i, revision }),
        ),
      )
    })
    const listed = await one.identity.tokens.list()
    expect(listed).toHaveLength(1_200)
    expect(listed[0]?.id).toBe('tok_01199')
  })

  it('takes over an import of many tokens, ends what it removed and forgets nothing', async () => {
    const options = await newStore()
    const one = await open(options)
    const kept = await add(one, { note: 'kept' })
    const gone = await add(one, { note: 'gone' })
    const ended: string[] = []
    for (const { token, record } of [kept, gone]) {
      await one.authenticate(token)
      one.identity.lifelines.hold(record.id, (reason) => ended.push(`${record.note} ${reason}`))
    }
    expect(await one.authenticate('imported-7')).toEqual(refused('unknown'))
    await one.store.change('tokens', async (trx, revision) => {
      const rows = Array.from({ length: 6_000 }, (_, i) =>
        row(`tok_i${i}`, { hash: sha256Hex(`imported-${i}`), revision }),
      )
      await insertTokens(trx, rows)
      await trx
        .updateTable('tokens')
        .set({ revoked_at: 1, revision })
        .where('id', '=', gone.record.id)
        .execute()
    })
    await vi.waitFor(() => expect(ended).toEqual(['gone revoked']))
    expect(await one.authenticate(kept.token)).toMatchObject({ ok: true })
    expect(await one.authenticate(gone.token)).toEqual(refused('revoked', gone.record.id))
    await vi.waitFor(async () => expect(await one.authenticate('imported-7')).toMatchObject({ ok: true }))
  })
})

describe('when the store or its feed is away', () => {
  it('asks the store again within seconds, and refuses rather than trust what is old', async () => {
    const server = await testPostgres()
    const database = await server.createDatabase()
    const one = await open({ kind: 'postgres', url: new Secret(database.url) }, systemClock)
    const { token, record } = await add(one, { note: 'n' })
    expect(await one.authenticate(token)).toMatchObject({ ok: true })
    expect(one.identity.ready()).toBe(true)
    await database.drop()
    await vi.waitFor(() => expect(one.identity.ready()).toBe(false), { timeout: 5_000 })
    await vi.waitFor(
      async () => await expect(one.authenticate(token)).rejects.toMatchObject({ code: 'store_unavailable' }),
      { timeout: 6_000, interval: 50 },
    )
    expect(record.status).toBe('valid')
  })

  it('serves tokens of the configuration meanwhile', async () => {
    const server = await testPostgres()
    const database = await server.createDatabase()
    const one = await open({ kind: 'postgres', url: new Secret(database.url) }, systemClock, {
      staticTokens: [staticToken('dev', 'a-static-token')],
    })
    await database.drop()
    expect(await one.authenticate('a-static-token')).toMatchObject({ ok: true })
  })
})

describe('static tokens', () => {
  it('F3 are known by value or hash, shown by name', async () => {
    const one = await open(await newSqlite(), manualClock(), {
      staticTokens: [
        staticToken('by-value', 'value-of-one', { level: 'admin', owner: 'ada' }),
        staticToken('by-hash', '', { value: null, hash: sha256Hex('value-of-two').toUpperCase() }),
      ],
    })
    expect(await one.authenticate('value-of-one')).toMatchObject({
      ok: true,
      value: {
        principal: { id: 'ada' },
        credential: { id: 'config:by-value', kind: 'static', name: 'by-value' },
        grant: { level: 'admin' },
      },
    })
    expect(await one.authenticate('value-of-two')).toMatchObject({ ok: true })
    expect(await one.authenticate('')).toEqual(refused('malformed'))
    expect(one.observations).toContainEqual({ kind: 'tokens.loaded', source: 'configuration', count: 2 })
    const listed = await one.identity.tokens.list()
    expect(listed).toMatchObject([
      { id: 'config:by-hash', source: 'config', createdAt: null, rotationDue: false },
      { id: 'config:by-value', source: 'config' },
    ])
    expect(JSON.stringify(listed) + inspect(one.observations)).not.toContain('value-of')
  })

  it('cannot be removed or rotated here', async () => {
    const one = await open(await newSqlite(), manualClock(), { staticTokens: [staticToken('dev', 'v')] })
    for (const result of [
      await one.identity.tokens.remove('config:dev'),
      await one.identity.tokens.remove(sha256Hex('v').slice(0, 10)),
      await one.identity.tokens.rotate('config:dev'),
    ]) {
      expect(result).toMatchObject({
        ok: false,
        error: {
          code: 'conflict',
          rule: 'token.config',
          allowed: expect.stringContaining('configuration') as string,
        },
      })
    }
  })

  it('F8 follow a reload: gone and replaced ones end, untouched ones do not', async () => {
    const one = await open(await newSqlite(), manualClock(), {
      staticTokens: ['same', 'gone', 'new-value', 'new-level'].map((name) => staticToken(name, `v-${name}`)),
    })
    const ended: string[] = []
    for (const name of ['same', 'gone', 'new-value', 'new-level']) {
      one.identity.lifelines.hold(`config:${name}`, (reason) => ended.push(`${name} ${reason}`))
    }
    one.identity.reload([
      staticToken('same', 'v-same'),
      staticToken('new-value', 'another'),
      staticToken('new-level', 'v-new-level', { level: 'admin' }),
    ])
    expect(ended.toSorted()).toEqual(['gone revoked', 'new-level changed', 'new-value revoked'])
    expect(await one.authenticate('v-gone')).toEqual(refused('unknown'))
    expect(await one.authenticate('v-new-value')).toEqual(refused('unknown'))
    expect(await one.authenticate('another')).toMatchObject({ ok: true })
  })

  it('a reload with two tokens of one value is refused and changes nothing', async () => {
    const one = await open(await newSqlite(), manualClock(), { staticTokens: [staticToken('a', 'v')] })
    expect(() => one.identity.reload([staticToken('b', 'same'), staticToken('c', 'same')])).toThrow(
      'tokens "b" and "c" have the same value',
    )
    expect(() => one.identity.reload([staticToken('b', 'x'), staticToken('b', 'y')])).toThrow(
      'two tokens are named',
    )
    expect(await one.authenticate('v')).toMatchObject({ ok: true })
  })

  it('expire', async () => {
    const clock = manualClock()
    const one = await open(await newSqlite(), clock, {
      staticTokens: [staticToken('dev', 'v', { expiresAt: clock.now() + 1_000 })],
    })
    const ended: string[] = []
    one.identity.lifelines.hold('config:dev', (reason) => ended.push(reason))
    clock.advance(1_000)
    expect(ended).toEqual(['expired'])
    expect(await one.authenticate('v')).toEqual(refused('expired', 'config:dev'))
  })
})

describe('the token file', () => {
  const fileEntry = (id: string, value: string, more = ''): string =>
    `- id: ${id}\n  hash: ${sha256Hex(value)}\n  note: Note\n${more}`

  it('G4 G13 authenticates the tokens of the document, bound to their database', async () => {
    const tokenFile = newPath('tokens.yaml')
    const value = 'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ='
    await writeFile(tokenFile, `tokens:\n${fileEntry('token-1', value, '  database: staging\n')}`, {
      mode: 0o600,
    })
    const one = await open(await newSqlite(), systemClock, { tokenFile })
    expect(await one.authenticate(value)).toMatchObject({
      ok: true,
      value: {
        principal: { id: 'Note' },
        credential: { id: 'token-1', kind: 'token-file', name: 'Note' },
        grant: { level: 'read-only', databases: ['staging'] },
      },
    })
    expect(one.observations).toContainEqual({ kind: 'tokens.loaded', source: tokenFile, count: 1 })
  })

  it('G5 another process adds and removes; this one follows and ends what was open', async () => {
    const tokenFile = newPath('tokens.yaml')
    const options = await newSqlite()
    const one = await open(options, systemClock, { tokenFile })
    const child = await startStoreChild(storeOptionsOf(options), tokenFile)
    try {
      const { token, id } = (await child.ask({ op: 'add', note: 'New Client', into: 'token-file' })) as {
        token: string
        id: string
      }
      expect(id).toMatch(/^token-\d{10}$/)
      await vi.waitFor(async () => expect(await one.authenticate(token)).toMatchObject({ ok: true }), {
        timeout: 2_000,
        interval: 2,
      })
      expect(one.observations).toContainEqual({ kind: 'tokens.reloaded', source: tokenFile, count: 1 })
      const ended: string[] = []
      one.identity.lifelines.hold(id, (reason) => ended.push(reason))
      await child.ask({ op: 'remove', id: sha256Hex(token).slice(0, 8) })
      await vi.waitFor(() => expect(ended).toEqual(['revoked']), { timeout: 2_000, interval: 2 })
      expect(await one.authenticate(token)).toEqual(refused('unknown'))
    } finally {
      await child.close()
    }
  })

  it('adds, rotates and removes in the file', async () => {
    const tokenFile = newPath('tokens.yaml')
    const one = await open(await newSqlite(), systemClock, { tokenFile })
    const { tokens } = one.identity
    const first = await tokens.add({ note: 'one', databases: ['a', 'b'] }, { into: 'token-file' })
    const second = await tokens.add({ note: 'two', level: 'admin', owner: 'ada' }, { into: 'token-file' })
    if (!first.ok || !second.ok) throw new Error('not added')
    expect(first.value.record.id).not.toBe(second.value.record.id)
    expect(first.value.record).toMatchObject({ source: 'token-file', owner: 'one', databases: ['a', 'b'] })
    expect(await one.authenticate(second.value.token)).toMatchObject({
      ok: true,
      value: { grant: { level: 'admin' } },
    })
    const rotated = await tokens.rotate(second.value.record.id, 60_000)
    if (!rotated.ok) throw new Error(rotated.error.message)
    expect(rotated.value.record).toMatchObject({ level: 'admin', owner: 'ada', note: 'two' })
    expect(await one.authenticate(second.value.token)).toMatchObject({ ok: true })
    expect(await one.authenticate(rotated.value.token)).toMatchObject({ ok: true })
    expect(await tokens.remove(first.value.record.id)).toMatchObject({
      ok: true,
      value: { status: 'revoked' },
    })
    expect(await one.authenticate(first.value.token)).toEqual(refused('unknown'))
    const text = await readFile(tokenFile, 'utf8')
    expect(text).not.toContain(sha256Hex(first.value.token.reveal()))
    for (const { token } of [first.value, second.value, rotated.value])
      expect(text).not.toContain(token.reveal())
    expect(await tokens.remove(first.value.record.id)).toMatchObject({
      ok: false,
      error: { code: 'not_found' },
    })
  })

  it('refuses to add into a file that is not configured', async () => {
    const one = await open(await newSqlite())
    expect(await one.identity.tokens.add({ note: 'n' }, { into: 'token-file' })).toMatchObject({
      ok: false,
      error: { code: 'invalid_arguments', rule: 'token.file' },
    })
  })

  it('G10 removes expired tokens from the file at the start and says how many', async () => {
    const tokenFile = newPath('tokens.yaml')
    await writeFile(
      tokenFile,
      `# mine\ntokens:\n${fileEntry('t1', 'one', '  expires_at: "2020-01-01T00:00:00Z"\n')}${fileEntry('t2', 'two')}`,
    )
    const one = await open(await newSqlite(), systemClock, { tokenFile })
    expect(one.observations).toContainEqual({ kind: 'tokens.loaded', source: tokenFile, count: 2 })
    expect(one.observations).toContainEqual({ kind: 'tokens.expired_removed', source: tokenFile, count: 1 })
    expect(one.observations).not.toContainEqual(expect.objectContaining({ reason: 'revoked' }))
    expect(await readFile(tokenFile, 'utf8')).toMatch(/^# mine\n/)
    expect(await readFile(tokenFile, 'utf8')).not.toContain(sha256Hex('one'))
    expect(await one.authenticate('two')).toMatchObject({ ok: true })
  })

  it('the configuration goes before the file, the file before the store, when all know one value', async () => {
    const tokenFile = newPath('tokens.yaml')
    await writeFile(tokenFile, `tokens:\n${fileEntry('t1', 'shared')}`)
    const one = await open(await newSqlite(), systemClock, {
      tokenFile,
      staticTokens: [staticToken('dev', 'shared', { databases: ['only-this'] })],
    })
    await one.store.change('tokens', async (trx, revision) => {
      await insertTokens(trx, [row('tok_1', { hash: sha256Hex('shared'), level: 'admin', revision })])
    })
    expect(await one.authenticate('shared')).toMatchObject({ value: { credential: { id: 'config:dev' } } })
    one.identity.reload([])
    expect(await one.authenticate('shared')).toMatchObject({ value: { credential: { id: 't1' } } })
    await one.identity.tokens.remove('t1')
    expect(await one.authenticate('shared')).toMatchObject({ value: { credential: { id: 'tok_1' } } })
  })
})

describe('attacks on authenticate', () => {
  it(
    'a flood of invented tokens pushes out no good one, and memory stays bounded',
    { timeout: 60_000 },
    async () => {
      const one = await open(await newSqlite(), systemClock)
      const { token } = await add(one, { note: 'good' })
      const header = `Bearer ${token.reveal()}`
      await one.authenticate(token)
      for (let turn = 0; turn < 15; turn += 1) {
        await Promise.all(Array.from({ length: 900 }, (_, i) => one.authenticate(`invented-${turn}-${i}`)))
      }
      expect(one.identity.authenticator.authenticate(header)).not.toBeInstanceOf(Promise)
    },
  )

  it('more look-ups at once than the store can bear are refused, not queued without end', async () => {
    const one = await open(await newSqlite(), systemClock)
    const results = await Promise.allSettled(
      Array.from({ length: 1_500 }, (_, i) => one.authenticate(`invented-${i}`)),
    )
    const faults = results.filter((result) => result.status === 'rejected')
    expect(faults).toHaveLength(500)
    expect(faults[0]).toMatchObject({ reason: { code: 'store_unavailable', retryAfterS: 1 } })
    expect(await one.authenticate('invented-again')).toEqual(refused('unknown'))
  })

  it('a flood of invented tokens leaves room to look up one that was good before', async () => {
    const clock = manualClock()
    const one = await open(await newSqlite(), clock)
    const { token } = await add(one, { note: 'good' })
    const { token: unseen } = await add(one, { note: 'not seen yet' })
    await one.authenticate(token)
    let asked: Promise<readonly PromiseSettledResult<unknown>[]> | undefined
    one.store.feed.subscribe(() => {
      // A change is announced and cannot be read for a while: nothing that is remembered counts.
      clock.jump(3_000)
      const texts = Array.from({ length: 1_000 }, (_, i) => `invented-${i}`)
      asked ??= Promise.allSettled([...texts, unseen, token].map((text) => one.authenticate(text)))
    })
    await one.store.change('tokens', () => Promise.resolve())
    const [late, good] = (await asked)?.slice(-2) ?? []
    expect(late).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } })
    expect(good).toMatchObject({ status: 'fulfilled', value: { ok: true } })
  })

  it('what begins like a token and has not its shape never reaches a look-up', async () => {
    const one = await open(await newSqlite())
    const { token } = await add(one, { note: 'n' })
    for (const text of ['pst_', token.reveal().slice(0, -1), `${token.reveal()}A`]) {
      expect(one.identity.authenticator.authenticate(`Bearer ${text}`)).toEqual(refused('unknown'))
    }
  })

  it('a hash, an id or a part of a token is not the token', async () => {
    const tokenFile = newPath('tokens.yaml')
    await writeFile(tokenFile, `tokens:\n- id: t1\n  hash: ${sha256Hex('in-the-file')}\n`)
    const one = await open(await newSqlite(), systemClock, {
      tokenFile,
      staticTokens: [staticToken('dev', 'static')],
    })
    const { token, record } = await add(one, { note: 'n' })
    const text = token.reveal()
    for (const attempt of [
      sha256Hex(text),
      sha256Hex('in-the-file'),
      sha256Hex('static'),
      record.id,
      't1',
      'config:dev',
      'dev',
      text.slice(0, -1),
      `${text}=`,
      text.toUpperCase(),
      text.slice(4),
      '__proto__',
      'constructor',
    ]) {
      expect(await one.authenticate(attempt)).toEqual(refused('unknown'))
    }
  })

  it('C1 a missing or malformed header never reaches a look-up', async () => {
    const one = await open(await newSqlite(), systemClock)
    const { token } = await add(one, { note: 'n' })
    const { authenticator } = one.identity
    expect(authenticator.authenticate(undefined)).toEqual(refused('missing'))
    for (const header of [
      `bearer ${token.reveal()}`,
      `Bearer  ${token.reveal()}`,
      token.reveal(),
      'Bearer',
      '',
    ]) {
      expect(authenticator.authenticate(header)).toEqual(refused('malformed'))
    }
  })

  it.each([
    ['a long note', { note: 'x'.repeat(201) }],
    ['a line break in the note', { note: 'a\nb' }],
    ['an escape sequence in the note', { note: '\u001b[2J' }],
    ['a text direction override in the note', { note: 'a\u202eb' }],
    ['NUL in the owner', { note: 'n', owner: 'a\0' }],
    ['a lone surrogate in the note', { note: 'a\ud800' }],
    ['an empty tenant', { note: 'n', tenant: '' }],
    ['an empty database name', { note: 'n', databases: [''] }],
    ['too many scopes', { note: 'n', scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }],
    ['an expiry in the past', { note: 'n', expiresInMs: -1 }],
    ['an expiry now', { note: 'n', expiresInMs: 0 }],
    ['an expiry that is not a number', { note: 'n', expiresInMs: Number.NaN }],
    ['an endless expiry', { note: 'n', expiresInMs: Infinity }],
  ])('refuses to issue with %s', async (_what, input) => {
    const one = await open(await newSqlite())
    expect(await one.identity.tokens.add(input)).toMatchObject({
      ok: false,
      error: { code: 'invalid_arguments' },
    })
    expect(await one.identity.tokens.list()).toEqual([])
  })

  it('gives default expiries by level', async () => {
    const one = await open(await newSqlite())
    for (const [level, days] of [
      ['read-only', 90],
      ['read-write', 30],
      ['admin', 14],
    ] as const) {
      const { record } = await add(one, { note: level, level })
      expect((record.expiresAt ?? 0) - (record.createdAt ?? 0)).toBe(days * DAY_MS)
    }
  })

  it('P8 flags a token that is older than recommended for its level', async () => {
    const clock = manualClock()
    const one = await open(await newSqlite(), clock)
    await add(one, { note: 'n', level: 'admin', expiresInMs: null })
    clock.jump(14 * DAY_MS)
    expect(await one.identity.tokens.list()).toMatchObject([{ rotationDue: false }])
    clock.advance(1)
    expect(await one.identity.tokens.list()).toMatchObject([{ rotationDue: true }])
  })

  it('with authentication off every request is one local caller who may only read', async () => {
    const one = await open(await newSqlite(), systemClock, { enabled: false })
    for (const header of [undefined, 'Bearer anything', 'nonsense']) {
      expect(one.identity.authenticator.authenticate(header)).toMatchObject({
        ok: true,
        value: { principal: { kind: 'local' }, credential: { kind: 'none' }, grant: { level: 'read-only' } },
      })
    }
  })

  it('leaves nothing behind when it cannot be opened', async () => {
    const store = await openStore(await newSqlite(), { clock: systemClock, observe: () => undefined })
    try {
      const clock = manualClock()
      await sql`drop table token_uses`.execute(store.db)
      let subscribed = 0
      const feed: ChangeFeed = {
        healthy: () => store.feed.healthy(),
        subscribe(listener) {
          const stop = store.feed.subscribe(listener)
          subscribed += 1
          return () => {
            subscribed -= 1
            stop()
          }
        },
      }
      const opening = openIdentity({
        store: { ...store, feed },
        staticTokens: [staticToken('dev', 'static', { expiresAt: clock.now() + DAY_MS })],
        tokenFile: null,
        enabled: true,
        clock,
        observe: () => undefined,
        tenantDefault: 'default',
      })
      await expect(opening).rejects.toThrow('token_uses')
      expect([clock.waiting, subscribed]).toEqual([0, 0])
    } finally {
      await store.close()
    }
  })

  it('closing ends everything with "shutdown"', async () => {
    const one = await open(await newSqlite(), systemClock)
    const ended: string[] = []
    one.identity.lifelines.hold('any', (reason) => ended.push(reason))
    await one.identity.close()
    expect(ended).toEqual(['shutdown'])
    expect(one.identity.ready()).toBe(false)
  })
})

function row(id: string, change: Partial<TokenRow>): TokenRow {
  return {
    id,
    hash: sha256Hex(id),
    note: '',
    owner: '',
    level: 'read-only',
    tenant: 'default',
    databases: null,
    servers: null,
    scopes: null,
    createdAt: 1,
    expiresAt: null,
    revokedAt: null,
    replacedBy: null,
    revision: 1,
    ...change,
  }
}
