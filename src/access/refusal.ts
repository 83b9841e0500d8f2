/**
 * A refusal is an answer, not a fault: it says which rule refused and what would be allowed instead. It
 * knows nothing of HTTP; `http/error-to-wire.ts` and `mcp/` turn it into status codes and JSON-RPC errors.
 */
export interface Refusal {
  readonly code: RefusalCode
  /** The rule that refused, as `access explain`, the audit and the documentation name it. */
  readonly rule: string
  /** One sentence for the caller: what was refused and why. */
  readonly message: string
  /** What the caller could do instead. */
  readonly allowed?: string
  /** All the scopes that are needed, where a missing scope is the reason. */
  readonly scopes?: readonly string[]
  /** The kind of SQL statement or node that was refused, such as `DeleteStmt`. */
  readonly node?: string
  /** PostgreSQL's error code, and where in the statement (character, from 1) and what it advises. */
  readonly sqlstate?: string
  readonly position?: number
  readonly hint?: string
  /** Names a caller may use instead: candidates, databases. Never names they may not see. */
  readonly candidates?: readonly string[]
  /** Seconds after which trying again makes sense, where that is known. */
  readonly retryAfterS?: number
}

/** Every code has its line in `docs/errors.md`; a test compares the two. */
export const REFUSAL_CODES = [
  'unauthorized',
  'login_failed',
  'sign_in_failed',
  'sign_in_refused',
  'level_too_low',
  'scope_missing',
  'server_not_allowed',
  'database_not_allowed',
  'tenant_not_allowed',
  'tool_not_allowed',
  'tool_failed',
  'upstream_credential_missing',
  'write_needs_confirmation',
  'sql_refused',
  'sql_syntax',
  'sql_failed',
  'sql_timeout',
  'result_too_large',
  'invalid_arguments',
  'invalid_request',
  'unknown_tool',
  'not_found',
  'conflict',
  'body_too_large',
  'headers_too_large',
  'request_timeout',
  'unsupported_media_type',
  'method_not_allowed',
  'host_not_allowed',
  'origin_not_allowed',
  'session_unknown',
  'too_many_requests',
  'too_many_sessions',
  'cancelled',
] as const

export type RefusalCode = (typeof REFUSAL_CODES)[number]

export const refusal = (
  code: RefusalCode,
  rule: string,
  message: string,
  more: Omit<Refusal, 'code' | 'rule' | 'message'> = {},
): Refusal => ({
  code,
  rule,
  message,
  ...more,
})
