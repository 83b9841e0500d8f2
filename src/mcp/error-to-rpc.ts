import { type Refusal, refusal } from '../access/refusal.ts'
import { overdueRefusal } from '../access/stop-refusal.ts'
import { Fault, type FaultCode } from '../lib/fault.ts'
import { unreachable } from '../lib/unreachable.ts'
import { credentialEnded, shuttingDown } from './session-errors.ts'
import { RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'

/** Why a running call was stopped before its tool answered. */
export type StopReason = 'cancelled' | 'timeout' | 'gone' | 'revoked' | 'expired' | 'changed' | 'shutdown'

/**
 * The one place where refusals become JSON-RPC. `null` means: answer the call with a tool result that has
 * `isError`, because a model that reads the sentence can do better (2025-11-25 tools, "Error Handling").
 * Everything else is about the request rather than about what the tool was asked to do.
 *
 * @param alone false inside a batch or on a 2024-11-05 stream, where no HTTP status can carry a challenge
 */
export function refusalToRpc(reason: Refusal, alone: boolean): RpcError | null {
  const data = { code: reason.code, rule: reason.rule, ...optional('allowed', reason.allowed) }
  const { message } = reason
  switch (reason.code) {
    case 'level_too_low':
    case 'server_not_allowed':
    case 'database_not_allowed':
    case 'tenant_not_allowed':
    case 'tool_not_allowed':
    case 'tool_failed':
    case 'upstream_credential_missing':
    case 'write_needs_confirmation':
    case 'sql_refused':
    case 'sql_syntax':
    case 'sql_failed':
    case 'sql_timeout':
    case 'result_too_large':
    case 'invalid_arguments':
    case 'not_found':
    case 'conflict':
    case 'cancelled':
      return null
    case 'scope_missing':
      // 2025-11-25 authorization, "Runtime Insufficient Scope Errors": one challenge with every scope needed.
      return alone
        ? rpcError(403, RPC_CODE.forbidden, message, {
            data: { ...data, ...optional('scopes', reason.scopes) },
            challenge: { error: 'insufficient_scope', scopes: reason.scopes ?? [] },
          })
        : null
    case 'unknown_tool':
      return rpcError(200, RPC_CODE.invalidParams, message, { data })
    case 'unauthorized':
    case 'login_failed':
    case 'sign_in_failed':
    case 'sign_in_refused':
      return rpcError(401, RPC_CODE.unauthorized, message, { data, challenge: { error: 'invalid_token' } })
    case 'session_unknown':
      return rpcError(404, RPC_CODE.notFound, message, { data })
    case 'too_many_requests':
    case 'too_many_sessions':
      return rpcError(429, RPC_CODE.tooMany, message, {
        data,
        retryAfterS: reason.retryAfterS ?? 1,
      })
    case 'method_not_allowed':
      return rpcError(405, RPC_CODE.methodNotAllowed, message, { data, ...optional('allow', reason.allowed) })
    case 'invalid_request':
      return rpcError(400, RPC_CODE.invalidRequest, message, { data })
    case 'body_too_large':
      return rpcError(413, RPC_CODE.invalidRequest, message, { data })
    case 'headers_too_large':
      return rpcError(431, RPC_CODE.invalidRequest, message, { data })
    case 'request_timeout':
      return rpcError(408, RPC_CODE.invalidRequest, message, { data })
    case 'unsupported_media_type':
      return rpcError(415, RPC_CODE.invalidRequest, message, { data })
    case 'host_not_allowed':
    case 'origin_not_allowed':
      return rpcError(403, RPC_CODE.forbidden, message, { data })
    default:
      return unreachable(reason.code)
  }
}

/** Faults are told by code and by the sentence made for callers; the cause stays in the log. */
export function faultToRpc(fault: unknown): RpcError {
  if (!(fault instanceof Fault)) {
    return rpcError(500, RPC_CODE.internal, 'something went wrong here; the log has the request id', {
      data: { code: 'internal' },
    })
  }
  const retry = optional('retryAfterS', fault.retryAfterS)
  return rpcError(faultStatus(fault), RPC_CODE.internal, fault.message, {
    data: { code: fault.code, ...retry },
    ...retry,
  })
}

/**
 * A refusal that would be the result of a tool call, where there is none that could have a result: another method,
 * or a server that cannot be used at all.
 */
export function refusalWithoutResult({ code, rule, message, allowed, candidates }: Refusal): RpcError {
  const data = { code, rule, ...optional('allowed', allowed), ...optional('candidates', candidates) }
  if (code === 'not_found') return rpcError(404, RPC_CODE.notFound, message, { data })
  if (code === 'invalid_arguments') return rpcError(400, RPC_CODE.invalidParams, message, { data })
  return rpcError(403, RPC_CODE.forbidden, message, { data })
}

/**
 * The HTTP status of a reply that holds nothing but the fault. A server behind the gateway that does not answer is
 * told as every gateway tells it, so that proxies, probes and retries understand it; MCP clients show the body.
 */
const faultStatus = ({ code }: Fault): number => FAULT_STATUS[code] ?? 200

const FAULT_STATUS: Readonly<Partial<Record<FaultCode, number>>> = {
  shutting_down: 503,
  upstream_unavailable: 503,
  upstream_busy: 503,
  upstream_invalid: 502,
  upstream_timeout: 504,
}

/** What a caller is told whose call was stopped. `changed` and `timeout` are tool results, see `stopRefusal`. */
export function stopToRpc(reason: StopReason, timeoutMs: number): RpcError | Refusal {
  switch (reason) {
    case 'cancelled':
    case 'gone':
      return rpcError(200, RPC_CODE.cancelled, 'the request was cancelled', { data: { code: 'cancelled' } })
    case 'timeout':
      return overdueRefusal(timeoutMs)
    case 'changed':
      return refusal(
        'cancelled',
        'credential.changed',
        'what this credential may do changed while the call ran',
        { allowed: 'the same call again, if it is still allowed' },
      )
    case 'revoked':
    case 'expired':
      return credentialEnded(reason)
    case 'shutdown':
      return shuttingDown()
    default:
      return unreachable(reason)
  }
}

export const isRpcError = (answer: RpcError | Refusal): answer is RpcError => 'status' in answer

const optional = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> => {
  const member: Partial<Record<K, V>> = {}
  if (value !== undefined) member[key] = value
  return member
}
