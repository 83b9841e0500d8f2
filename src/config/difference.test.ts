import { describe, expect, it } from 'vitest'
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

  it('notices another default database', async () => {
    const both = await settings({
      POSTERN_DATABASES_A_URL: 'postgres://u@h/d',
      POSTERN_DATABASES_B_URL: 'postgres://u@h/d',
    })
    const turned = { ...both, databases: both.databases.toReversed() }
    expect(difference(both, turned).map(formatChange)).toEqual(['databases (order): a, b → b, a'])
  })
})
