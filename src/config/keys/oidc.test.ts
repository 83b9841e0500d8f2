import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSettings } from '../load.ts'
import { formatProblem } from '../problem.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-oidc-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const GOOD = {
  issuer: 'https://login.example.com/realms/company',
  clientId: 'postern',
  roles: { reader: ['staff'] },
}

async function load(
  provider: Readonly<Record<string, unknown>>,
  env: Record<string, string> = {},
  name = 'company',
) {
  const file = join(dir, 'postern.yaml')
  await writeFile(file, JSON.stringify({ auth: { oidc: { [name]: provider } } }), { mode: 0o600 })
  return await loadSettings({ file, cwd: dir, env })
}

const problemsOf = async (...given: Parameters<typeof load>): Promise<string> => {
  const loaded = await load(...given)
  return (loaded.ok ? loaded.value.warnings : loaded.error.problems).map(formatProblem).join('\n')
}

describe('auth.oidc', () => {
  it('OIDC needs an issuer, a client and one group; the rest has defaults', async () => {
    const loaded = await load(GOOD)
    expect(loaded.ok && loaded.value.settings.auth.oidc).toEqual([
      {
        ...GOOD,
        name: 'company',
        title: 'company',
        clientSecret: null,
        scopes: ['openid', 'profile', 'email'],
        usernameClaim: 'preferred_username',
        emailClaim: 'email',
        groupsClaim: 'groups',
        requireVerifiedEmail: false,
        roles: { admin: [], writer: [], reader: ['staff'] },
        tenants: [],
        tenantClaim: null,
        createTenants: false,
        timeoutMs: 10_000,
      },
    ])
  })

  it('OIDC is overridden by variables, by name', async () => {
    const loaded = await load(GOOD, {
      POSTERN_AUTH_OIDC_COMPANY_CLIENT_SECRET: 'from the environment',
      POSTERN_AUTH_OIDC_COMPANY_ROLES_ADMIN: 'a, b',
      POSTERN_AUTH_OIDC_COMPANY_TIMEOUT: '3s',
    })
    const [provider] = loaded.ok ? loaded.value.settings.auth.oidc : []
    expect(provider?.clientSecret?.reveal()).toBe('from the environment')
    expect(provider).toMatchObject({ roles: { admin: ['a', 'b'] }, timeoutMs: 3_000 })
  })

  it.each([
    [
      'an issuer on the way to which anybody can listen',
      { issuer: 'http://login.example.com' },
      'must be https',
    ],
    ['an issuer with a query', { issuer: 'https://login.example.com/?a=b' }, 'must not have a query'],
    ['an issuer with a password', { issuer: 'https://a:b@login.example.com/' }, 'must not hold a user'],
    ['no roles', { roles: {} }, 'nobody could sign in'],
    ['empty roles', { roles: { admin: [] } }, 'nobody could sign in'],
    ['no client', { clientId: undefined }, 'clientId  is needed'],
    ['scopes without openid', { scopes: ['email'] }, 'must hold openid'],
    ['tenants in two ways', { tenants: { a: ['x'] }, tenantClaim: 'org' }, 'exclude each other'],
    ['one group of two tenants', { tenants: { a: ['x'], b: ['y', 'x'] } }, 'shares a group with a'],
    ['a tenant of nobody', { tenants: { a: [] } }, 'names no group'],
    ['a tenant that cannot be one', { tenants: { 'No!': ['x'] } }, 'cannot be a name'],
    ['an unknown key', { clientID: 'x' }, 'did you mean "clientId"'],
    ['a role that does not exist', { roles: { owner: ['x'], reader: ['y'] } }, 'is not a key of'],
    ['tenants to be made of nothing', { createTenants: true }, 'does nothing without'],
    ['a timeout without end', { timeout: '1h' }, 'is too large'],
  ])('OIDC complains about %s', async (_, change, problem) => {
    expect(await problemsOf({ ...GOOD, ...change })).toContain(problem)
  })

  it('OIDC an issuer on this machine may be http, and a name is a part of an address', async () => {
    expect(await problemsOf({ ...GOOD, issuer: 'http://127.0.0.1:9000' })).toBe('')
    for (const name of ['Company', 'a/b', 'a b', '-a', 'x'.repeat(33)])
      expect(await problemsOf(GOOD, {}, name)).toContain('cannot be a name')
  })

  it('OIDC no secret stands in a problem or a warning', async () => {
    const said = await problemsOf({
      ...GOOD,
      clientSecret: 'very-secret-value',
      issuer: 'http://login.example.com',
    })
    expect(said).not.toContain('very-secret-value')
  })
})
