import { isScopeToken } from '../access/is-scope-token.ts'
import { type Refusal, type RefusalCode, refusal } from '../access/refusal.ts'
import { Fault, type FaultCode } from '../lib/fault.ts'

/** The `error` word of the one JSON error shape: a coarse class; `code` is the precise one. */
export type ErrorWord =
  | 'bad_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'timeout'
  | 'conflict'
  | 'too_large'
  | 'unsupported_media_type'
  | 'unprocessable'
  | 'too_many_requests'
  | 'internal'
  | 'unavailable'

/** The one JSON error shape of every REST route. */
export interface ErrorBody {
  readonly error: ErrorWord
  readonly message: string
  readonly code: RefusalCode | FaultCode
  readonly rule?: string
  readonly allowed?: string
  readonly scopes?: readonly string[]
  readonly node?: string
  readonly sqlstate?: string
  readonly position?: number
  readonly hint?: string
  readonly candidates?: readonly string[]
  readonly request_id: string
}

/** An error as a response that any transport can send. */
export interface WireError {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ErrorBody
}

/** What the reply to a refusal says beyond the refusal itself. */
export interface WireContext {
  readonly requestId: string
  /** URL of the RFC 9728 document that a challenge names. */
  readonly resourceMetadata: string
  /** A credential was shown, so RFC 6750 §3.1 wants `error="invalid_token"` in the challenge. */
  readonly credentialShown?: boolean
}

interface StatusLine {
  readonly status: number
  readonly word: ErrorWord
}

const line = (status: number, word: ErrorWord): StatusLine => ({ status, word })

/** The status and the class of each refusal. Exhaustive: a new code does not compile until it is placed here. */
export function refusalStatus(code: RefusalCode): StatusLine {
  switch (code) {
    case 'unauthorized':
    case 'login_failed':
      return line(401, 'unauthorized')
    case 'sign_in_refused':
    case 'level_too_low':
    case 'scope_missing':
    case 'server_not_allowed':
    case 'database_not_allowed':
    case 'tenant_not_allowed':
    case 'tool_not_allowed':
    case 'upstream_credential_missing':
    case 'write_needs_confirmation':
    case 'sql_refused':
    case 'host_not_allowed':
    case 'origin_not_allowed':
      return line(403, 'forbidden')
    case 'sign_in_failed':
    case 'invalid_arguments':
    case 'invalid_request':
    case 'sql_syntax':
      return line(400, 'bad_request')
    case 'unknown_tool':
    case 'not_found':
    case 'session_unknown':
      return line(404, 'not_found')
    case 'method_not_allowed':
      return line(405, 'method_not_allowed')
    case 'request_timeout':
      return line(408, 'timeout')
    case 'conflict':
    case 'cancelled':
      return line(409, 'conflict')
    case 'body_too_large':
      return line(413, 'too_large')
    case 'unsupported_media_type':
      return line(415, 'unsupported_media_type')
    case 'sql_failed':
    case 'tool_failed':
    case 'result_too_large':
      return line(422, 'unprocessable')
    case 'too_many_requests':
    case 'too_many_sessions':
      return line(429, 'too_many_requests')
    case 'headers_too_large':
      return line(431, 'too_large')
    case 'sql_timeout':
      return line(504, 'timeout')
    default:
      return unplaced(code)
  }
}

/** The status and the class of each fault. */
export function faultStatus(code: FaultCode): StatusLine {
  switch (code) {
    case 'store_unavailable':
    case 'database_unavailable':
    case 'database_busy':
    case 'tenant_not_ready':
    case 'model_unavailable':
    case 'upstream_unavailable':
    case 'upstream_busy':
    case 'provider_unavailable':
    case 'credential_changed':
    case 'shutting_down':
      return line(503, 'unavailable')
    case 'upstream_invalid':
    case 'provider_invalid':
      return line(502, 'unavailable')
    case 'upstream_timeout':
      return line(504, 'timeout')
    case 'config_invalid':
    case 'data_dir_unusable':
    case 'address_in_use':
    case 'address_unusable':
    case 'store_newer':
    case 'internal':
      return line(500, 'internal')
    default:
      return unplaced(code)
  }
}

/** Never reached in checked code: a code without a place does not compile. */
function unplaced(code: never): StatusLine {
  throw new Error(`the code ${String(code)} has no status`)
}

/**
 * A refusal as a reply: generous about rules, vague about credentials. Whatever was wrong with a
 * credential, the caller reads the same sentence; the precise reason is in the log and the audit.
 */
export function refusalToWire(refused: Refusal, context: WireContext): WireError {
  const { status, word } = refusalStatus(refused.code)
  if (refused.code === 'unauthorized') {
    const body = { error: word, message: UNAUTHORIZED, code: refused.code, request_id: context.requestId }
    return { status, headers: { 'www-authenticate': challenge(context) }, body }
  }
  const body: ErrorBody = {
    error: word,
    message: refused.message,
    code: refused.code,
    rule: refused.rule,
    ...(refused.allowed === undefined ? {} : { allowed: refused.allowed }),
    ...(refused.scopes === undefined ? {} : { scopes: refused.scopes }),
    ...(refused.node === undefined ? {} : { node: refused.node }),
    ...(refused.sqlstate === undefined ? {} : { sqlstate: refused.sqlstate }),
    ...(refused.position === undefined ? {} : { position: refused.position }),
    ...(refused.hint === undefined ? {} : { hint: refused.hint }),
    ...(refused.candidates === undefined ? {} : { candidates: refused.candidates }),
    request_id: context.requestId,
  }
  return { status, headers: refusalHeaders(refused, context), body }
}

function refusalHeaders(refused: Refusal, context: WireContext): Readonly<Record<string, string>> {
  if (refused.code === 'scope_missing') return scopeChallenge(refused, context)
  // RFC 9110 §15.5.2: a 401 names a scheme that would do.
  if (refused.code === 'login_failed') return { 'www-authenticate': challenge(context) }
  const { retryAfterS } = refused
  return retryAfterS === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterS))) }
}

/**
 * A fault as a reply. Anything that is not a `Fault` is a defect: the caller gets its request id and nothing
 * else. The store's own sentence names its file, and a stranger's invented token is enough to hear it.
 */
export function faultToWire(thrown: unknown, context: WireContext): WireError {
  // What is away, busy or slow is told in the sentence made for callers; of a defect they learn nothing.
  const known = thrown instanceof Fault && faultStatus(thrown.code).status > 500
  const code = thrown instanceof Fault ? thrown.code : 'internal'
  const { status, word } = faultStatus(code)
  return {
    status,
    headers:
      thrown instanceof Fault && thrown.retryAfterS !== undefined
        ? { 'retry-after': String(Math.max(1, Math.ceil(thrown.retryAfterS))) }
        : {},
    body: {
      error: word,
      message: code === 'store_unavailable' ? STORE_AWAY : known ? thrown.message : INTERNAL,
      code,
      request_id: context.requestId,
    },
  }
}

/**
 * Whether a fault must be in the log: a defect, and what nobody else reports. The databases tell of themselves
 * when they go and come back; being busy or stopping is no news.
 */
export function belongsInLog(thrown: unknown): boolean {
  if (!(thrown instanceof Fault)) return true
  return (
    faultStatus(thrown.code).status === 500 ||
    thrown.code === 'store_unavailable' ||
    thrown.code === 'model_unavailable'
  )
}

export const unauthorized: Refusal = refusal('unauthorized', 'credential', 'a valid credential is needed')

const UNAUTHORIZED = 'a valid credential is needed: send it as "Authorization: Bearer <token>"'
const STORE_AWAY = 'the store of this gateway cannot be used at the moment: try again'
const INTERNAL = 'something failed inside Postern; the log has the details under this request id'

/** RFC 6750 §3 and RFC 9728 §5.1. Without a credential there is no `error`, so that a client starts from the metadata. */
function challenge({ resourceMetadata, credentialShown }: WireContext): string {
  const start = `Bearer realm="postern", resource_metadata="${resourceMetadata}"`
  return credentialShown === true
    ? `${start}, error="invalid_token", error_description="the credential is not valid"`
    : start
}

/** RFC 6750 §3.1: every scope that is needed, not only the missing one, so that one new request for them is enough. */
function scopeChallenge(
  refused: Refusal,
  { resourceMetadata }: WireContext,
): Readonly<Record<string, string>> {
  const scopes = (refused.scopes ?? []).filter(isScopeToken)
  // RFC 6750 §3: the list has one scope at least. "all" has no list.
  const list = scopes.length === 0 ? '' : `, scope="${scopes.join(' ')}"`
  return {
    'www-authenticate': `Bearer realm="postern", error="insufficient_scope"${list}, resource_metadata="${resourceMetadata}"`,
  }
}
