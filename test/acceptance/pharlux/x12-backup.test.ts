import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { copyFile, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import BetterSqlite3 from 'better-sqlite3'
import { Client } from 'pg'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import type { StoreOptions } from '../../../src/store/open.ts'
import { fillRecord } from '../../support/big-record.ts'
import { configurationText, type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask, type Finished, postern, type Serving, serve, workFolder } from '../../support/postern.ts'
import { testPostgres } from '../../support/postgres.ts'

const WAIT = { timeout: 25_000, interval: 20 }
const STEADY = 'steady-administrator-token'
const PASSWORD = 'a quite good password'
const LATER = 'another quite good one'
const SEALED = 'the-credential-of-a-principal-for-wiki'
const POSTERN = fileURLToPath(new URL('../../../bin/postern', import.meta.url))

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** `store` of a configuration: the default file, or a database of its own. */
async function newStore(kind: string): Promise<string | undefined> {
  if (kind === 'sqlite') return undefined
  const database = await (await testPostgres()).createDatabase()
  closers.push(() => database.drop())
  return database.url
}

const configurationFor = (store: string | undefined): Record<string, unknown> => ({
  ...(store === undefined ? {} : { store }),
  auth: { tokens: { steady: { value: STEADY, level: 'admin' } }, tokenFile: './tokens.yaml' },
  mcpServers: {
    wiki: { url: 'http://127.0.0.1:9/mcp', userCredential: { header: 'X-Key' }, level: 'read-only' },
  },
})

async function ok<T = Record<string, unknown>>(finished: Promise<Finished>): Promise<T> {
  const { code, stdout, stderr } = await finished
  expect(code, stdout + stderr).toBe(0)
  return JSON.parse(stdout) as T
}

const failed = async (finished: Promise<Finished>): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await finished
  expect(code, stdout + stderr).toBe(1)
  return JSON.parse(stdout) as Record<string, unknown>
}

const login = (url: string, username: string, password: string, tenant?: string) =>
  ask(`${url}/api/v1/auth/login`, null, {
    json: { username, password, ...(tenant === undefined ? {} : { tenant_id: tenant }) },
  })

const jwtOf = async (...args: Parameters<typeof login>): Promise<string> => {
  const { status, body } = await login(...args)
  expect(status, JSON.stringify(body)).toBe(200)
  return (body as { token: string }).token
}

const statusOf = async (url: string, token: string): Promise<number> =>
  (await ask(`${url}/mcp/tools`, token)).status

/** A gateway with one of everything, and the values that open it. */
async function lived(kind: string) {
  const gateway = await startGateway({
    admin: STEADY,
    configuration: configurationFor(await newStore(kind)),
  })
  const { url, dir } = gateway
  const run = (...args: string[]): Promise<Finished> => postern([...args, '--json'], { cwd: dir })
  await ok(run('user', 'add', '--username', 'alice', '--admin', '--password', PASSWORD))
  await ok(run('user', 'add', '--username', 'bob', '--tenant', 'acme', '--password', PASSWORD))
  await ok(run('user', 'add', '--username', 'carol', '--tenant', 'gone', '--password', PASSWORD))
  await ok(run('user', 'add', '--username', 'eve', '--password', PASSWORD))
  const inFile = await ok<{ token: string }>(
    run('token', 'add', '--note', 'in file', '--into', 'token-file', '--expiry', '30d'),
  )
  const kept = await gateway.issue({ note: 'kept' })
  const removed = await gateway.issue({ note: 'removed later' })
  const put = await ask(`${url}/api/v1/servers/wiki/credential`, kept.token, {
    method: 'PUT',
    json: { value: SEALED },
  })
  expect(put.status, JSON.stringify(put.body)).toBeLessThan(300)
  return { gateway, run, kept, removed, inFile, jwtBefore: await jwtOf(url, 'alice', PASSWORD) }
}

describe.each(['sqlite', 'postgres'])('the restore drill on %s', (kind) => {
  it('X12 brings users, tokens, tenants, sealed credentials and the record back, and no JWT', async () => {
    const { gateway, run, kept, removed, inFile, jwtBefore } = await lived(kind)
    closers.push(() => gateway.close())
    const { url, dir } = gateway

    const backup = await ok(run('backup', '--output', 'monday.db'))
    expect(backup).toMatchObject({
      file: join(dir, 'monday.db'),
      store: kind,
      tables: { users: 4, tenants: 3, upstream_credentials: 1 },
      token_file: true,
      recorded: true,
    })
    expect((await stat(join(dir, 'monday.db'))).mode & 0o777).toBe(0o600)
    // No value that opens anything, and no secret file.
    const bytes = readFileSync(join(dir, 'monday.db'))
    const secrets = ['jwt.secret', 'secret.key'].map((name) => readFileSync(join(dir, '.postern', name)))
    for (const value of [...secrets, kept.token, inFile.token, jwtBefore, SEALED, PASSWORD, STEADY]) {
      expect(bytes.includes(value), String(value)).toBe(false)
    }
    for (const secret of secrets) {
      expect(bytes.includes(secret.toString('base64'))).toBe(false)
      expect(bytes.includes(secret.toString('hex'))).toBe(false)
    }
    await vi.waitFor(async () => {
      const { body } = await ask(`${url}/api/v1/admin/audit?tool=store.backup`, STEADY)
      expect((body as { entries: unknown[] }).entries).toEqual([
        expect.objectContaining({
          kind: 'administration',
          outcome: 'done',
          target: backup['digest'],
          who: expect.stringMatching(/^local:/) as string,
        }),
      ])
    }, WAIT)

    // Life goes on.
    expect((await ask(`${url}/api/v1/admin/tokens/${removed.id}`, STEADY, { method: 'DELETE' })).status).toBe(
      200,
    )
    const late = await gateway.issue({ note: 'late' })
    await ok(run('user', 'reset-password', '--username', 'alice', '--password', LATER))
    const eve = (await ok<{ id: string; username: string }[]>(run('user', 'list'))).find(
      ({ username }) => username === 'eve',
    )
    await ok(run('user', 'delete', '--user-id', eve?.id ?? ''))
    await ok(run('tenant', 'delete', 'gone', '--yes'))
    const jwtAfter = await jwtOf(url, 'alice', LATER)
    expect(await statusOf(url, jwtAfter)).toBe(200)

    // Not under a gateway that runs, not over what is there, and not half.
    expect(await failed(run('restore', 'monday.db', '--force'))).toMatchObject({ code: 'store_in_use' })
    expect(await statusOf(url, late.token)).toBe(200)
    await gateway.serving.stop()
    expect(await failed(run('restore', 'monday.db'))).toMatchObject({ code: 'store_not_empty' })
    const restored = await ok(run('restore', 'monday.db', '--force'))
    expect(restored).toMatchObject({
      users: 2,
      tokens: 1,
      sealed_credentials: 1,
      kept_revoked: { tokens: 1, users: 1, tenants: 1 },
      token_file: 'same',
      audit_intact: true,
    })

    const again = await serve(['serve'], { cwd: dir })
    closers.push(() => again.stop())
    expect(again.token, 'no first credential a second time').toBeNull()
    for (const jwt of [jwtBefore, jwtAfter]) expect(await statusOf(again.url, jwt)).toBe(401)
    expect((await login(again.url, 'alice', LATER)).status).toBe(401)
    const jwt = await jwtOf(again.url, 'alice', PASSWORD)
    expect(await statusOf(again.url, jwt)).toBe(200)
    expect((await ask(`${again.url}/api/v1/auth/me`, jwt)).body).toMatchObject({ username: 'alice' })
    expect(
      (await ask(`${again.url}/api/v1/auth/me`, await jwtOf(again.url, 'bob', PASSWORD, 'acme'))).body,
    ).toMatchObject({ tenant_id: 'acme' })
    expect(await statusOf(again.url, kept.token)).toBe(200)
    expect(await statusOf(again.url, inFile.token)).toBe(200)
    expect(await statusOf(again.url, late.token), 'issued after the backup').toBe(401)
    expect(await statusOf(again.url, removed.token), 'removed after the backup').toBe(401)
    expect((await login(again.url, 'eve', PASSWORD)).status, 'deleted after the backup').toBe(401)
    expect((await login(again.url, 'carol', PASSWORD, 'gone')).status).toBe(401)
    expect(await failed(run('tenant', 'add', 'gone'))).toMatchObject({ error: 'refused' })
    expect((await ask(`${again.url}/api/v1/servers/wiki/credential`, kept.token)).body).toMatchObject({
      present: true,
    })
    expect((await ask(`${again.url}/api/v1/admin/audit/verify`, STEADY)).body).toMatchObject({ intact: true })
    const { body } = await ask(`${again.url}/api/v1/admin/audit?kind=administration&limit=100`, STEADY)
    const acts = (body as { entries: { tool: string }[] }).entries.map(({ tool }) => tool)
    expect(acts.slice(0, 2), 'the last one is that of the tenant').toEqual(['tenant.add', 'store.restore'])
    expect(acts).toContain('user.add')
    expect(acts).not.toContain('user.delete')
    // What was restored can be changed, and the change is heard of.
    await ok(run('user', 'reset-password', '--username', 'alice', '--password', LATER))
    await vi.waitFor(async () => {
      expect(await statusOf(again.url, jwt)).toBe(401)
    }, WAIT)
  }, 120_000)

  it('X12 goes on to the other kind of store, into a place where there was none', async () => {
    const { gateway, run, kept, removed, inFile } = await lived(kind)
    closers.push(() => gateway.close())
    await ok(run('backup', '--output', 'moved.db'))
    const other = kind === 'sqlite' ? 'postgres' : 'sqlite'
    const { dir, remove } = await workFolder({
      'postern.yaml': configurationText(configurationFor(await newStore(other))),
    })
    closers.push(remove)
    await copyFile(join(gateway.dir, 'moved.db'), join(dir, 'moved.db'))
    // The file of secrets moves by itself, as the message says.
    await mkdir(join(dir, '.postern'))
    await copyFile(join(gateway.dir, '.postern', 'secret.key'), join(dir, '.postern', 'secret.key'))
    expect(await ok(postern(['restore', 'moved.db', '--json'], { cwd: dir }))).toMatchObject({
      users: 4,
      tokens: 2,
      token_file: 'restored',
      audit_intact: true,
      backup: { store: kind },
    })
    expect((await stat(join(dir, 'tokens.yaml'))).mode & 0o777).toBe(0o600)
    const there = await serve(['serve'], { cwd: dir })
    closers.push(() => there.stop())
    for (const { token } of [kept, removed, inFile]) expect(await statusOf(there.url, token)).toBe(200)
    await jwtOf(there.url, 'eve', PASSWORD)
    expect((await ask(`${there.url}/api/v1/servers/wiki/credential`, kept.token)).body).toMatchObject({
      present: true,
    })
    expect((await ask(`${there.url}/api/v1/admin/audit/verify`, STEADY)).body).toMatchObject({ intact: true })
    // And back again, the same rows.
    const second = await ok<{ tables: Record<string, number> }>(
      postern(['backup', '--output', 'back.db', '--json'], { cwd: dir }),
    )
    expect(second.tables).toMatchObject({ users: 4, tenants: 3, upstream_credentials: 1 })
  }, 120_000)
})

describe('a backup file', () => {
  const folder = async (): Promise<string> => {
    const { dir, remove } = await workFolder({ 'postern.yaml': configurationText({}) })
    closers.push(remove)
    return dir
  }
  const run = (dir: string, ...args: string[]): Promise<Finished> =>
    postern([...args, '--json'], { cwd: dir })

  it('X12 replaces no file without --force, and says why it cannot be written', async () => {
    const dir = await folder()
    expect(await failed(run(dir, 'backup', '--output', 'b.db'))).toMatchObject({ code: 'store_unavailable' })
    await ok(run(dir, 'user', 'add', '--username', 'alice', '--password', PASSWORD))
    await writeFile(join(dir, 'b.db'), 'precious')
    expect(await failed(run(dir, 'backup', '--output', 'b.db'))).toMatchObject({ code: 'file_exists' })
    expect(readFileSync(join(dir, 'b.db'), 'utf8')).toBe('precious')
    await ok(run(dir, 'backup', '--output', 'b.db', '--force'))
    expect((await stat(join(dir, 'b.db'))).mode & 0o777).toBe(0o600)
    expect(await failed(run(dir, 'backup', '--output', 'no/b.db'))).toMatchObject({
      code: 'file_not_written',
      message: expect.stringContaining('directory does not exist') as string,
    })
    expect((await run(dir, 'backup')).code).toBe(2)
    expect(readdirSync(dir).toSorted()).toEqual(['.postern', 'b.db', 'postern.yaml'])
  }, 60_000)

  it('X12 is refused when damaged, foreign or newer, and the store stays as it was', async () => {
    const dir = await folder()
    await ok(run(dir, 'user', 'add', '--username', 'alice', '--password', PASSWORD))
    await ok(run(dir, 'backup', '--output', 'b.db'))
    await ok(run(dir, 'user', 'add', '--username', 'later', '--password', PASSWORD))
    const refused = async (name: string): Promise<string> => {
      const { code, message } = await failed(run(dir, 'restore', name, '--force'))
      expect(code).toBe('backup_unusable')
      const names = await ok<{ username: string }[]>(run(dir, 'user', 'list'))
      expect(names.map(({ username }) => username)).toEqual(['alice', 'later'])
      return String(message)
    }
    const changed = async (name: string, change: (db: BetterSqlite3.Database) => void): Promise<string> => {
      await copyFile(join(dir, 'b.db'), join(dir, name))
      const database = new BetterSqlite3(join(dir, name))
      change(database)
      database.close()
      return await refused(name)
    }
    expect(await changed('role.db', (db) => db.exec(`update users set level = 'admin'`))).toMatch(/damaged/)
    expect(await changed('row.db', (db) => db.exec('delete from audit_entries'))).toMatch(/damaged/)
    expect(
      await changed('manifest.db', (db) =>
        db.exec(`update backup_manifest set text = replace(text, '"rows":1', '"rows":2')`),
      ),
    ).toMatch(/damaged/)
    expect(await changed('table.db', (db) => db.exec('drop table users'))).toMatch(/damaged/)
    const rewritten = (from: string | RegExp, to: string) => (db: BetterSqlite3.Database) => {
      const text = (db.prepare('select text from backup_manifest').pluck().get() as string).replace(from, to)
      const digest = createHash('sha256').update(text).digest('hex')
      db.prepare('update backup_manifest set text = ?, digest = ?').run(text, digest)
    }
    expect(await changed('schema.db', rewritten(/"schema_version":\d+/, '"schema_version":999'))).toMatch(
      /newer Postern/,
    )
    expect(await changed('format.db', rewritten('"format":1', '"format":2'))).toMatch(/newer Postern/)
    const bytes = readFileSync(join(dir, 'b.db'))
    await writeFile(join(dir, 'short.db'), bytes.subarray(0, bytes.length - 8_192))
    expect(await refused('short.db')).toMatch(/damaged/)
    await writeFile(join(dir, 'text.db'), 'hello')
    expect(await refused('text.db')).toMatch(/no backup of Postern/)
    await copyFile(join(dir, '.postern', 'postern.db'), join(dir, 'store.db'))
    expect(await refused('store.db')).toMatch(/no backup of Postern/)
    expect(await refused('missing.db')).toMatch(/is not there/)
    expect((await ok(run(dir, 'audit', 'verify')))['intact']).toBe(true)
  }, 120_000)

  it('X12 of a full disk there is none, and the next run finds nothing in its way', async () => {
    const dir = await folder()
    await ok(run(dir, 'user', 'add', '--username', 'alice', '--password', PASSWORD))
    // The index of the store's WAL takes 32 KiB.
    for (const limit of [40_000, 100_000]) {
      const { code, stdout } = await postern(['backup', '--output', 'b.db', '--json'], {
        cwd: dir,
        through: ['prlimit', `--fsize=${limit}:unlimited`],
      })
      expect([limit, code, stdout]).toEqual([limit, 1, expect.stringContaining('file_not_written')])
      expect(stdout).toContain('disk is full')
      expect(readdirSync(dir).toSorted()).toEqual(['.postern', 'postern.yaml'])
    }
    await ok(run(dir, 'backup', '--output', 'b.db'))
  }, 60_000)
})

const runs = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null

/** Starts a command and kills it as soon as `when` says so. Answers whether that was before its end. */
async function killed(dir: string, args: readonly string[], when: () => boolean): Promise<boolean> {
  // The Node of this test, so that no launcher stands between.
  const child = spawn(process.execPath, [POSTERN, ...args], {
    cwd: dir,
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: dir },
  })
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  while (runs(child) && !when()) await new Promise((next) => setTimeout(next, 1))
  child.kill('SIGKILL')
  const [, signal] = await exited
  return signal === 'SIGKILL'
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

describe('SIGKILL', () => {
  it('X12 in the middle of a backup leaves no file of that name, and no leftover after the next', async () => {
    const { dir, remove } = await workFolder({ 'postern.yaml': configurationText({}) })
    closers.push(remove)
    await fillRecord({ kind: 'sqlite', file: join(dir, '.postern', 'postern.db') }, 60_000)
    const partial = (): string | undefined => readdirSync(dir).find((name) => name.endsWith('.partial'))
    let kills = 0
    for (const bytes of [0, 1, 5_000_000, 20_000_000]) {
      const wasKilled = await killed(dir, ['backup', '--output', 'b.db'], () => {
        const name = partial()
        return name !== undefined && sizeOf(join(dir, name)) >= bytes
      })
      if (wasKilled) kills += 1
      expect(existsSync(join(dir, 'b.db'))).toBe(!wasKilled)
      expect(readdirSync(dir).filter((name) => name.endsWith('.partial')).length).toBeLessThan(2)
      await rm(join(dir, 'b.db'), { force: true })
    }
    expect(kills).toBeGreaterThan(2)
    expect(partial()).toBeDefined()
    await ok(postern(['backup', '--output', 'b.db', '--json'], { cwd: dir }))
    expect(readdirSync(dir).toSorted()).toEqual(['.postern', 'b.db', 'postern.yaml'])
    expect((await ok(postern(['audit', 'verify', '--json'], { cwd: dir })))['intact']).toBe(true)
  }, 120_000)

  it.each(['sqlite', 'postgres'])(
    'X12 in the middle of a restore leaves one store or the other, whole: %s',
    async (kind) => {
      const store = await newStore(kind)
      const { dir, remove } = await workFolder({ 'postern.yaml': configurationText(store ? { store } : {}) })
      closers.push(remove)
      const file = join(dir, '.postern', 'postern.db')
      const options: StoreOptions =
        store === undefined ? { kind: 'sqlite', file } : { kind: 'postgres', url: new Secret(store) }
      const run = (...args: string[]): Promise<Finished> => postern([...args, '--json'], { cwd: dir })
      await ok(run('user', 'add', '--username', 'old', '--password', PASSWORD))
      await fillRecord(options, 30_000)
      await ok(run('backup', '--output', 'old.db'))
      await ok(run('user', 'add', '--username', 'new', '--password', PASSWORD))
      const namesNow = async (): Promise<readonly string[]> =>
        (await ok<{ username: string }[]>(run('user', 'list'))).map(({ username }) => username)
      let kills = 0
      let replaced = 0
      for (const progress of [1, 3, 6, 12]) {
        const startedAt = performance.now()
        const wasKilled = await killed(dir, ['restore', 'old.db', '--force'], () =>
          kind === 'sqlite'
            ? sizeOf(`${file}-wal`) >= progress * 1_000_000
            : performance.now() - startedAt > 300 + progress * 150,
        )
        if (wasKilled) kills += 1
        const names = await namesNow()
        if (names.length === 1) replaced += 1
        expect([['old', 'new'], ['old']]).toContainEqual(names)
        const verified = await ok<{ intact: boolean; checked: number }>(run('audit', 'verify'))
        expect(verified.intact).toBe(true)
        expect(verified.checked).toBeGreaterThan(30_000)
        if (!wasKilled) expect(names).toEqual(['old'])
        if (replaced > 0) break
      }
      expect(kills).toBeGreaterThan(0)
      await ok(run('restore', 'old.db', '--force'))
      expect(await namesNow()).toEqual(['old'])
    },
    180_000,
  )
})

describe('a large record', () => {
  it('X12 is copied, and brought back, in bounded memory', async () => {
    const { dir, remove } = await workFolder({ 'postern.yaml': configurationText({}) })
    closers.push(remove)
    const options: StoreOptions = { kind: 'sqlite', file: join(dir, '.postern', 'postern.db') }
    const peak = async (...args: string[]): Promise<number> => {
      // What is garbage only because nobody has collected it yet would hide what is not.
      const child = spawn(
        process.execPath,
        ['--max-old-space-size=64', '--max-semi-space-size=2', POSTERN, ...args],
        { cwd: dir, stdio: 'ignore' },
      )
      const exited = once(child, 'exit')
      let most = 0
      while (runs(child)) {
        try {
          const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8')
          most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024)
        } catch {
          // It has just ended.
        }
        await new Promise((next) => setTimeout(next, 2))
      }
      expect(await exited).toEqual([0, null])
      return most
    }
    await fillRecord(options, 500)
    const small = await peak('backup', '--output', 'small.db')
    const smallBack = await peak('restore', 'small.db', '--force')
    await fillRecord(options, 150_000)
    const large = await peak('backup', '--output', 'large.db')
    const largeBack = await peak('restore', 'large.db', '--force')
    expect(sizeOf(join(dir, 'large.db')) / 1_048_576).toBeGreaterThan(80)
    expect(large - small).toBeLessThan(70)
    expect(largeBack - smallBack).toBeLessThan(70)
  }, 180_000)
})

describe('a PostgreSQL store that is restored under a gateway which could not be seen', () => {
  it('X12 is not used by it any more, because what it remembers is of another store', async () => {
    const store = await newStore('postgres')
    const gateway: RunningGateway = await startGateway({
      admin: STEADY,
      configuration: configurationFor(store),
    })
    closers.push(() => gateway.close())
    const serving: Pick<Serving, 'url'> = gateway
    await ok(postern(['backup', '--output', 'b.db', '--json'], { cwd: gateway.dir }))
    const late = await gateway.issue({ note: 'late' })
    expect(await statusOf(serving.url, late.token)).toBe(200)
    // As a pooler would that hands out other connections: the lock is let go of, the gateway goes on.
    const client = new Client({ connectionString: store })
    await client.connect()
    closers.push(() => client.end())
    const restoring = (async () => {
      for (;;) {
        await client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern-feed' AND datname = current_database()`,
        )
        const restored = await postern(['restore', 'b.db', '--force', '--json'], { cwd: gateway.dir })
        if (restored.code === 0) return
        expect(restored.stdout).toContain('store_in_use')
      }
    })()
    const stop = new AbortController()
    const breaking = (async () => {
      while (!stop.signal.aborted) {
        await client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postern-feed' AND datname = current_database()`,
        )
        await new Promise((next) => setTimeout(next, 20))
      }
    })()
    await restoring
    stop.abort()
    await breaking
    await vi.waitFor(async () => {
      expect(await statusOf(serving.url, late.token)).toBe(503)
    }, WAIT)
    expect((await ask(`${serving.url}/health/ready`, null)).status).toBe(503)
    expect(gateway.log().some(({ msg, problem }) => /restored/.test(`${msg} ${String(problem)}`))).toBe(true)
  }, 90_000)
})
