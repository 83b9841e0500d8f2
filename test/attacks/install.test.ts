import { chmod, chown, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withFileLock } from '../../src/identity/files/lock.ts'
import { postern, workFolder } from '../support/postern.ts'

const isRoot = process.geteuid?.() === 0
const OTHER = 61_234

let dir: string
let root: string
let remove: () => Promise<void>
beforeEach(async () => {
  ;({ dir, remove } = await workFolder())
  root = join(dir, 'image')
  await mkdir(join(root, 'etc'), { recursive: true })
  await mkdir(join(dir, 'outside'))
})
afterEach(() => remove())

const install = () => postern(['install', '--root', root, '--json'], { cwd: dir })

describe('an image that somebody else has laid out', () => {
  it.each([
    ['etc/postern', 'etc/postern'],
    ['etc/systemd', 'etc/systemd'],
    ['var', 'var'],
    ['var/lib', 'var/lib'],
  ])('has nothing written through %s, which is a link that leads out of it', async (_, place) => {
    await rm(join(root, place), { recursive: true, force: true })
    await mkdir(join(root, place, '..'), { recursive: true })
    await symlink(join(dir, 'outside'), join(root, place))
    const said = await install()
    expect(said.code, said.stdout + said.stderr).toBe(1)
    expect(said.stdout).toMatch(/is a link, and leads out of[^]*"code": "file_not_written"/)
    expect(await readdir(join(dir, 'outside'))).toEqual([])
    // All or nothing.
    expect(await lstat(join(root, 'etc/postern/jwt.secret')).catch(() => null)).toBeNull()
  })

  it('has the mode of no file changed that a link leads to', async () => {
    await writeFile(join(dir, 'outside', 'passwd'), 'root:x:0:0\n', { mode: 0o644 })
    await chmod(join(dir, 'outside', 'passwd'), 0o644)
    await mkdir(join(root, 'etc/postern'))
    for (const name of ['jwt.secret', 'postern.yaml'])
      await symlink(join(dir, 'outside', 'passwd'), join(root, 'etc/postern', name))
    await install()
    expect((await stat(join(dir, 'outside', 'passwd'))).mode & 0o777).toBe(0o644)
    expect(await readFile(join(dir, 'outside', 'passwd'), 'utf8')).toBe('root:x:0:0\n')
  })

  it.runIf(isRoot)('keeps no secret in a directory of another user, who would know it', async () => {
    await mkdir(join(root, 'etc/postern'))
    await writeFile(join(root, 'etc/postern/jwt.secret'), Buffer.alloc(64, 7), { mode: 0o640 })
    await chown(join(root, 'etc/postern'), OTHER, OTHER)
    const said = await install()
    expect(said.code).toBe(1)
    expect(said.stdout).toMatch(/belongs to another user \(61234\)/)
  })
})

describe.runIf(isRoot)('a lock that a root shell holds', () => {
  it('is waited for by the service, which cannot read whose it is', async () => {
    const file = join(dir, 'tokens.yaml')
    await chown(dir, OTHER, OTHER)
    await writeFile(`${file}.lock`, 'elsewhere 1\n', { mode: 0o600 })
    process.setegid?.(OTHER)
    process.seteuid?.(OTHER)
    try {
      const done = withFileLock(file, () => Promise.resolve('done'))
      setTimeout(() => void rm(`${file}.lock`), 50)
      expect(await done).toBe('done')
    } finally {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
  })
})
