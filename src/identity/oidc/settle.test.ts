import { expect, it } from 'vitest'
import type { Person } from './person.ts'
import type { OidcProvider } from './provider.ts'
import { settle } from './settle.ts'

const provider = (change: Partial<OidcProvider> = {}): OidcProvider => ({
  name: 'company',
  title: 'Company',
  issuer: 'https://login.example.com/',
  clientId: 'postern',
  clientSecret: null,
  scopes: ['openid'],
  usernameClaim: 'preferred_username',
  emailClaim: 'email',
  groupsClaim: 'groups',
  requireVerifiedEmail: false,
  roles: { admin: ['admins'], writer: ['writers'], reader: ['staff'] },
  tenants: [],
  tenantClaim: null,
  createTenants: false,
  timeoutMs: 10_000,
  ...change,
})

const of = (groups: readonly string[], change: Partial<Person> = {}): Person => ({
  subject: 'somebody',
  username: 'somebody',
  email: null,
  groups,
  tenant: null,
  ...change,
})

const outcome = (person: Person, change: Partial<OidcProvider> = {}): string => {
  const settled = settle(person, provider(change), 'default')
  return settled.ok ? `${settled.value.role} of ${settled.value.tenant}` : settled.error.rule
}

it.each([
  [['staff'], 'reader of default'],
  [['staff', 'writers'], 'writer of default'],
  [['writers', 'admins', 'staff'], 'admin of default'],
  [['Staff'], 'oidc.role'],
  [['staff '], 'oidc.role'],
  [[], 'oidc.role'],
])('OIDC groups %j make somebody %s', (groups, expected) => {
  expect(outcome(of(groups))).toBe(expected)
})

it.each([
  [['staff', 'acme'], 'reader of acme'],
  [['staff', 'globex'], 'reader of globex'],
  [['staff'], 'oidc.tenant'],
  [['staff', 'acme', 'globex'], 'oidc.tenant'],
  [['admins', 'root'], 'admin of default'],
])('OIDC with tenants by groups, %j make somebody %s', (groups, expected) => {
  const tenants = [
    { name: 'acme', groups: ['acme'] },
    { name: 'globex', groups: ['globex'] },
    { name: 'default', groups: ['root'] },
  ]
  expect(outcome(of(groups), { tenants })).toBe(expected)
})

it('OIDC a claim names the tenant, and makes nobody an administrator of all of them', () => {
  const change = { tenantClaim: 'organization' }
  expect(outcome(of(['admins'], { tenant: 'acme' }), change)).toBe('admin of acme')
  expect(outcome(of(['staff'], { tenant: 'default' }), change)).toBe('reader of default')
  expect(outcome(of(['admins'], { tenant: 'default' }), change)).toBe('oidc.first_tenant')
  for (const tenant of [null, 'A B', '../default', 'DEFAULT', ''])
    expect(outcome(of(['admins'], { tenant }), change), String(tenant)).toBe('oidc.tenant')
})

it('OIDC an address must be verified where it is required, and where it makes the name', () => {
  const verified = of(['staff'], { email: 'somebody@example.com' })
  for (const change of [{ requireVerifiedEmail: true }, { usernameClaim: 'email' }]) {
    expect(outcome(of(['staff']), change)).toBe('oidc.email')
    expect(outcome(verified, change)).toBe('reader of default')
  }
})
