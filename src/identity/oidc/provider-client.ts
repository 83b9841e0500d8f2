import type * as openidClient from 'openid-client'
import type { Configuration, ServerMetadata } from 'openid-client'
import type { Clock } from '../../lib/clock.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Observe } from '../../observe/observation.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import { wrongEndpoint } from './endpoint-rules.ts'
import { invalid, openProviderAgent, type ProviderAgent, unavailable } from './guarded-fetch.ts'
import { denied, judgeFailure, type Refused } from './judge-failure.ts'
import { claimAt, type ProviderClaims } from './person.ts'
import type { OidcProvider } from './provider.ts'
import { challengeOf, type Transaction } from './transactions.ts'

type Library = typeof openidClient
type Keys = NonNullable<ReturnType<Library['getJwksCache']>>

/** What the provider sent the browser back with. */
export interface ProviderAnswer {
  readonly code: string | null
  readonly error: string | null
  /** RFC 9207. */
  readonly iss: string | null
}

/** What its documents say is asked for again after this; an old answer does for a day where none is to be had. */
const REFRESH_MS = 3_600_000
const STALE_MS = 24 * REFRESH_MS

/** So long a failure is the answer to everybody: many who want to sign in must not become a flood at the provider. */
const FAILURE_MS = 5_000

/** Its keys are asked for again after this, and at once for a token of a key that is not known yet. */
const KEYS_MS = 300_000

/** The library asks for unknown keys only when those it has are at least this old. Seconds. */
const KEYS_OLD_ENOUGH_S = 61

/** How far the provider's clock may be off. Seconds. */
export const LEEWAY_S = 60

interface Found {
  readonly metadata: ServerMetadata
  readonly at: number
}

/** One provider: its documents, found when they are first needed, and the exchange of a code for what it says of somebody. */
export class ProviderClient {
  readonly #provider: OidcProvider
  readonly #clock: Clock
  readonly #observe: Observe
  #library: Promise<Library> | undefined
  #agent: ProviderAgent | undefined
  #found: Found | undefined
  #finding: Promise<Found> | undefined
  #failure: { readonly fault: unknown; readonly until: number } | undefined
  #keys: { readonly jwks: Keys; readonly at: number } | undefined

  constructor(provider: OidcProvider, clock: Clock, observe: Observe) {
    this.#provider = provider
    this.#clock = clock
    this.#observe = observe
  }

  /**
   * Where a browser is sent to sign in (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3).
   *
   * @throws Fault `provider_unavailable`, `provider_invalid`
   */
  async authorizationUrl({ state, nonce, verifier }: Transaction, redirectUri: string): Promise<string> {
    return await this.#inTime(async (signal) => {
      const config = await this.#configuration(signal)
      const library = await this.#load()
      return library.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: this.#provider.scopes.join(' '),
        state,
        nonce,
        code_challenge: challengeOf(verifier),
        code_challenge_method: 'S256',
      }).href
    })
  }

  /**
   * Redeems the code of an answer, and verifies whatever comes of it.
   *
   * @throws Fault `provider_unavailable`, `provider_invalid`
   */
  async claims(
    answer: ProviderAnswer,
    transaction: Transaction,
    redirectUri: string,
  ): Promise<Result<ProviderClaims, UserRefusal>> {
    return await this.#inTime(async (signal) => {
      const config = await this.#configuration(signal)
      const wrong = this.#judgeAnswer(answer, config.serverMetadata())
      if (wrong) return err(wrong)
      const library = await this.#load()
      const url = new URL(redirectUri)
      url.searchParams.set('code', answer.code ?? '')
      url.searchParams.set('state', transaction.state)
      if (answer.iss !== null) url.searchParams.set('iss', answer.iss)
      try {
        const tokens = await library.authorizationCodeGrant(config, url, {
          pkceCodeVerifier: transaction.verifier,
          expectedState: transaction.state,
          expectedNonce: transaction.nonce,
          idTokenExpected: true,
        })
        this.#keepKeys(library, config)
        const claims = tokens.claims()
        if (!claims) return err(notVerified())
        const late = this.#judgeTime(claims, transaction)
        if (late) return err(late)
        // Another client's token, which names us among its audiences (OpenID Connect Core 1.0 §3.1.3.7).
        if (claims.azp !== undefined && claims.azp !== this.#provider.clientId) return err(notVerified())
        if (!this.#lacksSomething(claims) || config.serverMetadata().userinfo_endpoint === undefined) {
          return ok(claims)
        }
        // Of the same `sub`, or it is refused (OpenID Connect Core 1.0 §5.3.2). What is signed comes first.
        const more = await library.fetchUserInfo(config, tokens.access_token, claims.sub).then(
          (value) => ok<ProviderClaims>(value),
          (error: unknown) => judgeUserInfo(error, this.#provider),
        )
        return more.ok ? ok({ ...more.value, ...claims }) : more
      } catch (error) {
        return judgeFailure(error, this.#provider)
      }
    })
  }

  async close(): Promise<void> {
    await this.#agent?.close()
  }

  /** RFC 9207 §2.4: an answer that names another issuer, or none where the provider always names itself, is a mix-up. */
  #judgeAnswer({ code, error, iss }: ProviderAnswer, metadata: ServerMetadata): UserRefusal | undefined {
    const named = metadata.authorization_response_iss_parameter_supported === true
    if (iss === null ? named : iss !== metadata.issuer) {
      return userRefusal('sign_in_failed', 'oidc.issuer', 'the answer is not that of the provider', {
        allowed: 'begin again',
      })
    }
    if (error !== null) return denied(error)
    if (code !== null) return undefined
    return userRefusal('sign_in_failed', 'oidc.answer', 'the answer of the provider holds no code', {
      allowed: 'begin again',
    })
  }

  /** A token that was made before this sign-in began, or is to come, is not the answer to it. */
  #judgeTime({ iat }: { readonly iat: number }, { beganAt }: Transaction): UserRefusal | undefined {
    const notBefore = Math.floor(beganAt / 1_000) - LEEWAY_S
    const notAfter = Math.floor(this.#clock.now() / 1_000) + LEEWAY_S
    if (iat >= notBefore && iat <= notAfter) return undefined
    return userRefusal('sign_in_failed', 'oidc.time', 'the ID token of the provider is not of this time', {
      allowed: 'begin again; if it goes on, the clock here or there is wrong',
    })
  }

  /** Many providers put little into the ID token, and the rest into userinfo. */
  #lacksSomething(claims: ProviderClaims): boolean {
    const { usernameClaim, emailClaim, groupsClaim, tenantClaim } = this.#provider
    const wanted = [usernameClaim, emailClaim, groupsClaim, ...(tenantClaim === null ? [] : [tenantClaim])]
    return wanted.some((claim) => claimAt(claims, claim) === undefined)
  }

  /** The library, ready for requests of one sign-in. Of our own making each time: time limit and clock are of now. */
  async #configuration(signal: AbortSignal): Promise<Configuration> {
    const library = await this.#load()
    const { metadata } = await this.#find(signal)
    const { clientId, clientSecret, issuer } = this.#provider
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    const authenticate =
      clientSecret === null
        ? library.None()
        : methods.includes('client_secret_basic')
          ? library.ClientSecretBasic(clientSecret.reveal())
          : library.ClientSecretPost(clientSecret.reveal())
    const config = new library.Configuration(
      metadata,
      clientId,
      {
        // The library looks at the clock of the system; this makes it ours.
        [library.clockSkew]: Math.round((this.#clock.now() - Date.now()) / 1_000),
        [library.clockTolerance]: LEEWAY_S,
      },
      authenticate,
    )
    if (new URL(issuer).protocol === 'http:') library.allowInsecureRequests(config)
    library.enableNonRepudiationChecks(config)
    config[library.customFetch] = this.#open().fetch(signal)
    // One limit, by our clock, for all requests together.
    config.timeout = 0
    if (this.#keys && this.#clock.now() - this.#keys.at < KEYS_MS) {
      library.setJwksCache(config, {
        ...this.#keys.jwks,
        uat: Math.floor(Date.now() / 1_000) - KEYS_OLD_ENOUGH_S,
      })
    }
    return config
  }

  #keepKeys(library: Library, config: Configuration): void {
    const jwks = library.getJwksCache(config)
    if (!jwks || Date.now() / 1_000 - jwks.uat >= KEYS_OLD_ENOUGH_S) return
    this.#keys = { jwks, at: this.#clock.now() }
  }

  async #find(signal: AbortSignal): Promise<Found> {
    const now = this.#clock.now()
    if (this.#found && now - this.#found.at < REFRESH_MS) return this.#found
    const old = this.#found && now - this.#found.at < STALE_MS ? this.#found : undefined
    if (this.#failure && now < this.#failure.until) {
      if (old) return old
      throw this.#failure.fault
    }
    this.#finding ??= this.#findNow(signal).finally(() => {
      this.#finding = undefined
    })
    try {
      return await this.#finding
    } catch (fault) {
      if (old) return old
      throw fault
    }
  }

  async #findNow(signal: AbortSignal): Promise<Found> {
    const { name, issuer, clientId } = this.#provider
    const library = await this.#load()
    try {
      const config = await library
        .discovery(new URL(issuer), clientId, undefined, library.None(), {
          [library.customFetch]: this.#open().fetch(signal),
          execute: new URL(issuer).protocol === 'http:' ? [library.allowInsecureRequests] : [],
        })
        .catch((error: unknown) => judgeDiscovery(error, this.#provider))
      const metadata = config.serverMetadata()
      judgeMetadata(metadata, this.#provider)
      this.#failure = undefined
      this.#found = { metadata, at: this.#clock.now() }
      return this.#found
    } catch (fault) {
      this.#failure = { fault, until: this.#clock.now() + FAILURE_MS }
      const why = fault instanceof Error && fault.cause instanceof Error ? fault.cause.message : 'unknown'
      this.#observe({ kind: 'provider.failed', provider: name, message: why })
      throw fault
    }
  }

  /** @throws Fault `provider_unavailable` when the time is over */
  async #inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const cancel = this.#clock.after(this.#provider.timeoutMs, () => {
      controller.abort(unavailable(this.#provider, 'it did not answer in time'))
    })
    try {
      return await work(controller.signal)
    } finally {
      cancel()
    }
  }

  /** Loaded when somebody signs in for the first time: a start is not to wait for it. */
  #load(): Promise<Library> {
    return (this.#library ??= import('openid-client'))
  }

  #open(): ProviderAgent {
    return (this.#agent ??= openProviderAgent(this.#provider))
  }
}

/**
 * The one refusal that userinfo can be: of another subject. Its other failures are about the provider.
 *
 * @throws Fault `provider_invalid`, and those of the requests
 */
function judgeUserInfo(error: unknown, provider: OidcProvider): Refused {
  const { error: judged } = judgeFailure(error, provider)
  return err({
    ...judged,
    rule: 'oidc.userinfo',
    message: 'the userinfo of the provider is not of this account',
  })
}

/** @throws Fault of whatever went wrong */
function judgeDiscovery(error: unknown, provider: OidcProvider): never {
  const judged = judgeFailure(error, provider)
  throw invalid(provider, `its discovery document cannot be used (${judged.error.rule})`)
}

/** @throws Fault `provider_invalid` */
function judgeMetadata(metadata: ServerMetadata, provider: OidcProvider): void {
  // The library makes exceptions for providers that speak for many issuers: any of their customers could sign in here.
  if (new URL(metadata.issuer).href !== new URL(provider.issuer).href) {
    throw invalid(provider, 'its discovery document is that of another issuer')
  }
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'] as const) {
    const endpoint = metadata[name]
    if (endpoint === undefined && name === 'userinfo_endpoint') continue
    const wrong = typeof endpoint === 'string' ? wrongEndpoint(endpoint, provider.issuer) : 'is missing'
    if (wrong !== null) throw invalid(provider, `its ${name} ${wrong}`)
  }
}

const notVerified = (): UserRefusal =>
  userRefusal('sign_in_failed', 'oidc.audience', 'the ID token of the provider is not for this sign-in', {
    allowed: 'begin again',
  })
