import { isLoopbackHost } from '../../lib/address.ts'
import { duration, flag, secret, strings, text, webUrl } from '../leaves.ts'
import { memberPath } from '../node.ts'
import type { OidcProviderSettings } from '../settings.ts'
import {
  type Context,
  mapped,
  named,
  type Naming,
  optional,
  type Place,
  section,
  type ValueOf,
} from '../spec.ts'

/** A part of the provider's addresses here, which are registered there. */
const PROVIDER_NAMING: Naming = {
  pattern: /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/,
  rule: 'use small letters, digits and -, 32 at most',
  example: 'company',
}

const TENANT_NAMING: Naming = {
  pattern: /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/,
  rule: 'use small letters, digits, - and _, 63 at most',
  example: 'acme',
}

/** RFC 6749 §3.3, scope-token. */
const wrongScope = (word: string): string | undefined =>
  /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(word)
    ? undefined
    : 'is not a scope: no spaces, quotes or backslashes'

const wrongGroup = (word: string): string | undefined =>
  word.length > 256 ? 'is longer than 256 characters' : undefined

const groups = (about: string, example: string) => strings(about, { check: wrongGroup, example: [example] })

const fields = section('One provider.', {
  title: optional(text('What people are shown.', { example: 'Company login' }), 'the name of the provider'),
  issuer: webUrl(
    'Its issuer, to the letter. Must be https, except on this machine. Endpoints and keys are found from it.',
    { exact: true, example: 'https://login.example.com/realms/company' },
  ),
  clientId: text('The id under which Postern is registered there.', { example: 'postern' }),
  clientSecret: optional(
    secret('The secret of the registration.', { example: '$env:COMPANY_LOGIN_SECRET' }),
    'a public client, which has none',
  ),
  scopes: strings('Scopes to ask for.', { standard: ['openid', 'profile', 'email'], check: wrongScope }),
  usernameClaim: text('Claim that the name of a new user is made of.', { standard: 'preferred_username' }),
  emailClaim: text('Claim with the e-mail address.', { standard: 'email' }),
  groupsClaim: text('Claim with the groups: a list, or a single one; `a.b` is `b` within `a`.', {
    standard: 'groups',
  }),
  requireVerifiedEmail: flag('Refuse people whose e-mail address the provider has not verified.', {
    standard: false,
  }),
  roles: section('Groups whose people have a role; the highest one counts. In none of them: refused.', {
    admin: optional(groups('Groups of admins.', 'postern-admins')),
    writer: optional(groups('Groups of writers.', 'analysts')),
    reader: optional(groups('Groups of readers.', 'staff')),
  }),
  tenants: named(
    'Groups whose people belong to a tenant. Without this and `tenantClaim` everybody is of `default`.',
    groups('Groups of one tenant.', 'acme-staff'),
    TENANT_NAMING,
  ),
  tenantClaim: optional(text('Claim that holds the tenant, in place of `tenants`.')),
  createTenants: flag('Make tenants that do not exist yet, instead of refusing their people.', {
    standard: false,
  }),
  timeout: duration(
    'For all that is asked of the provider during one sign-in.',
    { min: 1_000, max: 60_000 },
    { standard: '10s' },
  ),
})

type Fields = ValueOf<typeof fields>

const provider = mapped(fields, (value, place, context): OidcProviderSettings | undefined => {
  const problems = [
    ...wrongIssuer(value),
    ...wrongRoles(value),
    ...wrongTenants(value),
    ...(value.scopes.includes('openid')
      ? []
      : [['config_bad_value', 'scopes', 'must hold openid: without it there is no sign-in'] as const]),
  ]
  for (const [code, member, message] of problems)
    context.report.problem(code, at(member, place, context), message)
  if (value.createTenants && value.tenants.length === 0 && value.tenantClaim === null) {
    const message = 'does nothing without tenants or tenantClaim'
    context.report.warning('config_ignored', at('createTenants', place, context), message)
  }
  if (problems.length > 0) return undefined
  const { timeout, tenants, title, roles, ...rest } = value
  return {
    ...rest,
    name: place.name ?? '',
    title: title ?? place.name ?? '',
    roles: { admin: roles.admin ?? [], writer: roles.writer ?? [], reader: roles.reader ?? [] },
    tenants: tenants.map(({ name, value: of }) => ({ name, groups: of })),
    timeoutMs: timeout,
  }
})

type Wrong = readonly [
  code: 'config_insecure' | 'config_bad_value' | 'config_missing' | 'config_conflict',
  member: string,
  message: string,
]

function wrongIssuer({ issuer }: Fields): readonly Wrong[] {
  const { protocol, hostname, search } = new URL(issuer)
  // OpenID Connect Discovery 1.0 §3: no query.
  if (search !== '' || issuer.includes('?')) return [['config_bad_value', 'issuer', 'must not have a query']]
  if (protocol === 'https:' || isLoopbackHost(hostname.replace(/^\[|\]$/g, ''))) return []
  return [['config_insecure', 'issuer', 'must be https: whoever is on the way could sign in as anybody']]
}

function wrongRoles({ roles }: Fields): readonly Wrong[] {
  if ([roles.admin, roles.writer, roles.reader].some((of) => of !== null && of.length > 0)) return []
  return [['config_missing', 'roles', 'names no group: nobody could sign in']]
}

function wrongTenants({ tenants, tenantClaim }: Fields): readonly Wrong[] {
  if (tenants.length > 0 && tenantClaim !== null) {
    return [['config_conflict', 'tenantClaim', 'and tenants exclude each other: keep one']]
  }
  return tenants.flatMap(({ name, value }, index): readonly Wrong[] => {
    const member = memberPath('tenants', name)
    if (value.length === 0) return [['config_missing', member, 'names no group']]
    const twin = tenants.slice(0, index).find((other) => other.value.some((group) => value.includes(group)))
    return twin
      ? [['config_conflict', member, `shares a group with ${twin.name}: its people would belong to neither`]]
      : []
  })
}

const at = (member: string, place: Place, context: Context): Pick<Place, 'where' | 'path'> =>
  context.places.get(memberPath(place.key, member)) ?? {
    where: place.where,
    path: memberPath(place.path, member),
  }

/** Sign-in with other people's providers. Who is in no configured group stays outside. */
export const oidc = mapped(
  named(
    'Providers (OpenID Connect) with which people sign in, beside those who have a password here.',
    provider,
    PROVIDER_NAMING,
  ),
  (providers): readonly OidcProviderSettings[] => providers.map(({ value }) => value),
)
