import { chmod, chown, copyFile, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configurationText } from '../support/gateway.ts'
import { type Finished, postern, workFolder } from '../support/postern.ts'

const PASSWORD = 'a quite good password'

let dir: string
let remove: () => Promise<void>
const run = (...args: readonly string[]): Promise<Finished> => postern([...args, '--json'], { cwd: dir })

beforeAll(async () => {
  ;({ dir, remove } = await workFolder({
    'postern.yaml': configurationText({ auth: { tokenFile: './tokens.yaml' } }),
  }))
  for (const username of ['alice', 'bob'])
    expect((await run('user', 'add', '--username', username, '--password', PASSWORD)).code).toBe(0)
  expect((await run('backup', '--output', 'good.db')).code).toBe(0)
})
afterAll(() => remove?.())

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

interface Manifest {
  readonly tables: { readonly name: string; rows: number; digest: string }[]
  files: unknown[]
}

/** A copy of a good backup that somebody has worked on; whoever can write a file can write its digests, too. */
async function crafted(
  name: string,
  work: (database: BetterSqlite3.Database, manifest: Manifest) => void,
): Promise<string> {
  const file = join(dir, name)
  await copyFile(join(dir, 'good.db'), file)
  const database = new BetterSqlite3(file)
  const text = database.prepare('select text from backup_manifest').pluck().get() as string
  const manifest = JSON.parse(text) as Manifest
  work(database, manifest)
  const changed = JSON.stringify(manifest)
  database.prepare('update backup_manifest set text = ?, digest = ?').run(changed, sha256(changed))
  database.close()
  return name
}

const namesNow = async (): Promise<readonly string[]> =>
  (JSON.parse((await run('user', 'list')).stdout) as { username: string }[]).map(({ username }) => username)

const columnsOf = (database: BetterSqlite3.Database, table: string): readonly string[] =>
  database.prepare('select name from pragma_table_xinfo(?) where hidden = 0').pluck().all(table) as string[]

async function refused(name: string, names = ['alice', 'bob']): Promise<void> {
  const said = await run('restore', name, '--force')
  expect(said.code, said.stdout + said.stderr).toBe(1)
  expect(said.stdout + said.stderr).toContain('backup_unusable')
  expect(await namesNow()).toEqual(names)
}

describe('a backup that somebody has made for whoever restores it', () => {
  it('is let in as it was: otherwise nothing below would show anything', async () => {
    const name = await crafted('unchanged.db', () => undefined)
    expect((await run('restore', name, '--force')).code).toBe(0)
    expect(await namesNow()).toEqual(['alice', 'bob'])
  })

  it('runs no view in place of a table, which need not ever end', async () => {
    const name = await crafted('view.db', (database) => {
      const columns = columnsOf(database, 'users')
      database.pragma('foreign_keys = OFF')
      database.exec(`drop table users; create view users as
        with recursive c(rowid) as (select 1 union all select rowid + 1 from c)
        select rowid, ${columns.map((column) => `'x' || rowid as "${column}"`).join(', ')} from c`)
    })
    await refused(name)
  })

  it('has no view, trigger or virtual table beside its tables', async () => {
    for (const [at, sql] of [
      'create view beside as select 1',
      `create trigger beside after insert on users begin delete from tenants; end`,
      'create virtual table beside using fts5(x)',
    ].entries()) {
      await refused(await crafted(`beside-${at}.db`, (database) => database.exec(sql)))
    }
  })

  it('derives no column from others', async () => {
    const name = await crafted('derived.db', (database) => {
      database.exec(`drop table changes;
        create table changes (topic text primary key, base integer, revision integer as (length(zeroblob(base))))`)
      database.exec(`insert into changes (topic, base) values ('users', 500000000)`)
    })
    await refused(name)
  })

  it('has neither more rows than it says nor values beyond all measure', async () => {
    await refused(
      await crafted('more.db', (database) => {
        database.exec(`with recursive c(n) as (select 1 union all select n + 1 from c where n < 100000)
          insert into changes (topic, revision) select 'topic ' || n, n from c`)
      }),
    )
    await refused(
      await crafted('long.db', (database) => {
        database.prepare('update users set name = ?').run('x'.repeat(17 * 1_024 * 1_024))
      }),
    )
  })

  it('with a token file that is none changes nothing', async () => {
    const content = 'tokens: [not a token file\n'
    const name = await crafted('token-file.db', (database, manifest) => {
      manifest.files = [{ name: 'token-file', bytes: content.length, digest: sha256(content) }]
      database.prepare('insert into backup_files values (?, ?)').run('token-file', content)
    })
    expect((await run('user', 'add', '--username', 'carol', '--password', PASSWORD)).code).toBe(0)
    await refused(name, ['alice', 'bob', 'carol'])
    expect(await lstat(join(dir, 'tokens.yaml')).catch(() => null)).toBeNull()
  })
})

describe('where a backup is written', () => {
  it('a link under its name is neither followed nor written through', async () => {
    await writeFile(join(dir, 'precious'), 'precious\n')
    await symlink(join(dir, 'precious'), join(dir, 'linked.db'))
    const said = await run('backup', '--output', 'linked.db')
    expect(said.code).toBe(1)
    expect(said.stdout).toContain('file_exists')
    expect((await run('backup', '--output', 'linked.db', '--force')).code).toBe(0)
    expect((await lstat(join(dir, 'linked.db'))).isFile()).toBe(true)
    expect(await readFile(join(dir, 'precious'), 'utf8')).toBe('precious\n')
    await symlink(join(dir, 'made-by-a-link'), join(dir, 'dangling.db'))
    expect((await run('backup', '--output', 'dangling.db')).code).toBe(1)
    expect(await readdir(dir)).not.toContain('made-by-a-link')
  })

  it('everything is for its owner alone, whatever the umask', async () => {
    const said = await postern(['backup', '--output', 'open.db', '--json'], {
      cwd: dir,
      through: ['sh', '-c', 'umask 000; exec "$@"', 'sh', process.execPath],
    })
    expect(said.code, said.stderr).toBe(0)
    const restored = await postern(['restore', 'open.db', '--force', '--json'], {
      cwd: dir,
      through: ['sh', '-c', 'umask 000; exec "$@"', 'sh', process.execPath],
    })
    expect(restored.code, restored.stderr).toBe(0)
    for (const name of ['open.db', '.postern/postern.db'])
      expect((await stat(join(dir, name))).mode & 0o777, name).toBe(0o600)
  })

  it.runIf(process.geteuid?.() === 0)(
    'what others left in a directory that all share keeps nobody from it',
    async () => {
      const { dir: shared, remove: removeShared } = await workFolder()
      try {
        await chmod(shared, 0o1777)
        const { hostname } = await import('node:os')
        // Of a process that is gone, and of another user: it cannot be cleared away.
        const left = join(shared, `.b.db.${hostname()}.4194303.partial`)
        await writeFile(left, '')
        await chown(left, 61_235, 61_235)
        const { beginPartial } = await import('../../src/backup/partial-file.ts')
        process.seteuid?.(61_234)
        try {
          const partial = await beginPartial(join(shared, 'b.db'))
          await partial.publish(false)
        } finally {
          process.seteuid?.(0)
        }
        expect(await stat(join(shared, 'b.db'))).toMatchObject({ uid: 61_234, mode: 0o100600 })
      } finally {
        await removeShared()
      }
    },
  )
})
