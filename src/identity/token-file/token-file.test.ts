import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { sha256Hex } from '../../lib/digest.ts'
import type { Observation } from '../../observe/observation.ts'
import type { FileToken } from './entry.ts'
import { LONGEST_TOKEN_FILE } from './read.ts'
import { TokenFile } from './token-file.ts'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'postern-token-file-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

let dir: string
let path: string
let observations: Observation[]
let files: TokenFile[]
beforeEach(async () => {
  dir = await mkdtemp(join(root, 'case-'))
  path = join(dir, 'tokens.yaml')
  observations = []
  files = []
})
afterEach(async () => {
  for (const file of files) await file.close()
})

const entry = (id: string): string =>
  `- id: ${id}\n  hash: ${sha256Hex(id)}\n  note: Note of ${id}\n  expires_at: "2099-01-01T00:00:00Z"\n`
const content = (...ids: string[]): string =>
  `tokens:${ids.length === 0 ? ' []' : ''}\n${ids.map(entry).join('')}`

const token = (id: string): FileToken => ({
  id,
  hash: sha256Hex(id),
  note: 'added',
  owner: '',
  level: 'read-only',
  databases: 'all',
  servers: 'all',
  scopes: 'all',
  createdAt: null,
  expiresAt: null,
})

async function openFile(at = path): Promise<TokenFile> {
  const file = new TokenFile(at, {
    clock: systemClock,
    observe: (observation) => observations.push(observation),
    take: () => {},
  })
  await file.open()
  files.push(file)
  return file
}

async function openWatched(at = path): Promise<TokenFile> {
  const file = await openFile(at)
  await file.watch()
  return file
}

const idsOf = (file: TokenFile): readonly string[] => file.tokens.map(({ id }) => id)
const seen = (kind: Observation['kind']): readonly Observation[] =>
  observations.filter((one) => one.kind === kind)

/** The figure is measured in bench/; here it only must not be forgotten, on a machine that is busy. */
async function becomes(file: TokenFile, ids: readonly string[]): Promise<void> {
  await vi.waitFor(() => expect(idsOf(file)).toEqual(ids), { timeout: 3_000, interval: 2 })
}

/** Long enough for several looks and the longest settling. */
const quiet = async (): Promise<void> => {
  await delay(300)
}

describe('TokenFile, watched', () => {
  it('G5 takes over a file that is written in place', async () => {
    await writeFile(path, content('a', 'b'))
    const file = await openWatched()
    expect(idsOf(file)).toEqual(['a', 'b'])
    await writeFile(path, content('a', 'b', 'c'))
    await becomes(file, ['a', 'b', 'c'])
    await writeFile(path, content('a'))
    await becomes(file, ['a'])
    await writeFile(path, content())
    await becomes(file, [])
    expect(seen('tokens.reloaded').length).toBe(3)
    expect(seen('tokens.reload_failed')).toEqual([])
  })

  it('G4 takes over an atomic replacement, many in a row', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    for (let turn = 0; turn < 10; turn += 1) {
      const ids = Array.from({ length: turn + 2 }, (_, i) => `t${turn}-${i}`)
      await writeFile(join(dir, 'next'), content(...ids))
      await rename(join(dir, 'next'), path)
      await becomes(file, ids)
    }
  })

  it('G4 follows a swapped link, as a mounted secret is updated', async () => {
    for (const [version, ids] of [
      ['..v1', ['a', 'b']],
      ['..v2', ['b']],
      ['..v3', ['b', 'c']],
    ] as const) {
      await mkdir(join(dir, version))
      await writeFile(join(dir, version, 'tokens.yaml'), content(...ids))
    }
    await symlink('..v1', join(dir, '..data'))
    await symlink(join('..data', 'tokens.yaml'), path)
    const file = await openWatched()
    expect(idsOf(file)).toEqual(['a', 'b'])
    for (const [version, ids] of [
      ['..v2', ['b']],
      ['..v3', ['b', 'c']],
    ] as const) {
      await symlink(version, join(dir, '..next'))
      await rename(join(dir, '..next'), join(dir, '..data'))
      await becomes(file, ids)
    }
    expect(seen('tokens.reload_failed')).toEqual([])
  })

  it('G4 keeps the last good content while a writer has written only half', async () => {
    await writeFile(path, content('a', 'b', 'c'))
    const file = await openWatched()
    const next = content('a', 'b', 'c', 'd')
    const handle = await open(path, 'w')
    const counts = new Set<number>()
    for (let at = 0; at < next.length; at += 20) {
      await handle.write(next.slice(at, at + 20))
      await delay(3)
      counts.add(file.tokens.length)
    }
    await handle.close()
    await becomes(file, ['a', 'b', 'c', 'd'])
    expect([...counts].filter((count) => count < 3)).toEqual([])
  })

  it('G4 keeps the last good content when the writer died, and says so once', async () => {
    await writeFile(path, content('a', 'b'))
    const file = await openWatched()
    const whole = content('a', 'b')
    await truncate(path, whole.indexOf('hash', whole.indexOf('id: b')) + 20)
    await vi.waitFor(() => expect(seen('tokens.reload_failed')).toHaveLength(1), { timeout: 3_000 })
    await quiet()
    expect(idsOf(file)).toEqual(['a', 'b'])
    expect(seen('tokens.reload_failed')).toHaveLength(1)
    await writeFile(path, content('b'))
    await becomes(file, ['b'])
  })

  it('does not let a token live for ever because its last lines were cut off', async () => {
    await writeFile(path, content('a', 'b'))
    const file = await openWatched()
    const whole = content('a', 'b')
    await truncate(path, whole.lastIndexOf('  expires_at'))
    await vi.waitFor(() => expect(seen('tokens.reload_failed')).toHaveLength(1), { timeout: 3_000 })
    expect(file.tokens.find(({ id }) => id === 'b')?.expiresAt).toBe(Date.UTC(2099, 0, 1))
  })

  it('tells an emptied file from one without tokens', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    await truncate(path, 0)
    await vi.waitFor(() => expect(seen('tokens.reload_failed')).toHaveLength(1), { timeout: 3_000 })
    expect(idsOf(file)).toEqual(['a'])
    await writeFile(path, 'tokens: []\n')
    await becomes(file, [])
  })

  it('takes a removal in place over although the rest is a beginning of what was there', async () => {
    await writeFile(path, content('a', 'b'))
    const file = await openWatched()
    await truncate(path, content('a').length)
    await becomes(file, ['a'])
  })

  it('survives deletion and recreation, and takes a lasting deletion as no tokens', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    await unlink(path)
    await delay(100)
    expect(idsOf(file)).toEqual(['a'])
    await writeFile(path, content('a', 'b'))
    await becomes(file, ['a', 'b'])
    await unlink(path)
    await becomes(file, [])
    await writeFile(path, content('c'))
    await becomes(file, ['c'])
    expect(seen('tokens.reload_failed')).toEqual([])
  })

  it('finds a file that appears after the start, also in a directory that appears', async () => {
    const later = join(dir, 'later', 'tokens.yaml')
    const file = await openWatched(later)
    expect(idsOf(file)).toEqual([])
    await mkdir(join(dir, 'later'))
    await writeFile(later, content('a'))
    await becomes(file, ['a'])
  })

  it('refuses what is too long, not text, or not a file, and keeps the last good content', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    const spoil: (() => Promise<void>)[] = [
      () => writeFile(path, content('a') + '#'.repeat(10 * 1024 * 1024)),
      () => writeFile(path, Buffer.from([0x74, 0xff, 0xfe, 0x0a])),
      async () => {
        await unlink(path)
        await mkdir(path)
      },
    ]
    for (const [turn, spoilFile] of spoil.entries()) {
      await spoilFile()
      await vi.waitFor(() => expect(seen('tokens.reload_failed')).toHaveLength(turn + 1), { timeout: 3_000 })
      expect(idsOf(file)).toEqual(['a'])
    }
    await rm(path, { recursive: true })
    await writeFile(path, content('b'))
    await becomes(file, ['b'])
  })

  it.runIf(process.platform === 'linux')('does not hang on a named pipe', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    await unlink(path)
    await once(spawn('mkfifo', [path]), 'exit')
    await vi.waitFor(() => expect(seen('tokens.reload_failed')).toHaveLength(1), { timeout: 3_000 })
    expect(idsOf(file)).toEqual(['a'])
  })

  it('warns about a mode wider than 0600, once for each mode, without reloading', async () => {
    await writeFile(path, content('a'), { mode: 0o600 })
    await openWatched()
    await chmod(path, 0o644)
    await vi.waitFor(() => expect(seen('tokens.file_mode')).toHaveLength(1), { timeout: 3_000 })
    expect(seen('tokens.file_mode')[0]).toMatchObject({ mode: '0644' })
    await utimes(path, new Date(), new Date())
    await quiet()
    expect(seen('tokens.file_mode')).toHaveLength(1)
    expect(seen('tokens.reloaded')).toEqual([])
  })

  it('says nothing while nothing changes, and stops when it is closed', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    await quiet()
    expect(observations.filter(({ kind }) => kind !== 'tokens.file_mode')).toEqual([])
    await file.close()
    await writeFile(path, content('b'))
    await quiet()
    expect(idsOf(file)).toEqual(['a'])
  })

  it('takes over a file of 10,000 tokens', async () => {
    await writeFile(path, content('a'))
    const file = await openWatched()
    const ids = Array.from({ length: 10_000 }, (_, i) => `token-${i}`)
    const text = content(...ids)
    expect(text.length).toBeLessThan(LONGEST_TOKEN_FILE)
    await writeFile(path, text)
    await becomes(file, ids)
  })
})

describe('TokenFile, opened', () => {
  it('starts without a file, and with an empty one', async () => {
    expect(idsOf(await openFile())).toEqual([])
    await writeFile(path, '')
    expect(idsOf(await openFile())).toEqual([])
  })

  it('refuses to start with a file it does not understand, naming the file and the entry', async () => {
    await writeFile(path, 'tokens:\n- id: x\n  hash: nonsense\n')
    await expect(openFile()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/tokens\.yaml: entry 1: hash must be 64/) as string,
    })
  })

  it('waits for a write that is under way', async () => {
    await writeFile(path, 'tokens:\n- id: x\n  ha')
    const opening = openFile()
    await delay(60)
    await writeFile(path, content('a'))
    expect(idsOf(await opening)).toEqual(['a'])
  })
})

describe('TokenFile, changed', () => {
  it('G4 writes with mode 0600, in one step, leaving nothing else behind', async () => {
    await writeFile(path, content('a'), { mode: 0o666 })
    const before = (await stat(path)).ino
    const file = await openFile()
    await file.change(() => ({ add: token('b') }))
    const after = await stat(path)
    expect(after.mode & 0o777).toBe(0o600)
    expect(after.ino).not.toBe(before)
    expect(idsOf(file)).toEqual(['a', 'b'])
    expect(await readdir(dir)).toEqual(['tokens.yaml'])
  })

  it('makes the file and its directory for the owner only', async () => {
    const deep = join(dir, 'x', 'y', 'tokens.yaml')
    const file = await openFile(deep)
    await file.change(() => ({ add: token('a') }))
    expect((await stat(deep)).mode & 0o777).toBe(0o600)
    expect((await stat(join(dir, 'x', 'y'))).mode & 0o777).toBe(0o700)
  })

  it('replaces the target of a link, not the link; also one that does not exist yet', async () => {
    await mkdir(join(dir, 'real'))
    await symlink(join('real', 'target.yaml'), path)
    const file = await openFile()
    await file.change(() => ({ add: token('a') }))
    await file.change(() => ({ add: token('b') }))
    expect(await readlink(path)).toBe(join('real', 'target.yaml'))
    expect((await lstat(join(dir, 'real', 'target.yaml'))).isFile()).toBe(true)
    expect(idsOf(await openFile())).toEqual(['a', 'b'])
  })

  it('refuses a circle of links', async () => {
    await symlink('tokens.yaml', path)
    const file = new TokenFile(path, { clock: systemClock, observe: () => {}, take: () => {} })
    await expect(file.change(() => ({ add: token('a') }))).rejects.toMatchObject({
      code: 'data_dir_unusable',
    })
  })

  it('decides on what the file holds now, not on what was read last', async () => {
    await writeFile(path, content('a'))
    const file = await openFile()
    await writeFile(path, content('a', 'b'))
    let found: readonly string[] = []
    await file.change((tokens) => {
      found = tokens.map(({ id }) => id)
      return { remove: new Set(['a']) }
    })
    expect(found).toEqual(['a', 'b'])
    expect(idsOf(file)).toEqual(['b'])
  })

  it('loses none of many changes made at once through several openings', async () => {
    await writeFile(path, content('a'))
    const openings = [await openFile(), await openFile(), await openWatched()]
    const ids = Array.from({ length: 30 }, (_, i) => `n${i}`)
    await Promise.all(ids.map((id, i) => openings[i % 3]!.change(() => ({ add: token(id) }))))
    expect(idsOf(await openFile()).toSorted()).toEqual(['a', ...ids].toSorted())
    expect(await readdir(dir)).toEqual(['tokens.yaml'])
  })

  it('never writes over content it does not understand', async () => {
    await writeFile(path, content('a'))
    const file = await openFile()
    await writeFile(path, 'tokens: [half')
    await expect(file.change(() => ({ add: token('b') }))).rejects.toMatchObject({ code: 'config_invalid' })
    expect(await readFile(path, 'utf8')).toBe('tokens: [half')
  })

  it('takes over the lock of a process that is gone, and waits for one that is not', async () => {
    await writeFile(path, content('a'))
    const file = await openFile()
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    await writeFile(`${path}.lock`, `${hostname()} ${child.pid}\n`)
    await file.change(() => ({ add: token('b') }))
    await writeFile(`${path}.lock`, `${hostname()} ${process.pid}\n`)
    const waiting = file.change(() => ({ add: token('c') }))
    await delay(150)
    expect(await readFile(path, 'utf8')).not.toContain(sha256Hex('c'))
    await unlink(`${path}.lock`)
    await waiting
    await writeFile(`${path}.lock`, `another-host 1\n`)
    await utimes(`${path}.lock`, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
    await file.change(() => ({ add: token('d') }))
    expect(idsOf(file)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('says that the directory cannot be written', async () => {
    const file = new TokenFile('/proc/self/tokens.yaml', {
      clock: systemClock,
      observe: () => {},
      take: () => {},
    })
    await expect(file.change(() => ({ add: token('a') }))).rejects.toMatchObject({
      code: 'data_dir_unusable',
    })
  })
})
