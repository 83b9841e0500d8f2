import type { Refusal } from '../access/refusal.ts'

/** A body that could not be read as JSON, in the words of JSON-RPC 2.0 §5.1. */
const PARSE_ERROR = -32_700
const INVALID_REQUEST = -32_600

/**
 * What an MCP client gets when its request never became a message: JSON-RPC's shape, without an id since
 * none could be read. Refusals of credentials keep the REST shape, because OAuth clients read that one.
 */
export function rpcRefusal(refused: Refusal, requestId: string): unknown {
  return {
    jsonrpc: '2.0',
    id: null,
    error: {
      code: refused.rule === 'http.json' ? PARSE_ERROR : INVALID_REQUEST,
      message: refused.message,
      data: {
        code: refused.code,
        rule: refused.rule,
        ...(refused.allowed === undefined ? {} : { allowed: refused.allowed }),
        request_id: requestId,
      },
    },
  }
}
