import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { formatChange } from '../src/config/difference.ts'
import { loadSettings } from '../src/config/load.ts'
import type { Settings } from '../src/config/settings.ts'
import { compareWithRunning, removeRunning, writeRunning } from './running.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-running-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const ABOUT = { since: Date.parse('2026-06-01T00:00:00Z'), url: 'http://127.0.0.1:1' }

async function settings(secret: string, name = 'one'): Promise<Settings> {
  const file = join(dir, 'c.json')
  const text = {
    server: { name },
    dataDir: dir,
    store: `postgres://u:${secret}@h/d`,
    auth: { tokens: { ci: `${secret}-${secret}-${secret}` } },
    databases: [{ name: 'shop', user: 'u', password: secret }],
    mcpServers: {
      wiki: { url: `https://h/mcp?key=${secret}`, headers: { 'x-key': secret } },
      files: { command: 'x', args: ['-k', secret], env: { KEY: secret } },
    },
  }
  await writeFile(file, JSON.stringify(text), { mode: 0o600 })
  const loaded = await loadSettings({ file, cwd: dir, env: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error.problems))
  return loaded.value.settings
}

it('finds no difference to the same settings, and holds no secret', async () => {
  await writeRunning(dir, ABOUT, await settings('hunter2'))
  const running = await compareWithRunning(await settings('hunter2'))
  expect(running).toEqual({
    pid: process.pid,
    since: '2026-06-01T00:00:00.000Z',
    url: ABOUT.url,
    changes: [],
  })
  const file = join(dir, 'running.json')
  expect(await readFile(file, 'utf8')).not.toContain('hunter')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

it('names what differs, also secrets, and shows none', async () => {
  await writeRunning(dir, ABOUT, await settings('hunter2'))
  const running = await compareWithRunning(await settings('hunter3', 'two'))
  expect(running?.changes.map(formatChange)).toEqual([
    'server.name: one → two',
    'store.url: changed',
    'auth.tokens.ci.value: changed',
    'databases.shop.password: changed',
    'mcpServers.wiki.url: changed',
    'mcpServers.wiki.headers.x-key: changed',
    'mcpServers.files.args: changed',
    'mcpServers.files.env.KEY: changed',
  ])
  expect(JSON.stringify(running)).not.toMatch(/hunter|fingerprint/)
})

it('says nothing of a gateway that stopped, was killed, or runs elsewhere', async () => {
  const same = await settings('hunter2')
  expect(await compareWithRunning(same)).toBeUndefined()
  await writeRunning(dir, ABOUT, same)
  await removeRunning(dir)
  expect(await compareWithRunning(same)).toBeUndefined()

  const file = join(dir, 'running.json')
  await writeRunning(dir, ABOUT, same)
  const written = JSON.parse(await readFile(file, 'utf8')) as object
  // The highest process id of a 64-bit Linux is 2^22.
  for (const change of [
    { pid: 2 ** 22 + 1 },
    { host: 'elsewhere.invalid' },
    { format: 2 },
    { pid: -1 },
    { settings: null },
  ]) {
    await writeFile(file, JSON.stringify({ ...written, ...change }))
    expect(await compareWithRunning(same)).toBeUndefined()
    await removeRunning(dir)
  }
  await writeFile(file, '{"format": 1')
  expect(await compareWithRunning(same)).toBeUndefined()
})
