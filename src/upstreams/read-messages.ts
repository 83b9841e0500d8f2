import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import { isTooDeep } from './is-too-deep.ts'
import type { RpcMessage } from './link.ts'

/** A batch of more messages is no conversation but an attack on memory; 2025-03-26 names no limit. */
const MOST_IN_A_BATCH = 1_000

/**
 * Reads the text of one transport message: a JSON-RPC message, or a batch of them, which servers of 2024-11-05
 * and 2025-03-26 may send.
 *
 * @throws Fault `upstream_invalid`; its `cause` says what was wrong, without the text
 */
export const readMessages = (text: string): readonly RpcMessage[] => parseMessages(text).map(readMessage)

/**
 * The members of a batch, or the one value that a text holds, not judged yet. Of what is no message, the id is left
 * where it can be read: whoever waits for the answer need not wait for another.
 *
 * @throws Fault `upstream_invalid`
 */
export function parseMessages(text: string): readonly unknown[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    const id = BROKEN_ANSWER.exec(text)?.[1]
    // The parser's own message quotes the text, which may hold anything.
    if (id === undefined) throw invalid('not JSON')
    return [{ id: Number(id) }]
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (values.length === 0) throw invalid('an empty batch')
  return values.length > MOST_IN_A_BATCH || isTooDeep(text) ? values.map(onlyId) : values
}

/** How a response begins with most servers, by an id as our requests have; the rest may be cut off or garbled. */
const BROKEN_ANSWER =
  /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"\s*:/

/** What is left of a message that is too deep, or one of too many: no message any more, but still the answer to somebody. */
const onlyId = (value: unknown): unknown =>
  isObject(value) && value['method'] === undefined ? { id: value['id'] } : null

/** Judges one message. */
export function readMessage(value: unknown): RpcMessage {
  if (!isObject(value) || value['jsonrpc'] !== '2.0') throw invalid('not a JSON-RPC 2.0 message')
  const { id, method, params, result, error } = value
  if (typeof method === 'string') {
    const given = readParams(params)
    if (id === undefined) return { kind: 'notification', method, params: given }
    if (!isRequestId(id)) throw invalid('a request whose id is neither text nor a number')
    return { kind: 'request', id, method, params: given }
  }
  if (error !== undefined) {
    if (!isObject(error) || typeof error['code'] !== 'number') throw invalid('an error without a code')
    const message = typeof error['message'] === 'string' ? error['message'] : ''
    return {
      kind: 'error',
      id: isRequestId(id) ? id : null,
      error: {
        code: error['code'],
        message,
        ...(error['data'] === undefined ? {} : { data: error['data'] }),
      },
    }
  }
  if (!isRequestId(id)) throw invalid('a result without an id')
  // MCP results are objects (2025-11-25 basic, "Responses"); a missing one is no answer.
  if (!isObject(result)) throw invalid('a result that is no object')
  return { kind: 'result', id, result }
}

export const isRequestId = (id: unknown): id is RequestId => typeof id === 'string' || typeof id === 'number'

function readParams(params: unknown): Params {
  if (params === undefined || params === null) return {}
  if (!isObject(params)) throw invalid('params that are no object')
  return params
}

const invalid = (what: string): Fault =>
  new Fault('upstream_invalid', 'The MCP server sent something that is no MCP message.', {
    cause: new Error(what),
  })
