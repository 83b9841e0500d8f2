import { randomBytes } from 'node:crypto'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ManualClock, manualClock } from '../../../test/support/clock.ts'
import { openTestIdentity, temporaryDirectory, type TestIdentity } from '../../../test/support/identity.ts'
import { testPostgres } from '../../../test/support/postgres.ts'
import { soon } from '../../../test/support/soon.ts'
import { Secret } from '../../lib/secret.ts'
import type { StoreOptions } from '../../store/open.ts'
import { findUserById } from '../../store/users.ts'
import type { People, PeopleOptions } from '../open-people.ts'
import type { EndReason } from '../lifelines.ts'
import type { NewUser, User } from './user.ts'

const PASSWORD = new Secret('correct horse battery staple')
const OTHER = new Secret('another horse battery staple')
const ROOT = { userId: null }

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

/** Cheap hashes: what they cost is measured elsewhere. */
const options = (secretFile: string, change: Partial<PeopleOptions> = {}): PeopleOptions => ({
  jwt: { secretFile, namespace: 'postern', issuer: 'postern', audience: 'postern', ttlSeconds: 3_600 },
  argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
  passwords: { minBytes: 12, refuseCommon: true },
  ...change,
})

let count = 0
const secretFile = (): string => join(scratch.path, `${(count += 1)}`, 'jwt.secret')

interface Replica extends TestIdentity {
  readonly people: People
}

async function replica(
  store: StoreOptions,
  file: string,
  clock: ManualClock,
  change: Partial<PeopleOptions> = {},
): Promise<Replica> {
  const one = await openTestIdentity(store, clock, { people: options(file, change) })
  opened.push(one)
  if (!one.identity.people) throw new Error('nobody signs in')
  return { ...one, people: one.identity.people }
}

const newUser = (name: string, change: Partial<NewUser> = {}): NewUser => ({
  tenant: 'default',
  name,
  password: PASSWORD,
  role: 'reader',
  ...change,
})

async function add({ people }: Replica, name: string, change: Partial<NewUser> = {}): Promise<User> {
  const added = await people.users.add(newUser(name, change), ROOT)
  if (!added.ok) throw new Error(added.error.message)
  return added.value
}

async function signIn(
  { people }: Replica,
  name: string,
  password = PASSWORD,
  tenant?: string,
): Promise<Secret> {
  const answer = await people.login({
    name,
    password,
    address: '192.0.2.1',
    ...(tenant === undefined ? {} : { tenant }),
  })
  if (!answer.ok) throw new Error(answer.error.rule)
  return answer.value.token
}

const payloadOf = (token: Secret): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.reveal().split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >

const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: join(scratch.path, `${(count += 1)}.db`) })
const newPostgres = async (): Promise<StoreOptions> => {
  const { url } = await (await testPostgres()).createDatabase()
  return { kind: 'postgres', url: new Secret(url) }
}

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('people on $engine', ({ newStore }) => {
  const open = async (change: Partial<PeopleOptions> = {}): Promise<Replica> =>
    await replica(await newStore(), secretFile(), manualClock(), change)

  it('X1 X3 a user signs in by name, in any spelling, or by address, and is who calls', async () => {
    const here = await open()
    const alice = await add(here, 'Alice', { role: 'admin', email: 'Alice@Example.com' })
    expect(alice).toMatchObject({
      name: 'alice',
      email: 'alice@example.com',
      role: 'admin',
      tenant: 'default',
    })
    expect(alice.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    for (const name of ['alice', 'ALICE', 'ａｌｉｃｅ', 'alice@example.com']) {
      const token = await signIn(here, name)
      expect(await here.authenticate(token)).toMatchObject({
        ok: true,
        value: {
          principal: { kind: 'user', id: alice.id, name: 'alice' },
          credential: { kind: 'jwt', name: 'alice', id: expect.stringMatching(/^jwt_/) as string },
          grant: { tenant: 'default', level: 'admin', scopes: 'all', servers: 'all', databases: 'all' },
        },
      })
    }
  })

  it('X1 a role is a level', async () => {
    const here = await open()
    for (const [role, level] of [
      ['admin', 'admin'],
      ['writer', 'read-write'],
      ['reader', 'read-only'],
    ] as const) {
      await add(here, role, { role })
      expect(await here.authenticate(await signIn(here, role))).toMatchObject({ value: { grant: { level } } })
    }
  })

  it('X3 the claims are the ones that are documented', async () => {
    const here = await open()
    const alice = await add(here, 'alice', { role: 'admin' })
    const token = await signIn(here, 'alice')
    const issued = Date.UTC(2026, 0, 1) / 1_000
    expect(payloadOf(token)).toEqual({
      sub: alice.id,
      'postern.tenant_id': 'default',
      'postern.admin': true,
      'postern.epoch': 1,
      iat: issued,
      exp: issued + 3_600,
      jti: expect.any(String) as string,
      iss: 'postern',
      aud: 'postern',
    })
    const bob = await add(here, 'bob')
    expect(payloadOf(await signIn(here, 'bob'))).toMatchObject({ sub: bob.id, 'postern.admin': false })
  })

  it('X3 a token is good to its very last second and not one longer', async () => {
    const clock = manualClock()
    const here = await replica(await newStore(), secretFile(), clock)
    await add(here, 'alice')
    const token = await signIn(here, 'alice')
    clock.jump(3_599_999)
    expect(await here.authenticate(token)).toMatchObject({ ok: true })
    clock.jump(1)
    expect(await here.authenticate(token)).toMatchObject({ error: { reason: 'expired' } })
    // Without what was remembered, too.
    const fresh = await signIn(here, 'alice')
    clock.jump(3_600_000)
    expect(await here.authenticate(fresh)).toMatchObject({ error: { reason: 'expired' } })
  })

  it('ends what was opened with a token as it expires', async () => {
    const clock = manualClock()
    const here = await replica(await newStore(), secretFile(), clock)
    await add(here, 'alice')
    const ended = await holdOpen(here, await signIn(here, 'alice'))
    clock.jump(3_600_000)
    expect(ended()).toBe('expired')
  })

  const ENDINGS = [
    [
      'deleting the user',
      async ({ people }: Replica, { id }: User) => people.users.remove(id, 'default', ROOT),
    ],
    [
      'changing the role',
      async ({ people }: Replica, { id }: User) =>
        people.users.change(id, 'default', { role: 'writer' }, ROOT),
    ],
    [
      'changing the password',
      async ({ people }: Replica, { id }: User) =>
        people.users.change(id, 'default', { password: OTHER }, ROOT),
    ],
    [
      'disabling the user',
      async ({ people }: Replica, { id }: User) =>
        people.users.change(id, 'default', { disabled: true }, ROOT),
    ],
  ] as const

  it.each(ENDINGS)('X6 %s ends the tokens at once, on every replica', async (_, act) => {
    const store = await newStore()
    const file = secretFile()
    const here = await replica(store, file, manualClock())
    const there = await replica(store, file, manualClock())
    const alice = await add(here, 'alice')
    await add(here, 'bob')
    const token = await signIn(here, 'alice')
    const bystander = await holdOpen(there, await signIn(here, 'bob'))
    const endedHere = await holdOpen(here, token)
    const endedThere = await holdOpen(there, token)
    expect(await act(here, alice)).toMatchObject({ ok: true })
    expect(endedHere()).toBe('revoked')
    const startedAt = performance.now()
    await soon(endedThere).toBe('revoked')
    expect(performance.now() - startedAt).toBeLessThan(100)
    expect(await here.authenticate(token)).toMatchObject({ error: { reason: 'revoked' } })
    expect(await there.authenticate(token)).toMatchObject({ error: { reason: 'revoked' } })
    expect(bystander()).toBeUndefined()
  })

  it('X6 signing out ends one token, on every replica, and no other of the same user', async () => {
    const store = await newStore()
    const file = secretFile()
    const here = await replica(store, file, manualClock())
    const there = await replica(store, file, manualClock())
    await add(here, 'alice')
    const [one, other] = [await signIn(here, 'alice'), await signIn(here, 'alice')]
    const ended = await holdOpen(there, one)
    const answer = await here.authenticate(one)
    if (!answer.ok) throw new Error('not signed in')
    expect(await here.people.logout(answer.value.credential)).toBe(true)
    await soon(ended).toBe('revoked')
    expect(await there.authenticate(one)).toMatchObject({ error: { reason: 'revoked' } })
    expect(await here.authenticate(other)).toMatchObject({ ok: true })
    // A process that starts afterwards knows it, too.
    const later = await replica(store, file, manualClock())
    expect(await later.authenticate(one)).toMatchObject({ error: { reason: 'revoked' } })
  })

  it('changing the address ends nothing', async () => {
    const here = await open()
    const alice = await add(here, 'alice')
    const ended = await holdOpen(here, await signIn(here, 'alice'))
    await here.people.users.change(alice.id, 'default', { email: 'a@example.com' }, ROOT)
    expect(ended()).toBeUndefined()
    expect(await signIn(here, 'a@example.com')).toBeInstanceOf(Secret)
  })

  it('refuses wrong passwords, unknown names, disabled and deleted users alike', async () => {
    const here = await open()
    const alice = await add(here, 'alice')
    const bob = await add(here, 'bob')
    const carol = await add(here, 'carol')
    await here.people.users.change(bob.id, 'default', { disabled: true }, ROOT)
    await here.people.users.remove(carol.id, 'default', ROOT)
    const answers = []
    for (const [name, password, tenant] of [
      ['alice', OTHER],
      ['nobody', PASSWORD],
      ['bob', PASSWORD],
      ['carol', PASSWORD],
      ['alice', PASSWORD, 'other'],
      ['../../etc/passwd\0', PASSWORD],
      ["' OR 1=1 --", PASSWORD],
    ] as const) {
      answers.push(
        await here.people.login({
          name,
          password,
          address: '192.0.2.9',
          ...(tenant === undefined ? {} : { tenant }),
        }),
      )
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(answers[0]).toMatchObject({ ok: false, error: { code: 'login_failed' } })
    expect(await here.people.users.find(alice.id)).toMatchObject({ name: 'alice' })
  })

  it('X10 makes whoever goes on guessing wait, and nobody else', async () => {
    const here = await open()
    await add(here, 'alice')
    const guess = (address: string, password = OTHER) =>
      here.people.login({ name: 'alice', password, address })
    for (let at = 0; at < 5; at += 1)
      expect(await guess('192.0.2.9')).toMatchObject({ error: { code: 'login_failed' } })
    // The right password makes no difference while one waits: otherwise the wait would tell it apart.
    expect(await guess('192.0.2.9', PASSWORD)).toMatchObject({
      error: { code: 'too_many_requests', rule: 'login.account', retryAfterS: 1 },
    })
    expect(await guess('192.0.2.10', PASSWORD)).toMatchObject({ ok: true })
  })

  it('X9 upgrades a hash with old parameters as its user signs in', async () => {
    const store = await newStore()
    const file = secretFile()
    const before = await replica(store, file, manualClock())
    const alice = await add(before, 'alice')
    const after = await replica(store, file, manualClock(), {
      argon2: { memoryKb: 128, timeCost: 2, parallelism: 1 },
    })
    const hashOf = async (): Promise<string> =>
      (await findUserById(after.store.db, alice.id))?.passwordHash ?? ''
    expect(await hashOf()).toContain('m=64,t=1,p=1')
    await expect(signIn(after, 'alice', OTHER)).rejects.toThrow('login')
    expect(await hashOf()).toContain('m=64,t=1,p=1')
    const token = await signIn(after, 'alice')
    expect(await hashOf()).toContain('m=128,t=2,p=1')
    expect(await signIn(after, 'alice')).toBeInstanceOf(Secret)
    expect(await after.authenticate(token)).toMatchObject({ ok: true })
  })

  const changeOwn = (here: Replica, userId: string, current: Secret, next: Secret) =>
    here.people.changePassword({ userId, current, next, address: '192.0.2.1' })

  it('X6 changing the own password ends every token of the user and gives a fresh one', async () => {
    const store = await newStore()
    const file = secretFile()
    const here = await replica(store, file, manualClock())
    const there = await replica(store, file, manualClock())
    const alice = await add(here, 'alice')
    const tokens = [await signIn(here, 'alice'), await signIn(there, 'alice')]
    const endings = [await holdOpen(here, tokens[0] as Secret), await holdOpen(there, tokens[1] as Secret)]
    const changed = await changeOwn(here, alice.id, PASSWORD, OTHER)
    if (!changed.ok) throw new Error(changed.error.message)
    for (const ended of endings) await soon(ended).toBe('revoked')
    for (const token of tokens)
      expect(await here.authenticate(token)).toMatchObject({ error: { reason: 'revoked' } })
    expect(await there.authenticate(changed.value.token)).toMatchObject({
      ok: true,
      value: { principal: { id: alice.id } },
    })
    await expect(signIn(here, 'alice')).rejects.toThrow('login')
    expect(await signIn(there, 'alice', OTHER)).toBeInstanceOf(Secret)
  })

  it('X10 the own password is changed by who knows it, within the limits of the sign-in', async () => {
    const here = await open()
    const alice = await add(here, 'alice')
    const wrong = new Secret('no such password at all')
    const ruleOf = async (current: Secret, next: Secret): Promise<string> => {
      const answer = await changeOwn(here, alice.id, current, next)
      return answer.ok ? 'done' : answer.error.rule
    }
    // What is wrong with the new one costs no try.
    for (const next of ['short', 'password123456', 'alice', 'with\0nul in the middle'])
      expect(await ruleOf(wrong, new Secret(next))).toBe('user.password')
    expect(await ruleOf(PASSWORD, PASSWORD)).toBe('user.password')
    for (let at = 0; at < 5; at += 1) expect(await ruleOf(wrong, OTHER)).toBe('auth.password')
    const waits = await changeOwn(here, alice.id, PASSWORD, OTHER)
    expect(waits).toMatchObject({
      ok: false,
      error: { code: 'too_many_requests', rule: 'login.account', retryAfterS: 1 },
    })
    expect(await signIn(here, 'alice')).toBeInstanceOf(Secret)
    const gone = await here.people.changePassword({
      userId: '01938a6c-0000-7000-8000-000000000000',
      current: PASSWORD,
      next: OTHER,
      address: '198.51.100.7',
    })
    expect(gone).toMatchObject({ ok: false, error: { code: 'conflict' } })
  })

  it('X6 of two changes of the own password at once, one wins', async () => {
    const store = await newStore()
    const file = secretFile()
    const here = await replica(store, file, manualClock())
    const there = await replica(store, file, manualClock())
    const alice = await add(here, 'alice')
    const third = new Secret('a third horse battery staple')
    const answers = await Promise.all([
      changeOwn(here, alice.id, PASSWORD, OTHER),
      changeOwn(there, alice.id, PASSWORD, third),
    ])
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    const works = await Promise.allSettled([signIn(here, 'alice', OTHER), signIn(here, 'alice', third)])
    expect(works.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('X10 holds every path that sets a password to the policy', async () => {
    const here = await open()
    const alice = await add(here, 'christopherine')
    for (const text of ['short', 'q1w2e3r4t5y6', 'christopherine']) {
      const password = new Secret(text)
      const refused = { ok: false, error: { code: 'invalid_arguments', rule: 'user.password' } }
      expect(
        await here.people.users.add(newUser('christopherine', { password, tenant: 'x' }), ROOT),
      ).toMatchObject(refused)
      expect(await here.people.users.change(alice.id, 'default', { password }, ROOT)).toMatchObject(refused)
    }
  })

  it('X5 refuses a name that is taken, or looks like one that is', async () => {
    const here = await open()
    await add(here, 'alice', { email: 'alice@example.com' })
    await add(here, 'coco')
    for (const name of ['alice', 'ALICE', 'ａｌｉｃｅ', 'a1ice', 'alicé', 'сосо', 'alice@example.com']) {
      expect(await here.people.users.add(newUser(name), ROOT), name).toMatchObject({
        ok: false,
        error: { code: 'invalid_arguments', rule: expect.stringMatching(/taken$/) as string },
      })
    }
    expect(await here.people.users.add(newUser('dora', { email: 'ALICE@example.com' }), ROOT)).toMatchObject({
      error: { rule: 'user.email_taken' },
    })
    // Many at once: one wins.
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => here.people.users.add(newUser('erik'), ROOT)),
    )
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
    expect((await here.people.users.list()).map(({ name }) => name)).toEqual(['alice', 'coco', 'erik'])
  })

  it('gives the name of a deleted user free, for somebody else', async () => {
    const here = await open()
    const first = await add(here, 'alice', { email: 'a@example.com' })
    const token = await signIn(here, 'alice')
    await here.people.users.remove(first.id, 'default', ROOT)
    const second = await add(here, 'alice', { email: 'a@example.com' })
    expect(second.id).not.toBe(first.id)
    expect(await here.authenticate(token)).toMatchObject({ error: { reason: 'revoked' } })
    expect(await here.people.users.remove(first.id, 'default', ROOT)).toMatchObject({
      error: { code: 'not_found' },
    })
  })

  it('X5 keeps tenants apart: another one is as if it were not there', async () => {
    const here = await open()
    expect(await here.people.users.listTenants()).toMatchObject([{ id: 'default' }])
    const boss = await here.people.users.add(newUser('boss', { tenant: 'acme', role: 'admin' }), ROOT, {
      withTenant: true,
    })
    if (!boss.ok) throw new Error(boss.error.message)
    expect((await here.people.users.listTenants()).map(({ id }) => id)).toEqual(['acme', 'default'])
    const alice = await add(here, 'alice')
    const acting = { userId: boss.value.id }
    const nowhere = await here.people.users.remove('01938a6c-0000-7000-8000-000000000000', 'acme', acting)
    expect(await here.people.users.remove(alice.id, 'acme', acting)).toEqual(nowhere)
    expect(await here.people.users.change(alice.id, 'acme', { role: 'admin' }, acting)).toEqual(nowhere)
    expect(await here.people.users.list('acme')).toMatchObject([{ name: 'boss', tenant: 'acme' }])
    for (const tenant of ['acme', 'nowhere']) {
      const answer = await here.people.users.add(newUser('x1', { tenant }), ROOT, {
        withTenant: tenant === 'acme',
      })
      expect(answer).toMatchObject({ ok: false, error: { rule: 'tenant.id' } })
    }
  })

  it('signs the older of two with one name in where no tenant is given, the first tenant first', async () => {
    const here = await open()
    for (const tenant of ['acme', 'zeta'])
      expect(await here.people.users.addTenant(tenant)).toMatchObject({ ok: true })
    await add(here, 'sam', { tenant: 'zeta' })
    await add(here, 'sam', { tenant: 'acme', password: OTHER })
    expect(payloadOf(await signIn(here, 'sam'))).toMatchObject({ 'postern.tenant_id': 'zeta' })
    await expect(signIn(here, 'sam', OTHER)).rejects.toThrow('login')
    expect(payloadOf(await signIn(here, 'sam', OTHER, 'acme'))).toMatchObject({ 'postern.tenant_id': 'acme' })
    await add(here, 'sam')
    expect(payloadOf(await signIn(here, 'sam'))).toMatchObject({ 'postern.tenant_id': 'default' })
  })

  it('X5 of two administrators who delete each other at once, one wins', async () => {
    const store = await newStore()
    const file = secretFile()
    const here = await replica(store, file, manualClock())
    const there = await replica(store, file, manualClock())
    for (let round = 0; round < 5; round += 1) {
      const one = await add(here, `one-${round}x`, { role: 'admin' })
      const two = await add(here, `two-${round}x`, { role: 'admin' })
      const answers = await Promise.all([
        here.people.users.remove(two.id, 'default', { userId: one.id }),
        there.people.users.remove(one.id, 'default', { userId: two.id }),
      ])
      expect(answers.filter(({ ok }) => ok)).toHaveLength(1)
      expect(answers.find(({ ok }) => !ok)).toMatchObject({ error: { code: 'level_too_low' } })
      const left = (await here.people.users.list()).filter(({ id }) => id === one.id || id === two.id)
      expect(left).toHaveLength(1)
    }
  })

  it('X5 nobody deletes, disables or lowers themselves', async () => {
    const here = await open()
    const { id } = await add(here, 'alice', { role: 'admin' })
    const acting = { userId: id }
    const refused = { ok: false, error: { code: 'invalid_arguments', rule: 'user.oneself' } }
    expect(await here.people.users.remove(id, 'default', acting)).toMatchObject(refused)
    expect(await here.people.users.change(id, 'default', { role: 'reader' }, acting)).toMatchObject(refused)
    expect(await here.people.users.change(id, 'default', { disabled: true }, acting)).toMatchObject(refused)
    expect(await here.people.users.change(id, 'default', { password: OTHER }, acting)).toMatchObject({
      ok: true,
    })
  })

  it('writes no password and no token into the store', async () => {
    const here = await open()
    const alice = await add(here, 'alice')
    const token = await signIn(here, 'alice')
    await here.people.users.remove(alice.id, 'default', ROOT)
    const rows = await here.store.db.selectFrom('users').selectAll().execute()
    expect(rows).toMatchObject([{ password_hash: '', name_shape: null, email: null }])
    expect(JSON.stringify([rows, here.observations])).not.toContain(PASSWORD.reveal())
    expect(JSON.stringify([rows, here.observations])).not.toContain(token.reveal())
  })
})

/** Holds something open with a token; tells why it ended. */
async function holdOpen(here: Replica, token: Secret): Promise<() => EndReason | undefined> {
  const answer = await here.authenticate(token)
  if (!answer.ok) throw new Error(answer.error.reason)
  let ended: EndReason | undefined
  here.identity.lifelines.hold(answer.value.credential.id, (reason) => {
    ended = reason
  })
  return () => ended
}

describe('the JWT secret', () => {
  const start = async (file: string): Promise<Replica> =>
    await replica(await newSqlite(), file, manualClock())

  it('X4 is made with 64 random bytes and mode 0600 when it is missing, with a warning', async () => {
    const file = secretFile()
    const here = await start(file)
    const { mode, size } = await stat(file)
    expect([mode & 0o777, size]).toEqual([0o600, 64])
    const warning = here.observations.find(({ kind }) => kind === 'config.warning')
    expect(warning).toMatchObject({ message: expect.stringContaining(file) as string })
    const secret = await readFile(file)
    const again = await start(file)
    expect(again.observations.some(({ kind }) => kind === 'config.warning')).toBe(false)
    expect((await readFile(file)).equals(secret)).toBe(true)
  })

  it('X4 is the same for several that start at once', async () => {
    const file = secretFile()
    const store = await newSqlite()
    const all = await Promise.all(Array.from({ length: 4 }, () => replica(store, file, manualClock())))
    await add(all[0] as Replica, 'alice')
    const token = await signIn(all[0] as Replica, 'alice')
    for (const one of all) expect(await one.authenticate(token)).toMatchObject({ ok: true })
    expect(
      all.flatMap(({ observations }) => observations).filter(({ kind }) => kind === 'config.warning'),
    ).toHaveLength(1)
  })

  it.each([0o644, 0o604, 0o666, 0o602])('X4 refuses to start where others have it: mode %o', async (mode) => {
    const file = secretFile()
    await start(file)
    await chmod(file, mode)
    const refused = await start(file).then(
      () => '',
      (error: unknown) => String(error),
    )
    expect(refused).toContain(`(mode 0${mode.toString(8)})`)
    expect(refused).toContain(`chmod 0640 ${file}`)
    expect(refused).toContain(`chmod 0600 ${file}`)
  })

  it.each([0o600, 0o640, 0o400, 0o440])('X4 starts with mode %o', async (mode) => {
    const file = secretFile()
    await start(file)
    await chmod(file, mode)
    await start(file)
  })

  it('X4 refuses one that is too short, and a directory', async () => {
    const file = secretFile()
    await start(file)
    await writeFile(file, randomBytes(31))
    await expect(start(file)).rejects.toThrow('31 bytes')
    await chmod(scratch.path, 0o700)
    await expect(start(scratch.path)).rejects.toThrow('it is a directory')
  })

  it('X4 put in place of another one, ends every token', async () => {
    const file = secretFile()
    const store = await newSqlite()
    const here = await replica(store, file, manualClock())
    await add(here, 'alice')
    const token = await signIn(here, 'alice')
    await writeFile(file, randomBytes(64))
    const later = await replica(store, file, manualClock())
    expect(await later.authenticate(token)).toMatchObject({ error: { reason: 'unknown' } })
  })
})
