import type { RequestId, RpcFailure } from '../lib/json-rpc.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { RpcMessage } from './link.ts'

/** A message as it goes over the wire, on one line: JSON escapes line ends in texts. */
export const writeMessage = (message: RpcMessage): string => JSON.stringify(onWire(message))

interface WireMessage {
  readonly jsonrpc: '2.0'
  readonly id?: RequestId | null
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: RpcFailure
}

function onWire(message: RpcMessage): WireMessage {
  switch (message.kind) {
    case 'request':
      return { jsonrpc: '2.0', id: message.id, method: message.method, params: message.params }
    case 'notification':
      return { jsonrpc: '2.0', method: message.method, params: message.params }
    case 'result':
      return { jsonrpc: '2.0', id: message.id, result: message.result }
    case 'error':
      return { jsonrpc: '2.0', id: message.id, error: message.error }
    default:
      return unreachable(message)
  }
}
