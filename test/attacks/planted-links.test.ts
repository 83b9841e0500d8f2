import { chmod, chown, lstat, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { postern, workFolder } from '../support/postern.ts'

const isRoot = process.geteuid?.() === 0

/** The account of a service that was taken over: the data directory is its own. */
const SERVICE = 61_234

let dir: string
let data: string
let remove: () => Promise<void>
beforeEach(async () => {
  ;({ dir, remove } = await workFolder())
  data = join(dir, 'data')
  await mkdir(data, { mode: 0o750 })
  await chown(data, SERVICE, SERVICE)
  // A file of root's, as `/etc/shadow` is one.
  await writeFile(join(dir, 'shadow'), 'root:$y$j9T$a-hash-of-the-password-of-root:20000:0:99999:7:::\n', {
    mode: 0o640,
  })
})
afterEach(() => remove())

/** As the service would make it. */
async function plant(target: string, name: string): Promise<void> {
  await symlink(target, join(data, name))
  const { spawnSync } = await import('node:child_process')
  spawnSync('chown', ['-h', `${SERVICE}:${SERVICE}`, join(data, name)])
  expect((await lstat(join(data, name))).uid).toBe(SERVICE)
}

const asRoot = (...args: readonly string[]) =>
  postern([...args, '--config', join(dir, 'postern.yaml'), '--data-dir', data], { cwd: dir })

const configure = (text: string): Promise<void> => writeFile(join(dir, 'postern.yaml'), text)

async function shadowIsUntouched(): Promise<void> {
  const file = join(dir, 'shadow')
  expect(await readFile(file, 'utf8')).toMatch(/^root:\$y\$/)
  expect(await stat(file)).toMatchObject({ uid: 0, mode: 0o100640 })
}

describe.runIf(isRoot)('what the service has put into its directory for root to fall over', () => {
  it('root gives no file away that the ring is a link to', async () => {
    await configure('auth: { jwt: { algorithm: EdDSA } }\n')
    expect((await asRoot('key-ring', 'rotate')).code).toBe(0)
    await rm(join(data, 'jwt.key.ring'))
    await plant(join(dir, 'shadow'), 'jwt.key.ring')
    for (const more of [[], ['--now']]) {
      const said = await asRoot('key-ring', 'rotate', ...more)
      expect(said.code, said.stdout + said.stderr).toBe(1)
      expect(said.stderr).toMatch(/a link that another user has made/)
      expect(said.stdout + said.stderr).not.toContain('$y$')
    }
    await shadowIsUntouched()
  })

  it('root makes no file where a dangling link leads', async () => {
    await configure('auth: { jwt: { algorithm: EdDSA } }\n')
    for (const name of ['jwt.key', 'jwt.key.ring']) {
      await plant(join(dir, 'ld.so.preload'), name)
      expect((await asRoot('key-ring', 'rotate')).code).toBe(1)
      await rm(join(data, name))
    }
    expect(await lstat(join(dir, 'ld.so.preload')).catch(() => null)).toBeNull()
  })

  it('root takes no file of its own for a secret, and copies nothing of it into a ring', async () => {
    await configure(`auth: { jwt: { secretFile: ${join(data, 'jwt.secret')} } }\n`)
    await plant(join(dir, 'shadow'), 'jwt.secret')
    const said = await asRoot('key-ring', 'rotate')
    expect(said.code, said.stdout + said.stderr).toBe(1)
    expect(await readFile(join(data, 'jwt.secret.ring'), 'utf8').catch(() => '')).toBe('')
    await shadowIsUntouched()
  })

  it('root opens no store, and shuts no file, that a link leads to', async () => {
    await configure('{}\n')
    await chmod(join(dir, 'shadow'), 0o640)
    await plant(join(dir, 'shadow'), 'postern.db')
    const said = await asRoot('user', 'list')
    expect(said.code).toBe(1)
    expect(said.stderr).toMatch(/a link that another user has made/)
    await shadowIsUntouched()
  })

  it('a directory on the way is no link of the service either', async () => {
    await mkdir(join(dir, 'etc'))
    await plant(join(dir, 'etc'), 'keys')
    await configure(`auth: { jwt: { algorithm: EdDSA, keyFile: ${join(data, 'keys', 'jwt.key')} } }\n`)
    expect((await asRoot('key-ring', 'rotate')).code).toBe(1)
    expect(await lstat(join(dir, 'etc', 'jwt.key')).catch(() => null)).toBeNull()
  })

  it('links of root are followed, as an operator has made them', async () => {
    await mkdir(join(dir, 'elsewhere'))
    await symlink(join(dir, 'elsewhere', 'key'), join(data, 'jwt.key'))
    await configure('auth: { jwt: { algorithm: EdDSA } }\n')
    const said = await asRoot('key-ring', 'rotate')
    expect(said.code, said.stderr).toBe(0)
    expect((await stat(join(dir, 'elsewhere', 'key'))).mode & 0o777).toBe(0o600)
  })

  it('what root makes there belongs to the service', async () => {
    await configure('auth: { jwt: { algorithm: EdDSA } }\n')
    expect((await asRoot('key-ring', 'rotate')).code).toBe(0)
    const { makeKeyFile } = await import('../../src/lib/key-file.ts')
    await makeKeyFile(join(data, 'secret.key'))
    for (const name of ['postern.db', 'jwt.key', 'jwt.key.ring', 'secret.key'])
      expect(await stat(join(data, name)), name).toMatchObject({ uid: SERVICE, gid: SERVICE, mode: 0o100600 })
  })
})
