import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import {
  openTestIdentity,
  staticToken,
  temporaryDirectory,
  type TestIdentity,
} from '../../../test/support/identity.ts'
import { testPostgres } from '../../../test/support/postgres.ts'
import { soon } from '../../../test/support/soon.ts'
import { sha256Hex } from '../../lib/digest.ts'
import { Secret } from '../../lib/secret.ts'
import type { StoreOptions } from '../../store/open.ts'
import type { EndReason } from '../lifelines.ts'
import type { People } from '../open-people.ts'

const PASSWORD = new Secret('correct horse battery staple')
const ROOT = { userId: null }
const STATIC = 'a-static-token-of-acme-0123456789'
const IN_FILE = 'a-token-of-acme-in-the-token-file-0123456789'
const OURS = 'a-static-token-of-default-0123456789'

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
beforeAll(async () => {
  scratch = await temporaryDirectory()
})
afterAll(() => scratch.remove())

let opened: TestIdentity[] = []
afterEach(async () => {
  for (const one of opened) await one.close()
  opened = []
})

let count = 0
const fresh = (name: string): string => join(scratch.path, `${(count += 1)}-${name}`)

interface Replica extends TestIdentity {
  readonly people: People
}

interface Shared {
  readonly store: StoreOptions
  readonly secretFile: string
  readonly tokenFile: string
}

async function share(newStore: () => Promise<StoreOptions>): Promise<Shared> {
  const tokenFile = fresh('tokens.yaml')
  const entry = `  - { id: file-1, hash: ${sha256Hex(IN_FILE)}, note: in the file, tenant: acme }`
  await writeFile(tokenFile, `tokens:\n${entry}\n`, { mode: 0o600 })
  return { store: await newStore(), secretFile: fresh('jwt.secret'), tokenFile }
}

async function replica({ store, secretFile, tokenFile }: Shared): Promise<Replica> {
  const one = await openTestIdentity(store, manualClock(), {
    tokenFile,
    staticTokens: [staticToken('theirs', STATIC, { tenant: 'acme' }), staticToken('ours', OURS)],
    people: {
      jwt: { secretFile, namespace: 'postern', issuer: 'postern', audience: 'postern', ttlSeconds: 3_600 },
      argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
      passwords: { minBytes: 12, refuseCommon: true },
    },
  })
  opened.push(one)
  if (!one.identity.people) throw new Error('nobody signs in')
  return { ...one, people: one.identity.people }
}

async function addTo({ people }: Replica, tenant: string, name: string): Promise<string> {
  const added = await people.users.add({ tenant, name, password: PASSWORD, role: 'admin' }, ROOT)
  if (!added.ok) throw new Error(added.error.message)
  return added.value.id
}

async function signIn({ people }: Replica, name: string): Promise<string> {
  const answer = await people.login({ name, password: PASSWORD, address: '192.0.2.1' })
  if (!answer.ok) throw new Error(answer.error.rule)
  return answer.value.token.reveal()
}

async function issue({ identity }: Replica, tenant: string): Promise<string> {
  const added = await identity.tokens.add({ note: 'issued', tenant })
  if (!added.ok) throw new Error(added.error.message)
  return added.value.token.reveal()
}

/** Holds something open with a token; tells why it ended. */
async function holdOpen(here: Replica, token: string): Promise<() => EndReason | undefined> {
  const answer = await here.authenticate(token)
  if (!answer.ok) throw new Error(answer.error.reason)
  let ended: EndReason | undefined
  here.identity.lifelines.hold(answer.value.credential.id, (reason) => {
    ended = reason
  })
  return () => ended
}

const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: fresh('store.db') })
const newPostgres = async (): Promise<StoreOptions> => {
  const { url } = await (await testPostgres()).createDatabase()
  return { kind: 'postgres', url: new Secret(url) }
}

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('deleting a tenant on $engine', ({ newStore }) => {
  it('X5 ends every kind of credential of it at once, on every replica, and none of another', async () => {
    const shared = await share(newStore)
    const here = await replica(shared)
    const there = await replica(shared)
    await here.people.users.addTenant('acme')
    await addTo(here, 'acme', 'wile')
    await addTo(here, 'default', 'alice')
    const theirs = [await signIn(here, 'wile'), await issue(here, 'acme'), STATIC, IN_FILE]
    const ours = [await signIn(here, 'alice'), await issue(here, 'default'), OURS]
    const endings = []
    for (const one of [here, there]) for (const token of theirs) endings.push(await holdOpen(one, token))
    const bystanders = []
    for (const one of [here, there]) for (const token of ours) bystanders.push(await holdOpen(one, token))

    expect(await here.people.users.removeTenant('acme', ROOT)).toMatchObject({
      ok: true,
      value: { id: 'acme', users: 1, tokens: 1 },
    })
    expect(endings.slice(0, 4).map((ended) => ended())).toEqual(Array(4).fill('revoked'))
    for (const ended of endings) await soon(ended).toBe('revoked')
    for (const one of [here, there, await replica(shared)]) {
      for (const token of theirs)
        expect(await one.authenticate(token)).toMatchObject({ ok: false, error: { reason: 'revoked' } })
      for (const token of ours) expect(await one.authenticate(token)).toMatchObject({ ok: true })
    }
    expect(bystanders.map((ended) => ended())).toEqual(Array(6).fill(undefined))
  })

  it('X5 leaves nobody and nothing of it, and its id is never given away again', async () => {
    const shared = await share(newStore)
    const here = await replica(shared)
    await here.people.users.addTenant('acme')
    await addTo(here, 'acme', 'wile')
    await here.people.users.removeTenant('acme', ROOT)
    expect(await here.people.users.list('acme')).toEqual([])
    expect((await here.people.users.listTenants()).map(({ id }) => id)).toEqual(['default'])
    await expect(signIn(here, 'wile')).rejects.toThrow('login')
    const taken = {
      ok: false,
      error: {
        code: 'conflict',
        rule: 'tenant.deleted',
        message: expect.stringContaining('rows in databases'),
      },
    }
    const newcomer = { tenant: 'acme', name: 'mole', password: PASSWORD, role: 'admin' } as const
    expect(await here.people.users.addTenant('acme')).toMatchObject(taken)
    expect(await here.people.users.add(newcomer, ROOT, { withTenant: true })).toMatchObject(taken)
    expect(await here.people.users.add(newcomer, ROOT)).toMatchObject({ error: { code: 'not_found' } })
    for (const into of ['store', 'token-file'] as const)
      expect(await here.identity.tokens.add({ note: 'new', tenant: 'acme' }, { into })).toMatchObject({
        ok: false,
        error: { code: 'conflict', rule: 'token.tenant' },
      })
    expect(await here.people.users.removeTenant('acme', ROOT)).toMatchObject({
      error: { code: 'not_found', rule: 'tenant.id' },
    })
    const rows = await here.store.db.selectFrom('users').select('password_hash').execute()
    expect(rows).toEqual([{ password_hash: '' }])
    const later = await replica(shared)
    expect(later.observations).toContainEqual({
      kind: 'config.warning',
      message: 'the token "theirs" is of the tenant "acme", which was deleted: it lets nobody in',
    })
  })

  it('X5 never takes the first tenant, nor one that is not there', async () => {
    const here = await replica(await share(newStore))
    expect(await here.people.users.removeTenant('default', ROOT)).toMatchObject({
      ok: false,
      error: { code: 'invalid_arguments', rule: 'tenant.first' },
    })
    for (const id of ['nowhere', '', "x' or '1'='1"])
      expect(await here.people.users.removeTenant(id, ROOT)).toMatchObject({ error: { code: 'not_found' } })
    expect(await here.authenticate(OURS)).toMatchObject({ ok: true })
  })

  it('X5 is refused to an administrator who is none any more when it is written', async () => {
    const here = await replica(await share(newStore))
    await here.people.users.addTenant('acme')
    const boss = await addTo(here, 'default', 'boss')
    await here.people.users.change(boss, 'default', { role: 'reader' }, ROOT)
    expect(await here.people.users.removeTenant('acme', { userId: boss })).toMatchObject({
      ok: false,
      error: { code: 'level_too_low' },
    })
    expect(await here.authenticate(STATIC)).toMatchObject({ ok: true })
  })

  it('X5 leaves nothing of what is added to the tenant at the same moment, by whatever process', async () => {
    const shared = await share(newStore)
    const here = await replica(shared)
    const there = await replica(shared)
    for (let round = 0; round < 4; round += 1) {
      const tenant = `round-${round}`
      await here.people.users.addTenant(tenant)
      const adding = Array.from({ length: 6 }, (_, at) => [
        there.people.users.add(
          { tenant, name: `user${round}x${at}`, password: PASSWORD, role: 'admin' },
          ROOT,
        ),
        there.identity.tokens.add({ note: `token ${at}`, tenant }),
      ]).flat()
      const [removed, ...added] = await Promise.all([here.people.users.removeTenant(tenant, ROOT), ...adding])
      expect(removed).toMatchObject({ ok: true })
      for (const one of added) {
        if (one.ok && 'token' in one.value)
          expect(await there.authenticate(one.value.token)).toMatchObject({ ok: false })
      }
      expect(await here.people.users.list(tenant)).toEqual([])
      const tokens = (await here.identity.tokens.list()).filter((one) => one.tenant === tenant)
      expect(tokens.filter(({ status }) => status === 'valid')).toEqual([])
    }
  })
})

it('X5 tokens of tenants that may have been deleted unheard are refused, those of the first tenant are not', async () => {
  const database = await (await testPostgres()).createDatabase()
  const shared = await share(
    async () => await Promise.resolve({ kind: 'postgres', url: new Secret(database.url) }),
  )
  const clock = manualClock()
  const one = await openTestIdentity(shared.store, clock, {
    staticTokens: [staticToken('theirs', STATIC, { tenant: 'acme' }), staticToken('ours', OURS)],
  })
  opened.push(one)
  const answer = await one.authenticate(STATIC)
  if (!answer.ok) throw new Error(answer.error.reason)
  let ended: EndReason | undefined
  one.identity.lifelines.hold(answer.value.credential.id, (reason) => (ended = reason))
  await database.drop()
  await soon(() => one.store.feed.healthy()).toBe(false)
  clock.advance(1_000)
  expect(await one.authenticate(STATIC)).toMatchObject({ ok: true })
  clock.advance(2_000)
  await expect(one.authenticate(STATIC)).rejects.toMatchObject({ code: 'store_unavailable' })
  expect(await one.authenticate(OURS)).toMatchObject({ ok: true })
  expect(one.identity.ready()).toBe(false)
  clock.advance(20_000)
  await soon(() => ended).toBe('changed')
})
