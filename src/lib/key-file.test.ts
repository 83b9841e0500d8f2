import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeKeyFile, readKeyFile } from './key-file.ts'

let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-key-'))
  file = join(dir, 'data', 'secret.key')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

describe('the key file', () => {
  it('is made with its folder, for its owner only, and read again', async () => {
    expect(await readKeyFile(file)).toBeNull()
    const made = await makeKeyFile(file)
    expect(made).toHaveLength(32)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(join(dir, 'data'))).mode & 0o777).toBe(0o700)
    expect(await readKeyFile(file)).toEqual(made)
    expect(await readdir(join(dir, 'data'))).toEqual(['secret.key'])
  })

  it('is the same for all who make it at once, and never replaced', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => makeKeyFile(file)))
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect(await makeKeyFile(file)).toEqual(keys[0])
    expect(await readdir(join(dir, 'data'))).toEqual(['secret.key'])
  })

  it.each([
    [0o640, '0640'],
    [0o604, '0604'],
    [0o666, '0666'],
    [0o620, '0620'],
  ])('with mode %o is refused: the message names the mode and what to do', async (mode, shown) => {
    await makeKeyFile(file)
    await chmod(file, mode)
    const refused = readKeyFile(file)
    await expect(refused).rejects.toMatchObject({ code: 'config_invalid' })
    await expect(refused).rejects.toThrow(`(mode ${shown}): run chmod 600 ${file}`)
  })

  it('of another length is refused, and so is what is no file', async () => {
    await makeKeyFile(file)
    await writeFile(file, 'short')
    await expect(readKeyFile(file)).rejects.toThrow('has 5 bytes instead of 32')
    const folder = join(dir, 'folder')
    await makeKeyFile(join(folder, 'x'))
    await expect(readKeyFile(folder)).rejects.toMatchObject({ code: 'config_invalid' })
  })

  it('may be reached through a link, whose target is what counts', async () => {
    const made = await makeKeyFile(file)
    const link = join(dir, 'link')
    await symlink(file, link)
    expect(await readKeyFile(link)).toEqual(made)
    await chmod(file, 0o644)
    await expect(readKeyFile(link)).rejects.toThrow('mode 0644')
  })

  it('that cannot be written is a fault that says so', async () => {
    await writeFile(join(dir, 'data'), 'a file in the way')
    await expect(makeKeyFile(file)).rejects.toMatchObject({ code: 'data_dir_unusable' })
  })
})
