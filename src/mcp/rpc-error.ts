import type { RequestId } from './message.ts'

/** Codes of JSON-RPC 2.0 and of the MCP specification (2026-07-28 basic, "Error Codes"). */
export const RPC_CODE = {
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  headerMismatch: -32_020,
  unsupportedVersion: -32_022,
  // Our own. The specification leaves every number outside -32768…-32000 to applications; these are the
  // HTTP status of the same answer, so that a person reading a log needs no table.
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  notAcceptable: 406,
  tooMany: 429,
  cancelled: 499,
} as const

/** What `WWW-Authenticate` must say beside the error (RFC 6750 §3.1). */
export type Challenge =
  | { readonly error: 'invalid_token' }
  | { readonly error: 'insufficient_scope'; readonly scopes: readonly string[] }

/** An error as JSON-RPC carries it, with the HTTP status of a reply that holds nothing else. */
export interface RpcError {
  readonly status: number
  readonly code: number
  readonly message: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly challenge?: Challenge
  readonly retryAfterS?: number
  /** Methods for the `Allow` header of a 405. */
  readonly allow?: string
}

export const rpcError = (
  status: number,
  code: number,
  message: string,
  more: Omit<RpcError, 'status' | 'code' | 'message'> = {},
): RpcError => ({ status, code, message, ...more })

/**
 * Serialises an error response. A request whose id could not be read is answered with `null` (JSON-RPC 2.0
 * §5); the 2026-07-28 schema knows no `null` id and leaves the member out.
 */
export function failure(id: RequestId | undefined, error: RpcError, stateless = false): string {
  const { code, message, data } = error
  const head = id === undefined ? (stateless ? '' : '"id":null,') : `"id":${JSON.stringify(id)},`
  return `{"jsonrpc":"2.0",${head}"error":${JSON.stringify(data === undefined ? { code, message } : { code, message, data })}}`
}

/** Serialises a result response around a result that is JSON text already. */
export const success = (id: RequestId, resultJson: string): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${resultJson}}`
