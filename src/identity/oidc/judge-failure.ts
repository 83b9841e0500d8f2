import { err } from '../../lib/result.ts'
import { Fault } from '../../lib/fault.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import { invalid } from './guarded-fetch.ts'
import type { OidcProvider } from './provider.ts'

export interface Refused {
  readonly ok: false
  readonly error: UserRefusal
}

/** RFC 6749 §4.1.2.1 and OpenID Connect Core 1.0 §3.1.2.6: the words that may be repeated. */
const DENIALS: ReadonlySet<string> = new Set([
  'access_denied',
  'account_selection_required',
  'consent_required',
  'interaction_required',
  'invalid_request',
  'invalid_scope',
  'login_required',
  'server_error',
  'temporarily_unavailable',
  'unauthorized_client',
  'unsupported_response_type',
])

/** The provider sent the person back with an error. Its description is anybody's text, and is not shown. */
export function denied(error: string): UserRefusal {
  const word = DENIALS.has(error) ? error : 'an error'
  return userRefusal('sign_in_failed', 'oidc.denied', `the provider answered with ${word}`, {
    allowed: 'begin again, or ask those who keep the provider',
  })
}

/** Which of its claims an ID token was refused for. */
const RULES: Readonly<Record<string, string>> = {
  nonce: 'oidc.nonce',
  iss: 'oidc.issuer',
  aud: 'oidc.audience',
}

/**
 * What the library found wrong with an answer of a provider: refused where it is about this one sign-in, thrown where
 * it is about the provider.
 *
 * @throws Fault `provider_invalid`, and those of the requests
 */
export function judgeFailure(error: unknown, provider: OidcProvider): Refused {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof Fault) throw at
  if (!(error instanceof Error)) throw error
  const code = 'code' in error ? String(error.code) : ''
  const word = 'error' in error && typeof error.error === 'string' ? error.error : ''
  if (code === 'OAUTH_RESPONSE_BODY_ERROR' && word === 'invalid_grant') {
    // A code that was used, or that was made for another sign-in: PKCE refuses it (RFC 7636 §4.6).
    return refused('oidc.code', 'the provider does not take the code that it sent you with')
  }
  if (code === 'OAUTH_RESPONSE_BODY_ERROR') {
    throw invalid(
      provider,
      `its token endpoint answered ${/^[a-z_]{1,40}$/.test(word) ? word : 'with an error'}`,
    )
  }
  if (code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED') {
    return refused('oidc.time', 'the ID token of the provider is not valid at this time')
  }
  if (code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED') {
    return refused(
      RULES[claimOf(error)] ?? 'oidc.id_token',
      'the ID token of the provider is not for this sign-in',
    )
  }
  if (OF_ID_TOKEN.has(code))
    return refused('oidc.id_token', 'the ID token of the provider cannot be verified')
  throw invalid(provider, `its answer is not as it should be (${code === '' ? error.name : code})`)
}

const OF_ID_TOKEN: ReadonlySet<string> = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_UNSUPPORTED_OPERATION',
])

/** The library keeps what it compared in the cause of the cause. */
function claimOf(error: Error): string {
  for (let at: unknown = error.cause; typeof at === 'object' && at !== null; at = (at as Error).cause) {
    if ('claim' in at && typeof at.claim === 'string') return at.claim
  }
  return ''
}

const refused = (rule: string, message: string): Refused =>
  err(userRefusal('sign_in_failed', rule, message, { allowed: 'begin again' }))
