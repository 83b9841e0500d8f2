import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, connect, type Socket, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { testPostgres } from '../../test/support/postgres.ts'
import { startStoreChild, storeOptionsOf } from '../../test/support/store-child.ts'
import { systemClock } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import type { Observation } from '../observe/observation.ts'
import { claimMeta, readMeta } from './meta.ts'
import { migrate } from './migrate.ts'
import { migrations } from './migrations/index.ts'
import { openStore, type Store, type StoreOptions } from './open.ts'
import {
  countValidTokens,
  deleteEndedTokens,
  findTokenByHash,
  findTokenById,
  findTokensByHashPrefix,
  hasTokens,
  insertToken,
  insertTokens,
  listTokens,
  readTokensAfter,
  replaceToken,
  revokeToken,
  type TokenRow,
} from './tokens.ts'
import { deleteTokenUsesBefore, listTokenUses, recordTokenUses } from './token-uses.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-store-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

let opened: Store[] = []
const observations: Observation[] = []
afterEach(async () => {
  for (const store of opened) await store.close()
  opened = []
  observations.length = 0
})

async function open(options: StoreOptions): Promise<Store> {
  const store = await openStore(options, {
    clock: systemClock,
    observe: (observation) => observations.push(observation),
  })
  opened.push(store)
  return store
}

let count = 0
const newSqlite = async (): Promise<StoreOptions> =>
  await Promise.resolve({ kind: 'sqlite', file: join(dir, `s${(count += 1)}`, 'postern.db') })
const newPostgres = async (): Promise<StoreOptions> => {
  const server = await testPostgres()
  const { url } = await server.createDatabase()
  return { kind: 'postgres', url: new Secret(url) }
}

const hashOf = (digit: string): string => digit.padEnd(64, '0')

const row = (id: string, change: Partial<TokenRow> = {}): TokenRow => ({
  id,
  hash: hashOf(Buffer.from(id).toString('hex').slice(0, 64)),
  note: 'a note',
  owner: 'ada',
  level: 'read-only',
  tenant: 'default',
  databases: ['main', 'other'],
  servers: null,
  scopes: [],
  createdAt: 1_767_225_600_000,
  expiresAt: 1_867_225_600_000,
  revokedAt: null,
  replacedBy: null,
  revision: 1,
  ...change,
})

describe.each([
  { engine: 'sqlite', newStore: newSqlite },
  { engine: 'postgres', newStore: newPostgres },
])('store on $engine', ({ newStore }) => {
  it('keeps a token exactly as it was written', async () => {
    const options = await newStore()
    const store = await open(options)
    await insertToken(store.db, row('tok_1'))
    await insertToken(store.db, row('tok_2', { expiresAt: null, databases: null, note: 'ü – 漢字 😀' }))
    expect(await findTokenById(store.db, 'tok_1')).toEqual(row('tok_1'))
    expect(await findTokenByHash(store.db, row('tok_2').hash)).toEqual(
      row('tok_2', { expiresAt: null, databases: null, note: 'ü – 漢字 😀' }),
    )
    expect(await findTokenByHash(store.db, hashOf('ab'))).toBeUndefined()
    expect(await hasTokens(store.db)).toBe(true)
    const again = await open(options)
    expect(await findTokenById(again.db, 'tok_1')).toEqual(row('tok_1'))
  })

  it('refuses two tokens with one hash or one id', async () => {
    const store = await open(await newStore())
    await insertToken(store.db, row('tok_1'))
    await expect(insertToken(store.db, row('tok_1'))).rejects.toThrow(/unique/i)
    await expect(insertToken(store.db, row('tok_2', { hash: row('tok_1').hash }))).rejects.toThrow(/unique/i)
  })

  it('reads a damaged list as one that allows nothing', async () => {
    const store = await open(await newStore())
    await insertToken(store.db, row('tok_1'))
    await store.db.updateTable('tokens').set({ databases: '{"a":', servers: '"all"' }).execute()
    expect(await findTokenById(store.db, 'tok_1')).toMatchObject({ databases: [], servers: [] })
  })

  it('finds tokens by the start of their hash, revoked ones excepted', async () => {
    const store = await open(await newStore())
    await insertTokens(store.db, [
      row('a', { hash: hashOf('aabbccdd00') }),
      row('b', { hash: hashOf('aabbccdd11') }),
      row('c', { hash: hashOf('aabbccddff'), revokedAt: 5 }),
      row('d', { hash: hashOf('aabbccde') }),
    ])
    const found = await findTokensByHashPrefix(store.db, 'aabbccdd', 10)
    expect(found.map(({ id }) => id)).toEqual(['a', 'b'])
    expect(await findTokensByHashPrefix(store.db, hashOf('aabbccde'), 10)).toHaveLength(1)
    expect(await findTokensByHashPrefix(store.db, 'aabbccdd', 1)).toHaveLength(1)
  })

  it('lists in pages and tells what was written after a revision', async () => {
    const store = await open(await newStore())
    const rows = Array.from({ length: 2_500 }, (_, i) =>
      row(`tok_${String(i).padStart(5, '0')}`, { revision: i }),
    )
    await insertTokens(store.db, rows)
    const first = await listTokens(store.db, '', 2_000)
    const second = await listTokens(store.db, first.at(-1)?.id ?? '', 2_000)
    expect([...first, ...second]).toEqual(rows)
    expect((await readTokensAfter(store.db, 2_497, 10)).map(({ revision }) => revision)).toEqual([
      2_498, 2_499,
    ])
  })

  it('revokes once, replaces once', async () => {
    const store = await open(await newStore())
    await insertTokens(store.db, [row('a'), row('b')])
    expect(await revokeToken(store.db, 'a', 77, 2)).toBe(true)
    expect(await revokeToken(store.db, 'a', 88, 3)).toBe(false)
    expect(await findTokenById(store.db, 'a')).toMatchObject({ revokedAt: 77, revision: 2 })
    const change = { replacedBy: 'c', expiresAt: 99, revokedAt: null }
    expect(await replaceToken(store.db, 'a', change, 4)).toBe(false)
    const both = await Promise.all([
      replaceToken(store.db, 'b', change, 4),
      replaceToken(store.db, 'b', { ...change, replacedBy: 'd' }, 4),
    ])
    expect(both.filter(Boolean)).toHaveLength(1)
    expect(await findTokenById(store.db, 'b')).toMatchObject({ expiresAt: 99, revision: 4 })
  })

  it('deletes what expired and what was revoked long ago', async () => {
    const store = await open(await newStore())
    await insertTokens(store.db, [
      row('old', { expiresAt: 1_000 }),
      row('now', { expiresAt: 2_000 }),
      row('later', { expiresAt: 2_001 }),
      row('never', { expiresAt: null }),
      row('revoked', { expiresAt: null, revokedAt: 1_500 }),
      row('long-revoked', { expiresAt: null, revokedAt: 10 }),
    ])
    expect(await countValidTokens(store.db, 2_000)).toBe(2)
    expect(await deleteEndedTokens(store.db, 2_000, 500)).toBe(2)
    const left = await listTokens(store.db, '', 10)
    expect(left.map(({ id }) => id).toSorted()).toEqual(['later', 'never', 'revoked'])
  })

  it('never turns the time of last use back', async () => {
    const store = await open(await newStore())
    await recordTokenUses(store.db, [
      { credentialId: 'a', lastUsedAt: 100 },
      { credentialId: 'b', lastUsedAt: 100 },
    ])
    await recordTokenUses(store.db, [
      { credentialId: 'a', lastUsedAt: 50 },
      { credentialId: 'b', lastUsedAt: 150 },
    ])
    expect(await listTokenUses(store.db, '', 10)).toEqual([
      { credentialId: 'a', lastUsedAt: 100 },
      { credentialId: 'b', lastUsedAt: 150 },
    ])
    await deleteTokenUsesBefore(store.db, 120)
    expect(await listTokenUses(store.db, '', 10)).toEqual([{ credentialId: 'b', lastUsedAt: 150 }])
  })

  it('lets exactly one of many claim a key', async () => {
    const options = await newStore()
    const stores = [await open(options), await open(options)]
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, i) => claimMeta(stores[i % 2]!.db, 'first', String(i))),
    )
    expect(claims.filter(Boolean)).toHaveLength(1)
    expect(await readMeta(stores[0]!.db, 'first')).toBe(String(claims.indexOf(true)))
    expect(await readMeta(stores[0]!.db, 'other')).toBeUndefined()
  })

  it('writes all of a change or nothing of it, and announces only what was committed', async () => {
    const store = await open(await newStore())
    const heard: string[] = []
    store.feed.subscribe((topic) => heard.push(topic))
    await expect(
      store.change('tokens', async (trx) => {
        await insertToken(trx, row('a'))
        throw new Error('half way')
      }),
    ).rejects.toThrow('half way')
    expect(await hasTokens(store.db)).toBe(false)
    expect(heard).toEqual([])
    await store.change('tokens', async (trx, revision) => {
      await insertToken(trx, row('a', { revision }))
    })
    expect(heard).toEqual(['tokens'])
  })

  it('hands out rising revisions to writers at once, none lost', async () => {
    const options = await newStore()
    const stores = [await open(options), await open(options)]
    const revisions = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        stores[i % 2]!.change('tokens', async (_trx, revision) => await Promise.resolve(revision)),
      ),
    )
    expect(revisions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
  })

  it('goes on telling the others when a listener throws', async () => {
    const store = await open(await newStore())
    const heard: string[] = []
    store.feed.subscribe(() => {
      throw new Error('a bad listener')
    })
    const leave = store.feed.subscribe((topic) => heard.push(topic))
    await store.change('tokens', async () => {})
    expect(heard).toEqual(['tokens'])
    expect(observations).toContainEqual(expect.objectContaining({ kind: 'fault', where: 'store.feed' }))
    leave()
    await store.change('tokens', async () => {})
    expect(heard).toEqual(['tokens'])
  })

  it('hears a change of another process', async () => {
    const options = await newStore()
    const store = await open(options)
    const child = await startStoreChild(storeOptionsOf(options))
    try {
      await child.ask({ op: 'open' })
      const heard: string[] = []
      store.feed.subscribe((topic) => heard.push(topic))
      for (let turn = 1; turn <= 5; turn += 1) {
        await child.ask({ op: 'touch' })
        await vi.waitFor(() => expect(heard).toHaveLength(turn), { timeout: 2_000, interval: 2 })
      }
      expect(store.feed.healthy()).toBe(true)
    } finally {
      await child.close()
    }
  })

  it('waits for the lock of another process without blocking this one', async () => {
    const options = await newStore()
    const store = await open(options)
    const child = await startStoreChild(storeOptionsOf(options))
    try {
      await child.ask({ op: 'open' })
      const held = child.ask({ op: 'hold-lock', ms: 400 })
      await new Promise((resolve) => setTimeout(resolve, 150))
      let ticks = 0
      const ticking = setInterval(() => (ticks += 1), 5)
      const revision = await store.change('tokens', async (_trx, value) => await Promise.resolve(value))
      clearInterval(ticking)
      expect(await held).toBe('released')
      expect(revision).toBe(2)
      expect(ticks).toBeGreaterThan(3)
    } finally {
      await child.close()
    }
  })

  it('migrates once when several processes start at once', async () => {
    const options = await newStore()
    const children = await Promise.all([1, 2, 3].map(() => startStoreChild(storeOptionsOf(options))))
    try {
      const kinds = await Promise.all(children.map((child) => child.ask({ op: 'open' })))
      expect(kinds).toEqual([options.kind, options.kind, options.kind])
    } finally {
      await Promise.all(children.map((child) => child.close()))
    }
    const store = await open(options)
    const { rows } = await sql<{
      version: number
    }>`select version from schema_migrations order by version`.execute(store.db)
    expect(rows.map(({ version }) => version)).toEqual(migrations.map(({ version }) => version))
  })

  it('refuses a store that a newer version wrote, and changes nothing in it', async () => {
    const options = await newStore()
    const store = await open(options)
    const latest = migrations.at(-1)!.version
    await sql`insert into schema_migrations (version, name) values (${latest + 3}, 'later')`.execute(store.db)
    await expect(open(options)).rejects.toMatchObject({
      code: 'store_newer',
      message: expect.stringMatching(new RegExp(`version ${latest + 3}.*up to ${latest}`)) as string,
    })
  })

  it('leaves nothing behind of a migration that fails', async () => {
    const store = await open(await newStore())
    const latest = migrations.at(-1)!.version
    const steps = [
      ...migrations,
      {
        version: latest + 1,
        name: 'broken',
        async up(trx: Parameters<(typeof migrations)[0]['up']>[0]) {
          await sql`create table half_done (a integer)`.execute(trx)
          throw new Error('broken step')
        },
      },
    ]
    await expect(migrate(store.db, store.kind, steps)).rejects.toThrow('broken step')
    await expect(sql`select * from half_done`.execute(store.db)).rejects.toThrow(/half_done/)
    await migrate(store.db, store.kind)
  })

  it('answers a ping', async () => {
    const store = await open(await newStore())
    await expect(store.ping()).resolves.toBeUndefined()
  })
})

describe('store on sqlite, the file', () => {
  it('is made for its owner only, with every file beside it', async () => {
    const file = join(dir, 'modes', 'deep', 'postern.db')
    const store = await open({ kind: 'sqlite', file })
    await insertToken(store.db, row('a'))
    expect((await stat(join(dir, 'modes', 'deep'))).mode & 0o777).toBe(0o700)
    for (const name of ['postern.db', 'postern.db-wal', 'postern.db-shm']) {
      expect((await stat(join(dir, 'modes', 'deep', name))).mode & 0o777).toBe(0o600)
    }
  })

  it('narrows the mode of a file that was there', async () => {
    const file = join(dir, 'wide', 'postern.db')
    await mkdir(join(dir, 'wide'))
    await writeFile(file, '')
    await chmod(file, 0o666)
    await open({ kind: 'sqlite', file })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('uses WAL, full synchronisation and foreign keys', async () => {
    const store = await open(await newSqlite())
    const pragma = async (name: string): Promise<unknown> =>
      Object.values(
        (await sql.raw<Record<string, unknown>>(`PRAGMA ${name}`).execute(store.db)).rows[0] ?? {},
      )[0]
    expect(await pragma('journal_mode')).toBe('wal')
    expect(await pragma('synchronous')).toBe(2)
    expect(await pragma('foreign_keys')).toBe(1)
  })

  it('says that a file is not a database', async () => {
    const file = join(dir, 'not-a-database')
    await writeFile(file, 'this is a letter to my aunt\n'.repeat(100))
    await expect(open({ kind: 'sqlite', file })).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('is not a SQLite database') as string,
    })
  })

  it('says that a directory is in the way, or a file where a directory belongs', async () => {
    await mkdir(join(dir, 'directory.db'))
    await expect(open({ kind: 'sqlite', file: join(dir, 'directory.db') })).rejects.toMatchObject({
      code: 'data_dir_unusable',
      message: expect.stringContaining('it is a directory') as string,
    })
    await writeFile(join(dir, 'a-file'), '')
    await expect(open({ kind: 'sqlite', file: join(dir, 'a-file', 'postern.db') })).rejects.toMatchObject({
      code: 'data_dir_unusable',
      message: expect.stringContaining('part of its path is a file') as string,
    })
  })

  it.runIf(existsSync('/proc/self'))('says that a path cannot be written', async () => {
    await expect(open({ kind: 'sqlite', file: '/proc/self/postern.db' })).rejects.toMatchObject({
      code: 'data_dir_unusable',
    })
  })

  it('says that the disk is full, keeps what was there and goes on when there is room', async () => {
    const store = await open(await newSqlite())
    const pages = (await sql<{ page_count: number }>`PRAGMA page_count`.execute(store.db)).rows[0]!.page_count
    await sql.raw(`PRAGMA max_page_count = ${pages}`).execute(store.db)
    const big = Array.from({ length: 900 }, (_, i) => row(`tok_${i}`))
    await expect(
      store.change('tokens', async (trx) => {
        await insertTokens(trx, big)
      }),
    ).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('disk is full') as string,
    })
    expect(await hasTokens(store.db)).toBe(false)
    await sql.raw('PRAGMA max_page_count = 100000').execute(store.db)
    await store.change('tokens', async (trx) => {
      await insertTokens(trx, big)
    })
    expect(await countValidTokens(store.db, 0)).toBe(900)
  })

  it('trusts nothing any more when its file was replaced', async () => {
    const file = join(dir, 'replaced', 'postern.db')
    const store = await open({ kind: 'sqlite', file })
    await rename(file, `${file}.old`)
    await vi.waitFor(() => expect(store.feed.healthy()).toBe(false), { timeout: 5_000 })
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(observations.filter(({ kind }) => kind === 'store.feed_lost')).toHaveLength(1)
  })
})

describe('store on postgres, the connection', () => {
  it('says that the server cannot be reached, the password is wrong, the database is missing', async () => {
    const server = await testPostgres()
    const { user } = server.superuser
    const attempt = (url: string) => open({ kind: 'postgres', url: new Secret(url) })
    await expect(attempt('postgres://nobody:x@127.0.0.1:1/none')).rejects.toMatchObject({
      code: 'store_unavailable',
      message: 'the PostgreSQL store: it cannot be reached',
    })
    const wrong = attempt(`postgres://${user}:s3cr3t-wrong@${server.host}:${server.port}/postgres`)
    await expect(wrong).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(wrong).rejects.not.toThrow(/s3cr3t/)
    await expect(attempt(server.url('no_such_database'))).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('no database of that name') as string,
    })
  })

  it('reconnects when the server ended its connection, and announces what it missed', async () => {
    const options = await newPostgres()
    const store = await open(options)
    const other = await open(options)
    const heard: string[] = []
    store.feed.subscribe((topic) => heard.push(topic))
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`.execute(other.db)
    await vi.waitFor(() =>
      expect(observations).toContainEqual(expect.objectContaining({ kind: 'store.feed_lost' })),
    )
    await other.change('tokens', async () => {})
    await vi.waitFor(() => expect(heard).toEqual(['tokens']), { timeout: 5_000 })
    await vi.waitFor(() => expect(store.feed.healthy()).toBe(true), { timeout: 5_000 })
    expect(observations).toContainEqual({ kind: 'store.feed_restored' })
    await store.ping()
  })

  it('notices a connection that went silent, is unhealthy meanwhile, and catches up', async () => {
    const options = await newPostgres()
    if (options.kind !== 'postgres') throw new Error('not reached')
    const url = new URL(options.url.reveal())
    const wall = await startWall(Number(url.port))
    const direct = await open(options)
    url.port = String(wall.port)
    const store = await open({ kind: 'postgres', url: new Secret(url.href) })
    const heard: string[] = []
    store.feed.subscribe((topic) => heard.push(topic))
    try {
      wall.silence(true)
      await direct.change('tokens', async () => {})
      await vi.waitFor(() => expect(store.feed.healthy()).toBe(false), { timeout: 5_000 })
      expect(heard).toEqual([])
      wall.silence(false)
      await vi.waitFor(() => expect(store.feed.healthy()).toBe(true), { timeout: 15_000 })
      expect(heard).toEqual(['tokens'])
      await direct.change('tokens', async () => {})
      await vi.waitFor(() => expect(heard).toEqual(['tokens', 'tokens']), { timeout: 2_000 })
    } finally {
      await store.close()
      opened = opened.filter((one) => one !== store)
      await wall.close()
    }
  })
})

/** A TCP relay that can swallow everything without closing anything, as a lost network does. */
async function startWall(target: number) {
  let silent = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => {
        if (!silent) to.write(chunk)
      })
      from.on('error', () => to.destroy())
      from.on('close', () => {
        to.destroy()
        sockets.delete(from)
      })
    }
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    silence(on: boolean) {
      silent = on
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
