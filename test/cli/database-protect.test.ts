import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tenantKey } from '../../src/databases/tenancy/tenant-key.ts'
import { tenantRoles } from '../../src/databases/tenancy/tenant-roles.ts'
import { readKeyFile } from '../../src/lib/key-file.ts'
import { snapshotOf } from '../support/database-snapshot.ts'
import { testPostgres, type TestDatabase } from '../support/postgres.ts'
import { type Outcome, postern, scratch } from './postern.ts'

const { dir, remove } = scratch()
const prefix = `c${randomBytes(5).toString('hex')}`
let database: TestDatabase
let admin: Client
let before: Record<string, unknown[]>

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  admin = new Client({ connectionString: database.url })
  await admin.connect()
  await admin.query(`
    CREATE TABLE orders (n int PRIMARY KEY, tenant_id text NOT NULL); INSERT INTO orders VALUES (1, 'default'), (2, 'harbour');
    CREATE TABLE countries (code text); CREATE TABLE notes (n int); GRANT SELECT ON notes TO PUBLIC`)
  before = await snapshotOf(admin, prefix)
  const shop = { name: 'shop', url: database.readerUrl, tenancy: { rolePrefix: prefix } }
  const settings = { dataDir: join(dir, 'data'), databases: [shop] }
  writeFileSync(join(dir, 'postern.yaml'), JSON.stringify(settings), { mode: 0o600 })
  await postern(['tenant', 'add', 'harbour'], { cwd: dir })
})

afterAll(async () => {
  await admin.end()
  await database.drop()
  const cleaner = new Client({ connectionString: (await testPostgres()).url() })
  await cleaner.connect()
  const { rows } = await cleaner.query<{ name: string }>(
    'SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, $1)',
    [prefix],
  )
  for (const { name } of rows) await cleaner.query(`DROP ROLE ${name}`)
  await cleaner.end()
  remove()
})

const protect = (args: readonly string[], how: { readonly input?: string; readonly url?: string } = {}) =>
  postern(['database', 'protect', ...args], {
    cwd: dir,
    env: { POSTERN_DATABASE_ADMIN_URL: how.url ?? database.url },
    ...(how.input === undefined ? {} : { input: how.input }),
  })

const rowsOf = async (tenant: string): Promise<unknown> => {
  const key = await readKeyFile(join(dir, 'data', 'secret.key'))
  if (key === null) throw new Error('no key')
  const { name, password } = tenantRoles(tenantKey(key), prefix).of(tenant, 'read')
  const { host, port } = await testPostgres()
  const client = new Client({ host, port, database: database.name, user: name, password: password.reveal() })
  await client.connect()
  try {
    return (await client.query('SELECT n FROM orders')).rows
  } finally {
    await client.end()
  }
}

const acts = async (): Promise<readonly unknown[]> => {
  const { stdout } = await postern(['audit', 'search', '--json'], { cwd: dir })
  const entries = JSON.parse(stdout) as readonly { tool: string | null; outcome: string; target: string }[]
  return entries
    .filter(({ tool }) => tool?.startsWith('database.') === true)
    .map(({ tool, outcome, target }) => `${tool} ${outcome} ${target}`)
}

const refused = ({ code, stdout }: Outcome): unknown => [code, (JSON.parse(stdout) as { code: string }).code]

describe('postern database protect', () => {
  it('X8 prints SQL that can be read and run, warns, and changes nothing', async () => {
    const { code, stdout, stderr } = await protect(['shop', '--shared', 'countries'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^-- Protects database \S+ \(postern database protect\)\nBEGIN;\n/)
    expect(stdout).toMatch(/\n-- the roles of tenant harbour\n/)
    expect(stdout).toMatch(/\nCOMMIT;\n$/)
    expect(stderr).toContain('PUBLIC may use these')
    expect(stderr).toContain('  public.notes')
    expect(stderr).toContain('Nothing was changed')
    expect(await snapshotOf(admin, prefix)).toEqual(before)
    // The same each time, so that it can be kept and compared; and no password is in it.
    expect((await protect(['shop', '--shared', 'countries'])).stdout).toBe(stdout)
    expect(stdout).not.toMatch(/PASSWORD '(?!SCRAM-SHA-256\$)/)
  })

  it('gives one JSON document', async () => {
    const { code, stdout } = await protect(['shop', '--shared', 'countries', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      database: 'shop',
      applied: false,
      statements: expect.arrayContaining([
        { sql: `CREATE SCHEMA "${prefix}"`, why: 'a schema of its own for what Postern keeps here' },
      ]) as unknown,
      warnings: [{ code: 'public_access', about: ['public.notes'] }, { code: 'unique_key' }],
    })
  })

  it('asks before it runs anything, and takes no for an answer', async () => {
    for (const input of ['no\n', '\n', '']) {
      expect((await protect(['shop', '--apply'], { input })).code).toBe(1)
    }
    expect(refused(await protect(['shop', '--apply', '--json'], { input: 'perhaps\n' }))).toEqual([
      1,
      'invalid_answer',
    ])
    expect(await snapshotOf(admin, prefix)).toEqual(before)
    expect(await acts()).toEqual([])
  })

  it('X8 protects, again, and takes it back; each is an entry of the audit', async () => {
    const first = await protect(['shop', '--shared', 'countries', '--apply'], { input: 'yes\n' })
    expect(first.stderr).toContain('Database "shop" is protected.')
    expect([await rowsOf('default'), await rowsOf('harbour')]).toEqual([[{ n: 1 }], [{ n: 2 }]])
    const protectedOnce = await snapshotOf(admin, prefix)
    expect((await protect(['shop', '--apply', '--yes', '--json'])).stdout).toContain('"applied": true')
    expect(await snapshotOf(admin, prefix)).toEqual(protectedOnce)
    const undone = await protect(['shop', '--undo', '--apply', '--yes'])
    expect(undone.code).toBe(0)
    expect(undone.stderr).toContain('Take "tenancy" of it out of the configuration and restart')
    expect(await snapshotOf(admin, prefix)).toEqual(before)
    expect(await acts()).toEqual([
      'database.unprotect done shop',
      'database.protect done shop',
      'database.protect done shop',
    ])
  })

  it('taken back and protected anew after the key was lost, leaves no role that the old key opens', async () => {
    const logins = async (): Promise<readonly string[]> => {
      const named = 'SELECT rolname AS name FROM pg_roles WHERE rolcanlogin AND starts_with(rolname, $1)'
      const { rows } = await admin.query<{ name: string }>(named, [prefix])
      return rows.map(({ name }) => name).toSorted()
    }
    const run = async (...args: string[]): Promise<void> => {
      expect((await protect(['shop', ...args, '--apply', '--yes'])).code).toBe(0)
    }
    await run('--shared', 'countries')
    const first = await logins()
    rmSync(join(dir, 'data', 'secret.key'))
    await run('--undo')
    expect(await logins()).toEqual([])
    await run('--shared', 'countries')
    expect(await rowsOf('harbour')).toEqual([{ n: 2 }])
    expect(await logins()).toHaveLength(first.length)
    expect((await logins()).filter((name) => first.includes(name))).toEqual([])
    await run('--undo')
    expect(await snapshotOf(admin, prefix)).toEqual(before)
  })

  it('can be run with psql instead: the printed text does the same', async () => {
    const { stdout } = await protect(['shop', '--shared', 'countries'])
    await admin.query(stdout)
    expect(await rowsOf('harbour')).toEqual([{ n: 2 }])
    await admin.query((await protect(['shop', '--undo'])).stdout)
    expect(await snapshotOf(admin, prefix)).toEqual(before)
  })

  it('says what PostgreSQL refuses, changes nothing, and records that it failed', async () => {
    const failed = await protect(['shop', '--apply', '--yes', '--json'], { url: database.writerUrl })
    expect(refused(failed)).toEqual([1, 'sql_failed'])
    expect(failed.stdout).toContain('permission denied')
    expect(await snapshotOf(admin, prefix)).toEqual(before)
    expect((await acts())[0]).toBe('database.protect failed shop')
  })

  it('says what is wrong with what it was given', async () => {
    expect(refused(await protect(['nothing', '--json']))).toEqual([1, 'unknown_database'])
    expect(refused(await protect(['shop', '--json'], { url: '' }))).toEqual([1, 'admin_needed'])
    expect(refused(await protect(['shop', '--json'], { url: 'postgres://:secret-word@x/y' }))).toEqual([
      1,
      'admin_needed',
    ])
    expect(refused(await protect(['shop', '--undo', '--json']))).toEqual([1, 'not_protectable'])
    expect(refused(await protect(['shop', '--table', 'nothing', '--json']))).toEqual([1, 'not_protectable'])
    expect(refused(await protect(['shop', '--undo', '--table', 'orders', '--json']))).toEqual([2, 'usage'])
    expect(refused(await protect(['shop', '--yes', '--json']))).toEqual([2, 'usage'])
    expect(refused(await protect(['shop', '--key-column', 'orders', '--json']))).toEqual([2, 'invalid_value'])
    const away = await protect(['shop', '--json'], { url: 'postgres://admin:secret-word@127.0.0.1:1/shop' })
    expect(refused(away)).toEqual([1, 'database_unavailable'])
    expect(away.stdout + away.stderr).not.toContain('secret-word')
  })
})
