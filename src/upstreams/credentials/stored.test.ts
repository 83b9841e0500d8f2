import { randomBytes } from 'node:crypto'
import { readFile, mkdtemp, readdir, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { callerOf } from '../../../test/support/http-parts.ts'
import { soon } from '../../../test/support/soon.ts'
import { testPostgres } from '../../../test/support/postgres.ts'
import type { Caller } from '../../identity/caller.ts'
import { systemClock } from '../../lib/clock.ts'
import { sealer } from '../../lib/seal.ts'
import { Secret } from '../../lib/secret.ts'
import type { Observation } from '../../observe/observation.ts'
import { openStore, type Store, type StoreOptions } from '../../store/open.ts'
import type { CredentialPlace } from '../user-credentials.ts'
import { openKey } from './open-key.ts'
import { StoredCredentials } from './stored.ts'

let dir: string
let count = 0
let closers: (() => Promise<void>)[] = []
let observations: Observation[] = []

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-credentials-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))
afterEach(async () => {
  for (const close of closers.toReversed()) await close()
  closers = []
  observations = []
})

const observe = (observation: Observation): void => void observations.push(observation)

async function openOne(options: StoreOptions): Promise<Store> {
  const store = await openStore(options, { clock: systemClock, observe })
  closers.push(() => store.close())
  return store
}

const key = sealer(randomBytes(32))

async function credentialsOn(store: Store, sealing = key): Promise<StoredCredentials> {
  const credentials = new StoredCredentials({
    store,
    key: () => Promise.resolve(sealing),
    clock: systemClock,
    observe,
  })
  await credentials.start()
  closers.push(() => credentials.close())
  return credentials
}

const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: join(dir, `s${(count += 1)}`, 'postern.db') })
const newPostgres = async (): Promise<StoreOptions> => {
  const { url } = await (await testPostgres()).createDatabase()
  return { kind: 'postgres', url: new Secret(url) }
}

const alice: Caller = callerOf('read-only')
const bob: Caller = { ...alice, principal: { kind: 'service', id: 'bob', name: 'bob' } }
const elsewhere: Caller = callerOf('read-only', { tenant: 'acme' })
const placeOf = ({ principal, grant }: Caller, server = 'wiki'): CredentialPlace => ({
  tenant: grant.tenant,
  principal: principal.id,
  server,
})
const shown = async (
  credentials: StoredCredentials,
  caller: Caller,
  server = 'wiki',
): Promise<string | undefined> => (await credentials.find(caller, server))?.reveal()

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('credentials of principals on $engine', ({ newStore }) => {
  it('are found by their principal, tenant and server alone', async () => {
    const credentials = await credentialsOn(await openOne(await newStore()))
    await credentials.put(placeOf(alice), new Secret('of alice'))
    await credentials.put(placeOf(bob), new Secret('of bob'))
    await credentials.put(placeOf(alice, 'files'), new Secret('of alice, for files'))
    expect(await shown(credentials, alice)).toBe('of alice')
    expect(await shown(credentials, bob)).toBe('of bob')
    expect(await shown(credentials, alice, 'files')).toBe('of alice, for files')
    expect(await shown(credentials, bob, 'files')).toBeUndefined()
    expect(await shown(credentials, elsewhere)).toBeUndefined()
    // Another token of the same principal finds the same.
    const other = { ...alice, credential: { ...alice.credential, id: 'another' } }
    expect(await shown(credentials, other)).toBe('of alice')
  })

  it('are known without asking once they were found, also that there is none', async () => {
    const credentials = await credentialsOn(await openOne(await newStore()))
    await credentials.put(placeOf(alice), new Secret('value'))
    expect(credentials.known(alice, 'wiki')).toBeUndefined()
    await credentials.find(alice, 'wiki')
    expect(credentials.known(alice, 'wiki')?.reveal()).toBe('value')
    expect(await shown(credentials, bob)).toBeUndefined()
    await credentials.put(placeOf(bob), new Secret('new'))
    expect(await shown(credentials, bob)).toBe('new')
  })

  it('are listed without their values, and tell when they were left', async () => {
    const credentials = await credentialsOn(await openOne(await newStore()))
    const first = await credentials.put(placeOf(alice), new Secret('one'))
    await credentials.put(placeOf(elsewhere), new Secret('two'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    const second = await credentials.put(placeOf(alice), new Secret('three'))
    expect(second?.createdAt).toBe(first?.createdAt)
    expect(second?.updatedAt).toBeGreaterThan(first?.updatedAt ?? Infinity)
    const list = await credentials.list({ server: 'wiki' })
    expect(list.map(({ tenant, principal }) => [tenant, principal])).toEqual([
      ['acme', alice.principal.id],
      ['default', alice.principal.id],
    ])
    expect(JSON.stringify(list)).not.toMatch(/one|two|three|sealed/)
    expect(await credentials.list({ tenant: 'acme', server: 'wiki' })).toHaveLength(1)
    expect(await credentials.get(placeOf(alice))).toEqual(second)
    expect(await credentials.get(placeOf(bob))).toBeUndefined()
  })

  it('are gone when they were removed, in whatever process, within 100 ms; whoever uses them is told', async () => {
    const options = await newStore()
    const here = await credentialsOn(await openOne(options))
    const there = await credentialsOn(await openOne(options))
    await there.put(placeOf(alice), new Secret('one'))
    await soon(() => shown(here, alice)).toBe('one')
    const heard: CredentialPlace[] = []
    here.onChange((place) => void heard.push(place))

    await there.put(placeOf(alice), new Secret('two'))
    const changedAt = performance.now()
    while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const tookMs = performance.now() - changedAt
    expect(heard).toEqual([placeOf(alice)])
    expect(await shown(here, alice)).toBe('two')

    expect(await there.remove(placeOf(alice))).toBe(true)
    await soon(() => heard.length).toBe(2)
    expect(here.known(alice, 'wiki')).toBeUndefined()
    expect(await shown(here, alice)).toBeUndefined()
    expect(await here.list({})).toEqual([])
    expect(await there.remove(placeOf(alice))).toBe(false)
    // The machine may be busy; an idle one takes some 10 ms.
    expect(tookMs).toBeLessThan(1_000)
  })

  it('tell of a change of this process before it is answered', async () => {
    const credentials = await credentialsOn(await openOne(await newStore()))
    const heard: CredentialPlace[] = []
    const forget = credentials.onChange((place) => void heard.push(place))
    await credentials.put(placeOf(alice), new Secret('one'))
    expect(heard).toEqual([placeOf(alice)])
    await credentials.remove(placeOf(alice))
    expect(heard).toHaveLength(2)
    forget()
    await credentials.put(placeOf(alice), new Secret('two'))
    expect(heard).toHaveLength(2)
    // What is left anew begins anew.
    expect((await credentials.get(placeOf(alice)))?.createdAt).toBeGreaterThan(0)
  })

  it('do not open in the row of somebody else, nor with another key', async () => {
    const store = await openOne(await newStore())
    const credentials = await credentialsOn(store)
    await credentials.put(placeOf(alice), new Secret('of alice'))
    await credentials.put(placeOf(bob), new Secret('of bob'))
    const { sealed } = await store.db
      .selectFrom('upstream_credentials')
      .select('sealed')
      .where('principal', '=', alice.principal.id)
      .executeTakeFirstOrThrow()
    await store.db.updateTable('upstream_credentials').set({ sealed }).execute()
    expect(await shown(credentials, bob)).toBeUndefined()
    expect(await shown(credentials, alice)).toBe('of alice')
    const others = await credentialsOn(store, sealer(randomBytes(32)))
    expect(await shown(others, alice)).toBeUndefined()
    expect(observations.map((one) => (one.kind === 'config.warning' ? one.message : one.kind))).toEqual([
      'the credential of bob for MCP server wiki was changed or moved in the store and counts as missing',
      `the credential of ${alice.principal.id} for MCP server wiki was sealed with another key and counts as missing`,
    ])
  })

  it('leave no value in the store', async () => {
    const options = await newStore()
    const store = await openOne(options)
    const credentials = await credentialsOn(store)
    const value = `value-${randomBytes(12).toString('hex')}`
    await credentials.put(placeOf(alice), new Secret(value))
    const rows = await store.db.selectFrom('upstream_credentials').selectAll().execute()
    expect(rows).toHaveLength(1)
    const texts = [JSON.stringify(rows)]
    if (options.kind === 'sqlite') {
      const folder = join(options.file, '..')
      for (const name of await readdir(folder)) texts.push(await readFile(join(folder, name), 'latin1'))
    }
    for (const text of texts) {
      expect(text).not.toContain(value)
      expect(text).not.toContain(Buffer.from(value).toString('base64url').slice(4, -4))
    }
    await credentials.remove(placeOf(alice))
    const [row] = await store.db.selectFrom('upstream_credentials').selectAll().execute()
    expect(row?.sealed).toBeNull()
  })
})

describe('the key of credentials', () => {
  it('is made with a warning when nothing was sealed yet, and asked for again when it was missing', async () => {
    const store = await openOne(await newSqlite())
    const file = join(dir, `k${(count += 1)}`, 'secret.key')
    const opened = await openKey(file, store, observe)
    expect(observations).toMatchObject([{ kind: 'config.warning' }])
    expect(await openKey(file, store, observe)).toEqual(opened)
    expect(observations).toHaveLength(1)
    const credentials = await credentialsOn(store, sealer(opened))
    await credentials.put(placeOf(alice), new Secret('value'))
    await unlink(file)
    await expect(openKey(file, store, observe)).rejects.toMatchObject({ code: 'config_invalid' })
    await expect(openKey(file, store, observe)).rejects.toThrow('is missing: bring it back')
    await credentials.remove(placeOf(alice))
    expect(await openKey(file, store, observe)).not.toEqual(opened)
  })

  it('says how many credentials another one sealed', async () => {
    const store = await openOne(await newSqlite())
    await (await credentialsOn(store)).put(placeOf(alice), new Secret('value'))
    const file = join(dir, `k${(count += 1)}`, 'secret.key')
    await openKey(file, await openOne(await newSqlite()), observe)
    observations = []
    await openKey(file, store, observe)
    expect(observations).toMatchObject([
      { kind: 'config.warning', message: expect.stringMatching(/^1 credential\(s\) .* another key/) },
    ])
  })

  it('that could not be had is asked for again', async () => {
    const store = await openOne(await newSqlite())
    let asked = 0
    const credentials = new StoredCredentials({
      store,
      key: () => ((asked += 1) === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve(key)),
      clock: systemClock,
      observe,
    })
    await credentials.start()
    closers.push(() => credentials.close())
    await expect(credentials.put(placeOf(alice), new Secret('x'))).rejects.toThrow('not yet')
    await credentials.put(placeOf(alice), new Secret('x'))
    expect(asked).toBe(2)
  })
})
