import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openIdentity, type Identity } from '../../src/identity/open.ts'
import type { People } from '../../src/identity/open-people.ts'
import type { User } from '../../src/identity/users/user.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { sealer } from '../../src/lib/seal.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openStore, type Store, type StoreOptions } from '../../src/store/open.ts'
import { findUserById, updateUser } from '../../src/store/users.ts'
import { StoredCredentials } from '../../src/upstreams/credentials/stored.ts'
import { temporaryDirectory } from '../support/identity.ts'
import { testPostgres } from '../support/postgres.ts'

const PASSWORD = new Secret('correct horse battery staple')
const OTHER = new Secret('another horse battery staple')
const THIRD = new Secret('a third horse battery staple')
const ROOT = { userId: null }
const ACCOUNT = { issuer: 'https://login.example.com', subject: '248289761001' }

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
beforeAll(async () => {
  scratch = await temporaryDirectory()
})
afterAll(() => scratch.remove())

let closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

let count = 0
const STORES: Readonly<Record<string, () => Promise<StoreOptions>>> = {
  sqlite: async () =>
    await Promise.resolve({ kind: 'sqlite', file: join(scratch.path, `${(count += 1)}`, 'postern.db') }),
  postgres: async () => {
    const { url } = await (await testPostgres()).createDatabase()
    return { kind: 'postgres', url: new Secret(url) }
  },
}

interface Here {
  readonly identity: Identity & { readonly people: People }
  readonly store: Store
  /** Done once, before the next transaction that changes something begins: what came first by a hair. */
  readonly beforeNextChange: (work: () => Promise<unknown>) => void
  readonly add: (name: string, more?: { tenant?: string; role?: 'admin' | 'reader' }) => Promise<User>
  /** What a token that was given out is good for. */
  readonly levelOf: (token: Secret) => Promise<string | null>
}

/** @param memoryKb what a hash costs: with a large one, whatever else is begun is done before the password is compared */
async function open(newStore: () => Promise<StoreOptions>, memoryKb = 64): Promise<Here> {
  const observe = (): void => undefined
  const real = await openStore(await newStore(), { clock: systemClock, observe })
  closers.push(() => real.close())
  let before: (() => Promise<unknown>) | undefined
  const store: Store = {
    db: real.db,
    kind: real.kind,
    feed: real.feed,
    ping: () => real.ping(),
    close: () => real.close(),
    async change(topic, work) {
      const first = before
      before = undefined
      await first?.()
      return await real.change(topic, work)
    },
  }
  const identity = await openIdentity({
    store,
    staticTokens: [],
    tokenFile: null,
    enabled: true,
    clock: systemClock,
    observe,
    tenantDefault: 'default',
    people: {
      jwt: {
        secretFile: join(scratch.path, `${(count += 1)}`, 'jwt.secret'),
        namespace: 'postern',
        issuer: 'postern',
        audience: 'postern',
        ttlSeconds: 3_600,
      },
      argon2: { memoryKb, timeCost: 1, parallelism: 1 },
      passwords: { minBytes: 12, refuseCommon: true },
    },
  })
  closers.push(() => identity.close())
  const { people } = identity
  if (!people) throw new Error('nobody signs in')
  for (const tenant of ['acme', 'globex']) expect((await people.users.addTenant(tenant)).ok).toBe(true)
  return {
    identity: { ...identity, people },
    store: real,
    beforeNextChange(work) {
      before = work
    },
    async add(name, { tenant = 'default', role = 'reader' } = {}) {
      const added = await people.users.add({ tenant, name, role, password: PASSWORD }, ROOT)
      if (!added.ok) throw new Error(added.error.message)
      return added.value
    },
    async levelOf(token) {
      const answer = await identity.authenticator.authenticate(`Bearer ${token.reveal()}`)
      return answer.ok ? answer.value.grant.level : null
    },
  }
}

/** As a sign-in with a provider does it whose groups are others now. */
const move = ({ store }: Here, id: string, tenant: string): Promise<void> =>
  store.change('users', async (trx, revision) => {
    const row = await findUserById(trx, id)
    if (row) await updateUser(trx, { ...row, tenant, epoch: row.epoch + 1, revision })
  })

describe.each(Object.entries(STORES))('on %s', (_, newStore) => {
  it('an administrator changes nobody who has just become somebody of another tenant', async () => {
    const here = await open(newStore)
    const { users } = here.identity.people
    const { id } = await here.add('bob', { tenant: 'acme' })
    const boss = await here.add('boss', { tenant: 'acme', role: 'admin' })
    const acting = { userId: boss.id, tenant: 'acme' }
    for (const act of [
      () => users.change(id, 'acme', { role: 'admin' }, acting),
      () => users.change(id, 'acme', { password: OTHER }, acting),
      () => users.change(id, 'acme', { email: 'boss@example.com' }, acting),
      () => users.remove(id, 'acme', acting),
    ]) {
      await move(here, id, 'acme')
      here.beforeNextChange(() => move(here, id, 'globex'))
      expect(await act()).toMatchObject({ ok: false, error: { code: 'not_found' } })
      expect(await users.find(id)).toMatchObject({ role: 'reader', email: null, tenant: 'globex' })
    }
  })

  it('an administrator who has just become one of another tenant administers the old one no more', async () => {
    const here = await open(newStore)
    const { users } = here.identity.people
    const { id } = await here.add('bob', { tenant: 'acme' })
    const boss = await here.add('boss', { tenant: 'acme', role: 'admin' })
    const acting = { userId: boss.id, tenant: 'acme' }
    here.beforeNextChange(() => move(here, boss.id, 'globex'))
    const made = await users.add({ tenant: 'acme', name: 'spy', role: 'admin', password: PASSWORD }, acting)
    expect(made).toMatchObject({ ok: false, error: { code: 'level_too_low' } })
    expect(await users.change(id, 'acme', { role: 'admin' }, acting)).toMatchObject({ ok: false })
    expect(await users.remove(id, 'acme', acting)).toMatchObject({ ok: false })
  })

  it('a tenant that was just deleted gets no user, no token, and no credential for a server', async () => {
    const here = await open(newStore)
    const { people, tokens } = here.identity
    const remove = (tenant: string) => () => people.users.removeTenant(tenant, ROOT)
    here.beforeNextChange(remove('acme'))
    expect(
      await people.users.add({ tenant: 'acme', name: 'late', role: 'admin', password: PASSWORD }, ROOT),
    ).toMatchObject({ ok: false, error: { code: 'not_found' } })
    here.beforeNextChange(remove('globex'))
    expect(await tokens.add({ note: 'late', tenant: 'globex', level: 'admin' })).toMatchObject({
      ok: false,
      error: { code: 'conflict' },
    })
    const credentials = new StoredCredentials({
      store: here.store,
      key: () => Promise.resolve(sealer(randomBytes(32))),
      clock: systemClock,
      observe: () => undefined,
    })
    await credentials.start()
    closers.push(() => credentials.close())
    const place = { tenant: 'acme', principal: 'late', server: 'wiki' }
    expect(await credentials.put(place, new Secret('a-secret-that-stays-for-ever'))).toBeNull()
    expect(await credentials.get(place)).toBeUndefined()
    expect(await credentials.put({ ...place, tenant: 'default' }, new Secret('kept'))).not.toBeNull()
  })

  it('a sign-in that is under way lets nobody in who is not let in when it ends', async () => {
    const here = await open(newStore, 32_768)
    const { users, links } = here.identity.people
    const acts: Readonly<Record<string, (id: string) => Promise<{ ok: boolean }>>> = {
      disabled: (id) => users.change(id, undefined, { disabled: true }, ROOT),
      deleted: (id) => users.remove(id, undefined, ROOT),
      demoted: (id) => users.change(id, undefined, { role: 'reader' }, ROOT),
      linked: (id) => links.link(id, ACCOUNT, ROOT),
      moved: async (id) => {
        await move(here, id, 'globex')
        return { ok: true }
      },
      'of-a-tenant-that-goes': () => users.removeTenant('acme', ROOT),
    }
    for (const [name, act] of Object.entries(acts)) {
      const tenant = name === 'of-a-tenant-that-goes' ? 'acme' : 'default'
      const { id } = await here.add(name, { role: 'admin', tenant })
      const signIn = here.identity.people.login({ name, tenant, password: PASSWORD, address: '192.0.2.1' })
      const done = await act(id)
      expect(done.ok, name).toBe(true)
      const answer = await signIn
      const level = answer.ok ? await here.levelOf(answer.value.token) : null
      expect(level, name).not.toBe('admin')
      if (name !== 'demoted') expect(level, name).toBeNull()
    }
  })

  it('changing the own password undoes nothing that an administrator does meanwhile', async () => {
    const here = await open(newStore)
    const { users, links, changePassword, login } = here.identity.people
    const acts: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
      disabled: (id) => users.change(id, undefined, { disabled: true }, ROOT),
      deleted: (id) => users.remove(id, undefined, ROOT),
      reset: (id) => users.change(id, undefined, { password: THIRD }, ROOT),
      linked: (id) => links.link(id, { ...ACCOUNT, subject: `of ${id}` }, ROOT),
    }
    for (const [name, act] of Object.entries(acts)) {
      const { id } = await here.add(`own-${name}`)
      here.beforeNextChange(() => act(id))
      const changed = await changePassword({
        userId: id,
        current: PASSWORD,
        next: OTHER,
        address: '192.0.2.1',
      })
      expect(changed, name).toMatchObject({ ok: false, error: { code: 'conflict' } })
      for (const password of [PASSWORD, OTHER])
        expect(await login({ name: `own-${name}`, password, address: '192.0.2.9' }), name).toMatchObject({
          ok: false,
        })
    }
  })

  it('of two who change one password at once, with the old one, one does', async () => {
    const here = await open(newStore)
    const { changePassword, login } = here.identity.people
    const { id } = await here.add('twice')
    const change = (next: Secret) =>
      changePassword({ userId: id, current: PASSWORD, next, address: '192.0.2.1' })
    const answers = await Promise.all([change(OTHER), change(THIRD)])
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    const good = await Promise.all(
      [PASSWORD, OTHER, THIRD].map((password) => login({ name: 'twice', password, address: '192.0.2.2' })),
    )
    expect(good.filter(({ ok }) => ok)).toHaveLength(1)
    expect(good[0]?.ok).toBe(false)
  })
})
