import { expect, it } from 'vitest'
import { loadSettings } from '../config/load.ts'
import { FIRST_TENANT } from './first-tenant.ts'

it('is what the configuration gives a token that names no tenant', async () => {
  const loaded = await loadSettings({
    cwd: import.meta.dirname,
    env: { POSTERN_AUTH_TOKENS_CI_HASH: 'a'.repeat(64) },
  })
  const tenants = loaded.ok ? loaded.value.settings.auth.tokens.map(({ tenant }) => tenant) : loaded.error
  expect(tenants).toEqual([FIRST_TENANT])
})
