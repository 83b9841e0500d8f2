import type { Refusal } from '../access/refusal.ts'
import { RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'

/** The same for an id that never was, one that ended and one of somebody else. */
export const unknownSession = (): RpcError =>
  rpcError(404, RPC_CODE.notFound, 'there is no such session: initialize a new one', {
    data: { code: 'session_unknown', rule: 'session' },
  })

export const methodNotAllowed = (allow: string): RpcError =>
  rpcError(405, RPC_CODE.methodNotAllowed, `this address takes ${allow}`, {
    data: { code: 'method_not_allowed', rule: 'http.method' },
    allow,
  })

export const tooMany = ({ code, rule, message, allowed }: Refusal): RpcError =>
  rpcError(429, RPC_CODE.tooMany, message, {
    data: { code, rule, ...(allowed === undefined ? {} : { allowed }) },
    retryAfterS: 1,
  })

export const tooManyStreams = (limit: number): RpcError =>
  rpcError(429, RPC_CODE.tooMany, `${limit} streams are open, which is all there may be`, {
    data: { code: 'too_many_sessions', rule: 'limits.sessions' },
    retryAfterS: 1,
  })

export const shuttingDown = (): RpcError =>
  rpcError(503, RPC_CODE.internal, 'the gateway is shutting down', {
    data: { code: 'shutting_down' },
    retryAfterS: 1,
  })

export const credentialEnded = (reason: 'revoked' | 'expired' = 'revoked'): RpcError =>
  rpcError(401, RPC_CODE.unauthorized, 'this credential is no longer valid', {
    data: { code: 'unauthorized', rule: `credential.${reason}` },
    challenge: { error: 'invalid_token' },
  })
