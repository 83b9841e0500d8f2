import { expect, it } from 'vitest'
import { claimAt, readPerson } from './person.ts'
import type { OidcProvider } from './provider.ts'

const provider = {
  usernameClaim: 'preferred_username',
  emailClaim: 'email',
  groupsClaim: 'groups',
  tenantClaim: null,
} as OidcProvider

it('OIDC finds a claim by its name before the way to it', () => {
  const claims = {
    'https://example.com/groups': ['a'],
    realm_access: { roles: ['b'] },
    'realm_access.roles': ['c'],
    resource: { 'x.y': ['d'] },
  }
  expect(claimAt(claims, 'https://example.com/groups')).toEqual(['a'])
  expect(claimAt(claims, 'realm_access.roles')).toEqual(['c'])
  expect(claimAt({ realm_access: { roles: ['b'] } }, 'realm_access.roles')).toEqual(['b'])
  for (const path of [
    'constructor',
    '__proto__',
    'realm_access.constructor',
    'realm_access.roles.0',
    'resource.x.y',
    '',
  ])
    expect(claimAt({ realm_access: { roles: ['b'] }, resource: claims.resource }, path), path).toBeUndefined()
})

it.each([
  [undefined, []],
  [null, []],
  ['staff', ['staff']],
  [
    ['a', 'b'],
    ['a', 'b'],
  ],
  [[1], null],
  [{}, null],
  [true, null],
  [[['a']], null],
  [['x'.repeat(257)], null],
  [Array.from({ length: 5_001 }, String), null],
])('OIDC reads groups %j', (groups, expected) => {
  const person = readPerson({ sub: 'x', groups }, provider)
  expect(person.ok ? person.value.groups : null).toEqual(expected)
})

it.each([undefined, 1, '', 'x'.repeat(256), 'a\nb', null, ['x']])('OIDC refuses the subject %j', (sub) => {
  expect(readPerson({ sub }, provider).ok).toBe(false)
})

it('OIDC believes an address only when the provider says in so many words that it was verified', () => {
  const emailOf = (more: Readonly<Record<string, unknown>>): string | null => {
    const person = readPerson({ sub: 'x', email: 'A@Example.com', ...more }, provider)
    return person.ok ? person.value.email : 'refused'
  }
  expect(emailOf({ email_verified: true })).toBe('a@example.com')
  for (const email_verified of [undefined, false, 'true', 1, null])
    expect(emailOf({ email_verified })).toBeNull()
  expect(emailOf({ email_verified: true, email: 'no address' })).toBeNull()
})
