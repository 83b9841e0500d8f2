import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import type { AskAnswer } from '../upstreams/conversation.ts'
import { RPC_CODE } from './rpc-error.ts'

export { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'

/** One JSON-RPC message as a client sent it, judged by its shape alone. */
export type Message =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  /** An answer to a request of ours; `answer` is absent where it is none that can be understood. */
  | { readonly kind: 'response'; readonly id: unknown; readonly answer?: AskAnswer }
  | {
      readonly kind: 'invalid'
      readonly id: RequestId | undefined
      readonly code: number
      readonly message: string
    }

/** Method names and ids are echoed and kept while a call runs, so their length is bounded. */
const LONGEST_METHOD = 128
const LONGEST_ID = 256

const NO_PARAMS: Params = Object.freeze({})

const isRequestId = (value: unknown): value is RequestId =>
  typeof value === 'string' ? value.length <= LONGEST_ID : Number.isSafeInteger(value)

const invalid = (id: RequestId | undefined, code: number, message: string): Message => ({
  kind: 'invalid',
  id,
  code,
  message,
})

/**
 * Reads one message. Unlike plain JSON-RPC an id is a string or an integer, never `null`, and `params`
 * is an object, never an array (2025-11-25 basic, "Requests").
 */
export function readMessage(body: unknown): Message {
  if (!isObject(body)) return invalid(undefined, RPC_CODE.invalidRequest, 'a JSON-RPC message is an object')
  const { id, method, params } = body
  const knownId = isRequestId(id) ? id : undefined
  if (body.jsonrpc !== '2.0') return invalid(knownId, RPC_CODE.invalidRequest, 'jsonrpc must be "2.0"')
  if (method === undefined && ('result' in body || 'error' in body)) return readResponse(body)
  if (typeof method !== 'string' || method.length === 0 || method.length > LONGEST_METHOD) {
    return invalid(
      knownId,
      RPC_CODE.invalidRequest,
      `method must be a string of 1 to ${LONGEST_METHOD} characters`,
    )
  }
  if (id !== undefined && knownId === undefined) {
    return invalid(
      undefined,
      RPC_CODE.invalidRequest,
      `id must be an integer or a string of at most ${LONGEST_ID} characters`,
    )
  }
  if (params !== undefined && !isObject(params)) {
    return invalid(knownId, RPC_CODE.invalidParams, 'params must be an object')
  }
  return knownId === undefined
    ? { kind: 'notification', method, params: params ?? NO_PARAMS }
    : { kind: 'request', id: knownId, method, params: params ?? NO_PARAMS }
}

function readResponse({ id, result, error }: Params): Message {
  if (isObject(result)) return { kind: 'response', id, answer: { kind: 'result', result } }
  if (!isObject(error) || !Number.isSafeInteger(error.code) || typeof error.message !== 'string') {
    return { kind: 'response', id }
  }
  const { code, message, data } = error
  const known = { code: code as number, message, ...(data === undefined ? {} : { data }) }
  return { kind: 'response', id, answer: { kind: 'error', error: known } }
}
