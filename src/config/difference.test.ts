import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fingerprinted } from './fingerprint.ts'
import { loadSettings } from './load.ts'
import { difference, formatChange } from './difference.ts'
import type { Settings } from './settings.ts'

async function settings(env: Record<string, string>): Promise<Settings> {
  const result = await loadSettings({ cwd: '/nowhere', env })
  if (!result.ok) throw new Error(JSON.stringify(result.error.problems))
  return result.value.settings
}

describe('difference', () => {
  it('is empty between equal configurations', async () => {
    const env = {
      POSTERN_DATABASES_A_URL: 'postgres://u:p@h/d',
      POSTERN_AUTH_TOKENS_T_VALUE: 'a-token-of-some-length',
    }
    expect(difference(await settings(env), await settings(env))).toEqual([])
  })

  it('names every change and shows no secret', async () => {
    const before = await settings({
      POSTERN_DATABASES_A_URL: 'postgres://u:hunter2@h/d',
      POSTERN_DATABASES_B_URL: 'postgres://u@h/d',
      POSTERN_DATABASES_C_URL: 'postgres://u@h/d',
      POSTERN_AUTH_TOKENS_T_VALUE: 'hunter2-hunter2-hunter2',
      POSTERN_AUTH_TOKENS_H_HASH: 'a'.repeat(64),
      POSTERN_STORE: 'postgres://u:hunter2@h/d',
      POSTERN_SERVER_ALLOWED_HOSTS: 'a',
    })
    const after = await settings({
      POSTERN_DATABASES_A_URL: 'postgres://u:hunter3@h:6000/d',
      POSTERN_DATABASES_C_URL: 'postgres://u@h/d',
      POSTERN_DATABASES_D_URL: 'postgres://u@h/d',
      POSTERN_AUTH_TOKENS_T_VALUE: 'hunter3-hunter3-hunter3',
      POSTERN_AUTH_TOKENS_T_LEVEL: 'admin',
      POSTERN_AUTH_TOKENS_H_HASH: 'b'.repeat(64),
      POSTERN_STORE: 'postgres://u:hunter3@h/d',
      POSTERN_SERVER_ALLOWED_HOSTS: 'a,b',
      POSTERN_SERVER_BASE_URL: 'https://g.example',
    })
    const lines = difference(before, after).map(formatChange)
    expect(lines).toEqual([
      'server.baseUrl: added',
      'server.allowedHosts: [a] → [a, b]',
      'store.url: changed',
      `auth.tokens.h.hash: ${'a'.repeat(12)}… → ${'b'.repeat(12)}…`,
      'auth.tokens.t.level: read-only → admin',
      'auth.tokens.t.value: changed',
      'databases.a.port: 5432 → 6000',
      'databases.a.password: changed',
      'databases.b: removed',
      'databases.d: added',
    ])
    expect(JSON.stringify(difference(before, after))).not.toMatch(/hunter/)
  })

  it('names the keys that a file has', async () => {
    const server = (more: object): string =>
      JSON.stringify({ mcpServers: { files: { command: 'files', env: { url: 'hunter2' }, ...more } } })
    const dir = await mkdtemp(join(tmpdir(), 'postern-difference-'))
    const read = async (text: string, addr: string): Promise<Settings> => {
      await writeFile(join(dir, 'postern.json'), text, { mode: 0o600 })
      const result = await loadSettings({ cwd: dir, env: { POSTERN_SERVER_ADDR: addr } })
      if (!result.ok) throw new Error(JSON.stringify(result.error.problems))
      return result.value.settings
    }
    try {
      const before = await read(server({ timeout: '90s', idleTime: '1m' }), '127.0.0.1:1')
      const filter = { mode: 'deny', tools: ['write_file', 'edit_file'] }
      const changed = { args: ['hunter3'], env: { url: 'hunter3' }, toolFilter: filter, level: 'admin' }
      const after = await read(server(changed), ':2')
      expect(difference(before, after).map(formatChange)).toEqual([
        'server.addr: 127.0.0.1:1 → :2',
        'mcpServers.files.args: changed',
        'mcpServers.files.env.url: changed',
        'mcpServers.files.level: read-write → admin',
        'mcpServers.files.toolFilter: added',
        'mcpServers.files.timeout: 90s → 1m',
        'mcpServers.files.idleTime: 1m → 5m',
      ])
      expect(difference(before, after).find(({ path }) => path.endsWith('toolFilter'))?.after).toBe(
        'deny [write_file, edit_file]',
      )
      expect(JSON.stringify(difference(before, after))).not.toMatch(/hunter/)
      const printed = difference(fingerprinted(before, 'salt'), fingerprinted(after, 'salt'))
      expect(printed).toEqual(difference(before, after))
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('notices another default database', async () => {
    const both = await settings({
      POSTERN_DATABASES_A_URL: 'postgres://u@h/d',
      POSTERN_DATABASES_B_URL: 'postgres://u@h/d',
    })
    const turned = { ...both, databases: both.databases.toReversed() }
    expect(difference(both, turned).map(formatChange)).toEqual(['databases (order): a, b → b, a'])
  })
})
