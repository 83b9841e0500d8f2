import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../../../test/support/identity.ts'
import type { Observation } from '../../observe/observation.ts'
import { CommonLists, LONGEST_LIST_BYTES } from './common.ts'

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
let path: string
beforeAll(async () => {
  scratch = await temporaryDirectory()
  path = join(scratch.path, 'passwords.txt')
})
afterAll(() => scratch.remove())

const silent = (): void => undefined

describe('passwords to refuse', () => {
  it('X10 are those of the package and those of the own file, or the latter alone', async () => {
    await writeFile(path, 'Acme-Widgets-2026\r\n\nｓｕｍｍｅｒｔｉｍｅ\n')
    const both = await new CommonLists({ path, mode: 'add' }, silent).load()
    for (const known of ['acme-widgets-2026', 'summertime', 'password1'])
      expect(both.has(known), known).toBe(true)
    expect(both.has('')).toBe(false)
    const own = await new CommonLists({ path, mode: 'replace' }, silent).load()
    expect(own.has('acme-widgets-2026')).toBe(true)
    expect(own.has('password1')).toBe(false)
  })

  it('X10 are read again, and stay as they were when that fails', async () => {
    await writeFile(path, 'one\n')
    const seen: Observation[] = []
    const lists = new CommonLists({ path, mode: 'replace' }, (one) => void seen.push(one))
    await lists.open()
    await writeFile(path, 'two\n')
    await lists.reload()
    expect([(await lists.load()).has('two'), (await lists.load()).has('one')]).toEqual([true, false])
    await rm(path)
    await lists.reload()
    expect((await lists.load()).has('two')).toBe(true)
    expect(seen).toMatchObject([
      { kind: 'config.warning', message: expect.stringContaining('no such file') as string },
    ])
  })

  it.each([
    ['an empty one', async () => await writeFile(path, '\n\n'), 'it has no password'],
    ['one that is no text', async () => await writeFile(path, Buffer.from([0xff, 0xfe, 0x0a])), 'UTF-8'],
    [
      'one that is too large',
      async () => {
        await writeFile(path, 'x')
        await truncate(path, LONGEST_LIST_BYTES + 1)
      },
      'larger than',
    ],
  ])('X10 refuses %s', async (_, make, why) => {
    await make()
    await expect(new CommonLists({ path, mode: 'add' }, silent).open()).rejects.toThrow(why)
  })

  it('X10 refuses what is no file, and one that is not there', async () => {
    for (const [wrong, why] of [
      [scratch.path, 'not a file'],
      ['/dev/zero', 'not a file'],
      [join(scratch.path, 'nothing'), 'no such file'],
    ] as const)
      await expect(new CommonLists({ path: wrong, mode: 'add' }, silent).open()).rejects.toThrow(why)
  })
})
