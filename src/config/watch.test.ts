import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ManualClock, manualClock } from '../../test/support/clock.ts'
import { type Loaded, loadSettings } from './load.ts'
import { type Watch, watchSettings } from './watch.ts'

let dir = ''
let file = ''
let clock: ManualClock
let watch: Watch | undefined
let seen: string[] = []

beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'postern-watch-')))
  file = join(dir, 'postern.yaml')
  clock = manualClock()
  seen = []
})

afterEach(async () => {
  watch?.close()
  await rm(dir, { recursive: true, force: true })
})

const named = (name: string): string => `server: {name: ${name}}\n`

async function start(path = file): Promise<Loaded> {
  const load = (): ReturnType<typeof loadSettings> => loadSettings({ file: path, cwd: dir, env: {} })
  const first = await load()
  if (!first.ok) throw new Error('the first configuration is broken')
  watch = watchSettings({
    file: path,
    digest: first.value.digest,
    load,
    clock,
    onChange: (result) => {
      seen.push(result.ok ? result.value.settings.server.name : (result.error.problems[0]?.code ?? ''))
    },
  })
  await armed()
  return first.value
}

/** The watch is asynchronous; a first timer is there at once, the watches on directories soon after. */
const armed = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 30))
}

/** Real events of the file system, held time: each step lets the settling time pass. */
const until = async (expected: readonly string[]): Promise<void> => {
  await vi.waitFor(
    () => {
      clock.advance(50)
      expect(seen).toEqual(expected)
    },
    { timeout: 5_000, interval: 10 },
  )
}

/** Nothing happens even when a lot of time passes. */
const quiet = async (): Promise<void> => {
  const before = [...seen]
  for (let i = 0; i < 8; i += 1) {
    clock.advance(5_000)
    await armed()
  }
  expect(seen).toEqual(before)
}

describe('watchSettings', () => {
  it('sees a file that is written in place', async () => {
    await writeFile(file, named('one'))
    await start()
    await writeFile(file, named('two'))
    await until(['two'])
    await quiet()
  })

  it('survives one atomic replacement after the other', async () => {
    await writeFile(file, named('one'))
    await start()
    for (const name of ['two', 'three', 'four']) {
      await writeFile(join(dir, 'new'), named(name))
      await rename(join(dir, 'new'), file)
      await until(['two', 'three', 'four'].slice(0, ['two', 'three', 'four'].indexOf(name) + 1))
    }
  })

  it('survives a symbolic link that is swapped, also one on the way', async () => {
    // As Kubernetes mounts it: postern.yaml → ..data/postern.yaml, ..data → ..1
    for (const version of ['1', '2', '3']) {
      await mkdir(join(dir, `..${version}`))
      await writeFile(join(dir, `..${version}`, 'postern.yaml'), named(`v${version}`))
    }
    await symlink('..1', join(dir, '..data'))
    await symlink(join('..data', 'postern.yaml'), file)
    await start()
    for (const version of ['2', '3']) {
      await symlink(`..${version}`, join(dir, 'tmp'))
      await rename(join(dir, 'tmp'), join(dir, '..data'))
      await until(version === '2' ? ['v2'] : ['v2', 'v3'])
    }
    await writeFile(join(dir, '..3', 'postern.yaml'), named('inside'))
    await until(['v2', 'v3', 'inside'])
  })

  it('survives a swapped directory above the file', async () => {
    for (const version of ['1', '2']) {
      await mkdir(join(dir, `release${version}`))
      await writeFile(join(dir, `release${version}`, 'postern.yaml'), named(`r${version}`))
    }
    await symlink('release1', join(dir, 'current'))
    await start(join(dir, 'current', 'postern.yaml'))
    await symlink('release2', join(dir, 'tmp'))
    await rename(join(dir, 'tmp'), join(dir, 'current'))
    await until(['r2'])
  })

  it('reports a broken file, and the good one after it', async () => {
    await writeFile(file, named('one'))
    await start()
    await writeFile(file, 'server: {name: ')
    await until(['config_syntax'])
    await rm(file)
    await until(['config_syntax', 'config_unreadable'])
    await writeFile(file, named('back'))
    await until(['config_syntax', 'config_unreadable', 'back'])
  })

  it('waits until a file that is being written stays the same', async () => {
    await writeFile(file, named('one'))
    await start()
    await writeFile(file, 'server: {na')
    // The half-written content is looked at once, and is gone before it is looked at again.
    const lookIsDue = (): Promise<void> =>
      vi.waitFor(() => {
        expect(clock.waiting).toBe(2)
      })
    await lookIsDue()
    clock.advance(50)
    await lookIsDue()
    await writeFile(file, named('whole'))
    await until(['whole'])
  })

  it('says nothing when the content is the same', async () => {
    await writeFile(file, named('one'))
    await start()
    await writeFile(file, named('one'))
    await writeFile(join(dir, 'other'), 'x')
    await quiet()
    expect(seen).toEqual([])
  })

  it('sees what changed between loading and watching', async () => {
    await writeFile(file, named('one'))
    const first = await loadSettings({ file, cwd: dir, env: {} })
    await writeFile(file, named('two'))
    watch = watchSettings({
      file,
      digest: first.ok ? first.value.digest : null,
      load: () => loadSettings({ file, cwd: dir, env: {} }),
      clock,
      onChange: (result) => seen.push(result.ok ? result.value.settings.server.name : ''),
    })
    await until(['two'])
  })

  it('says nothing after it was closed', async () => {
    await writeFile(file, named('one'))
    await start()
    watch?.close()
    await writeFile(file, named('two'))
    await quiet()
    expect(seen).toEqual([])
    expect(clock.waiting).toBe(0)
  })
})
