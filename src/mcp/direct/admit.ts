import type { Refusal } from '../../access/refusal.ts'
import type { Result } from '../../lib/result.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import type { Admission, Backend } from '../../tools/backend/backend.ts'
import { faultToRpc, refusalToRpc } from '../error-to-rpc.ts'
import type { McpExchange } from '../exchange.ts'
import type { Params, RequestId } from '../message.ts'
import { errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, rpcError, success } from '../rpc-error.ts'
import { refusedResult } from '../tool-result.ts'
import type { RelayParts } from './relay.ts'

export interface Asked {
  readonly id: RequestId
  readonly method: string
  readonly params: Params
}

/** Has a request decided and recorded, then goes on with it, at once where nothing has to be waited for. */
export function admitThen(
  parts: RelayParts,
  exchange: McpExchange,
  backend: Backend,
  { id, method, params }: Asked,
  stateless: boolean,
  goOn: (admission: Admission) => void,
): void {
  const settle = (admitted: Result<Admission, Refusal>): void => {
    if (admitted.ok) goOn(admitted.value)
    else parts.write(exchange, refused(parts, id, method, admitted.error, stateless))
  }
  const admitted = backend.admit({
    caller: exchange.caller,
    requestId: exchange.requestId,
    wire: 'mcp',
    method,
    params,
  })
  if (!(admitted instanceof Promise)) {
    settle(admitted)
    return
  }
  const late = (answer: Result<Admission, Refusal>): void => {
    if (!exchange.response.destroyed) settle(answer)
    else if (answer.ok) answer.value.settle('failed', { rule: 'request.aborted' })
  }
  admitted.then(late).catch((fault: unknown) => {
    parts.failed(exchange, fault)
    parts.write(exchange, errorReply(id, faultToRpc(fault), stateless))
  })
}

function refused(
  { serverMeta }: RelayParts,
  id: RequestId,
  method: string,
  reason: Refusal,
  stateless: boolean,
): Reply {
  const error = refusalToRpc(reason, true)
  if (error) return errorReply(id, error, stateless)
  if (method === 'tools/call') {
    const revision = stateless ? STATELESS_REVISION : '2025-11-25'
    return { message: success(id, refusedResult(reason, revision, serverMeta)) }
  }
  const { code, rule, message, allowed } = reason
  const data = { code, rule, ...(allowed === undefined ? {} : { allowed }) }
  return errorReply(id, rpcError(200, RPC_CODE.forbidden, message, { data }), stateless)
}
