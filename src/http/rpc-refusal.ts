import type { Refusal } from '../access/refusal.ts'
import { refusalToRpc, refusalWithoutResult } from '../mcp/error-to-rpc.ts'
import { failure, RPC_CODE } from '../mcp/rpc-error.ts'

/**
 * What an MCP client gets when its request never became a message: JSON-RPC's shape, without an id since
 * none could be read. Refusals of credentials keep the REST shape, because OAuth clients read that one.
 *
 * @param stateless the client speaks 2026-07-28, whose schema knows no `null` id
 */
export function rpcRefusal(refused: Refusal, requestId: string, stateless: boolean): string {
  const mapped = refusalToRpc(refused, true) ?? refusalWithoutResult(refused)
  return failure(
    undefined,
    {
      ...mapped,
      code: refused.rule === 'http.json' ? RPC_CODE.parseError : mapped.code,
      data: { ...mapped.data, request_id: requestId },
    },
    stateless,
  )
}
