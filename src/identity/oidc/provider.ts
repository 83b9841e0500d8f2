import type { Secret } from '../../lib/secret.ts'

/** A provider that people sign in with, as it is configured. */
export interface OidcProvider {
  /** A part of its addresses here. */
  readonly name: string
  /** What people are shown. */
  readonly title: string
  /** To the letter, as its tokens name it. */
  readonly issuer: string
  readonly clientId: string
  /** `null` for a public client. */
  readonly clientSecret: Secret | null
  readonly scopes: readonly string[]
  readonly usernameClaim: string
  readonly emailClaim: string
  readonly groupsClaim: string
  readonly requireVerifiedEmail: boolean
  /** Groups of each role; the highest role counts. */
  readonly roles: {
    readonly admin: readonly string[]
    readonly writer: readonly string[]
    readonly reader: readonly string[]
  }
  /** Groups of each tenant. */
  readonly tenants: readonly { readonly name: string; readonly groups: readonly string[] }[]
  /** The claim that holds the tenant, in place of `tenants`. */
  readonly tenantClaim: string | null
  readonly createTenants: boolean
  /** For everything that is asked of the provider in one sign-in. */
  readonly timeoutMs: number
}
