import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { temporaryDirectory } from '../../../test/support/identity.ts'
import { testPostgres } from '../../../test/support/postgres.ts'
import { systemClock } from '../../lib/clock.ts'
import { Secret } from '../../lib/secret.ts'
import { openStore, type Store, type StoreOptions } from '../../store/open.ts'
import { redeemState } from '../../store/redeemed-states.ts'
import { findUserById, insertUser, type UserRow } from '../../store/users.ts'
import { admitPerson } from './admit-person.ts'
import { createLinks } from './links.ts'
import type { Person } from './person.ts'
import type { OidcProvider } from './provider.ts'

const PROVIDER: OidcProvider = {
  name: 'company',
  title: 'Company',
  issuer: 'https://login.example.com/',
  clientId: 'postern',
  clientSecret: null,
  scopes: ['openid'],
  usernameClaim: 'preferred_username',
  emailClaim: 'email',
  groupsClaim: 'groups',
  requireVerifiedEmail: false,
  roles: { admin: ['admins'], writer: [], reader: ['staff'] },
  tenants: [],
  tenantClaim: null,
  createTenants: false,
  timeoutMs: 10_000,
}

const CLOCK = manualClock()
const ROOT = { userId: null }

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
beforeAll(async () => {
  scratch = await temporaryDirectory()
  await testPostgres()
})
afterAll(() => scratch.remove())

let stores: Store[] = []
afterEach(async () => {
  for (const store of stores) await store.close()
  stores = []
})

let count = 0
const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: join(scratch.path, `${(count += 1)}.db`) })
const newPostgres = async (): Promise<StoreOptions> => {
  const { url } = await (await testPostgres()).createDatabase()
  return { kind: 'postgres', url: new Secret(url) }
}

const person = (subject: string, change: Partial<Person> = {}): Person => ({
  subject,
  username: subject,
  email: null,
  groups: ['staff'],
  tenant: null,
  ...change,
})

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('people of a provider on $engine', ({ newStore }) => {
  async function open() {
    const store = await openStore(await newStore(), { clock: systemClock, observe: () => undefined })
    stores.push(store)
    const ended: string[] = []
    const parts = {
      store,
      clock: CLOCK,
      tenantDefault: 'default',
      takeOver: async (row: UserRow) => {
        await Promise.resolve(ended.push(`${row.name} ${row.epoch}`))
      },
    }
    const admit = async (one: Person, change: Partial<OidcProvider> = {}): Promise<UserRow | string> => {
      const admitted = await admitPerson(parts, { ...PROVIDER, ...change }, one)
      return admitted.ok ? admitted.value : admitted.error.rule
    }
    return { store, ended, admit, links: createLinks(parts) }
  }

  const local = (store: Store, name: string): Promise<UserRow> => {
    const row: UserRow = {
      id: `local-${name}`,
      tenant: 'default',
      name,
      nameShape: name,
      email: `${name}@example.com`,
      level: 'admin',
      passwordHash: 'a hash',
      epoch: 1,
      createdAt: 0,
      disabledAt: null,
      deletedAt: null,
      revision: 0,
    }
    return store.change('users', async (trx, revision) => {
      await insertUser(trx, { ...row, revision })
      return row
    })
  }

  it('OIDC of first sign-ins at once one makes the user, and all are that user', async () => {
    const { admit } = await open()
    const rows = await Promise.all([1, 2, 3, 4].map(() => admit(person('anna'))))
    expect(new Set(rows.map((row) => (typeof row === 'string' ? row : row.id))).size).toBe(1)
    expect(rows[0]).toMatchObject({ name: 'anna', level: 'read-only', passwordHash: '', epoch: 1 })
  })

  it('OIDC another account with the name of a user, or one that looks like it, is not that user', async () => {
    const { store, admit, ended } = await open()
    await admit(person('anna'))
    const mallory = person('mallory', { username: 'anna', groups: ['admins'] })
    expect(await admit(mallory)).toBe('oidc.name_taken')
    expect(await admit({ ...mallory, username: 'аnnа' })).toBe('oidc.username')
    expect(await admit({ ...mallory, username: 'ànna' })).toBe('oidc.name_taken')
    const admin = await local(store, 'boss')
    expect(await admit({ ...mallory, username: 'boss@example.com' })).toBe('oidc.name_taken')
    expect(await admit(person('other', { email: 'boss@example.com' }))).toMatchObject({ email: null })
    expect(await findUserById(store.db, admin.id)).toMatchObject({ epoch: 1, passwordHash: 'a hash' })
    expect(ended).not.toContain('boss 2')
  })

  it('OIDC nothing is written while nothing changes, and what was opened ends when something does', async () => {
    const { admit, ended } = await open()
    await admit(person('anna'))
    const before = await admit(person('anna'))
    expect(await admit(person('anna'))).toEqual(before)
    expect(ended).toEqual(['anna 1'])
    expect(await admit(person('anna', { groups: ['admins'] }))).toMatchObject({ level: 'admin', epoch: 2 })
    expect(await admit(person('anna', { groups: [] }))).toBe('oidc.role')
    expect(ended).toEqual(['anna 1', 'anna 2', 'anna 3'])
  })

  it('OIDC a user moves with the groups, unless the name is taken there', async () => {
    const { store, admit } = await open()
    const tenants = [
      { name: 'default', groups: ['d'] },
      { name: 'acme', groups: ['a'] },
    ]
    const here = person('anna', { groups: ['staff', 'd'] })
    const there = person('anna', { groups: ['staff', 'a'] })
    await admit(here, { tenants })
    expect(await admit(there, { tenants })).toBe('oidc.tenant_unknown')
    expect(await admit(there, { tenants, createTenants: true })).toMatchObject({ tenant: 'acme' })
    await local(store, 'anna')
    expect(await admit(here, { tenants })).toBe('oidc.name_taken')
    expect(await admit(there, { tenants })).toMatchObject({ tenant: 'acme' })
  })

  it('OIDC an administrator links and unlinks; a linked user has no password', async () => {
    const { store, admit, links, ended } = await open()
    const boss = await local(store, 'boss')
    const account = { issuer: PROVIDER.issuer, subject: 'sub-boss' }
    expect(await links.link(boss.id, account, ROOT)).toMatchObject({ ok: true, value: { name: 'boss' } })
    expect(ended).toEqual(['boss 2'])
    expect(await findUserById(store.db, boss.id)).toMatchObject({ passwordHash: '', epoch: 2 })
    expect(await admit(person('sub-boss', { username: 'whatever' }))).toMatchObject({
      id: boss.id,
      level: 'read-only',
    })
    const other = await local(store, 'other')
    expect(await links.link(other.id, account, ROOT)).toMatchObject({
      error: { code: 'conflict', rule: 'user.link' },
    })
    expect(await links.link('nobody', account, ROOT)).toMatchObject({ error: { code: 'not_found' } })
    expect(await links.link(other.id, account, { userId: 'nobody' })).toMatchObject({
      error: { rule: 'level' },
    })
    expect(await links.list()).toMatchObject([{ ...account, user: { name: 'boss' } }])
    expect(await links.unlink(account, ROOT)).toMatchObject({ ok: true, value: { name: 'boss' } })
    expect(await links.unlink(account, ROOT)).toMatchObject({ error: { code: 'not_found' } })
    expect(await links.list()).toEqual([])
  })

  it('OIDC a state is redeemed once, however many come at once', async () => {
    const { store } = await open()
    const redeem = (): Promise<boolean> =>
      store.db.transaction().execute(async (trx) => await redeemState(trx, 'a state', 1))
    const redeemed = await Promise.all([redeem(), redeem(), redeem(), redeem()])
    expect(redeemed.filter(Boolean)).toHaveLength(1)
  })
})
