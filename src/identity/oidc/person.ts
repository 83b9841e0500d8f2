import { err, ok, type Result } from '../../lib/result.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import { readEmail } from '../users/user-name.ts'
import type { OidcProvider } from './provider.ts'

/** What a provider says of somebody. */
export interface Person {
  /** `sub`: the only name that stays the same and is nobody else's (OpenID Connect Core 1.0 §5.7). */
  readonly subject: string
  /** As the provider writes it; `null` where it says none. */
  readonly username: string | null
  /** Only one that the provider has verified. */
  readonly email: string | null
  readonly groups: readonly string[]
  /** The value of the tenant's claim, where one is configured. */
  readonly tenant: string | null
}

export type ProviderClaims = Readonly<Record<string, unknown>>

const LONGEST_SUBJECT = 255
const LONGEST_NAME = 256
const MOST_GROUPS = 5_000
const LONGEST_GROUP = 256

/** Reads the claims of an ID token and of userinfo, which were verified before. What is not as it should be is refused. */
export function readPerson(claims: ProviderClaims, provider: OidcProvider): Result<Person, UserRefusal> {
  const { sub } = claims
  if (typeof sub !== 'string' || sub === '' || sub.length > LONGEST_SUBJECT || /\p{Cc}/u.test(sub)) {
    return err(odd('sub'))
  }
  const groups = readGroups(claimAt(claims, provider.groupsClaim))
  if (groups === undefined) return err(odd(provider.groupsClaim))
  const tenant = provider.tenantClaim === null ? null : claimAt(claims, provider.tenantClaim)
  return ok({
    subject: sub,
    username: textOf(claimAt(claims, provider.usernameClaim)),
    email: verifiedEmail(claims, provider),
    groups,
    tenant: textOf(tenant),
  })
}

/**
 * A claim by its name, or else by the way to it: the name of a claim can hold dots itself, as those that begin with an
 * address do.
 */
export function claimAt(claims: ProviderClaims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let at: unknown = claims
  for (const step of path.split('.')) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, step))
      return undefined
    at = (at as ProviderClaims)[step]
  }
  return at
}

/** Absent is no group; `undefined` for what is no list of groups. */
function readGroups(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > MOST_GROUPS) return undefined
  const groups = list.filter((one) => typeof one === 'string')
  if (groups.length !== list.length || groups.some((one) => one.length > LONGEST_GROUP)) return undefined
  return groups
}

/** `email_verified` goes with the standard claim only; no other one says whether it was. */
function verifiedEmail(claims: ProviderClaims, { emailClaim }: OidcProvider): string | null {
  const given = textOf(claimAt(claims, emailClaim))
  if (given === null || claims['email_verified'] !== true) return null
  const email = readEmail(given)
  return email.ok ? email.value : null
}

const textOf = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME ? value : null

const odd = (claim: string): UserRefusal =>
  userRefusal('sign_in_refused', 'oidc.claims', `the provider's claim "${claim}" cannot be read`)
