import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import { has } from './features.ts'
import { isPageAddress } from './page-address.ts'

const RESOURCE_NOT_FOUND = -32_002
const URL_ELICITATION_REQUIRED = -32_042
const MISSING_CLIENT_CAPABILITY = -32_021

/** An error of a server as a client of that revision knows it, with the HTTP status that belongs to it. */
export function errorFor(method: string, error: RpcFailure, revision: Revision): RpcError {
  const code = codeFor(method, error, revision)
  const data = lessOtherAddresses(error)
  const more = data === undefined ? {} : { data: data as Params }
  return rpcError(has(revision, 'method_not_found_status') ? statusOf(code) : 200, code, error.message, more)
}

function codeFor(method: string, { code, data }: RpcFailure, revision: Revision): number {
  const old = has(revision, 'resource_not_found')
  if (code === RESOURCE_NOT_FOUND && !old) return RPC_CODE.invalidParams
  // The newest revision tells a missing resource by its address in `data`; others have a number for it.
  if (code === RPC_CODE.invalidParams && old && method === 'resources/read' && isObject(data)) {
    return typeof data.uri === 'string' ? RESOURCE_NOT_FOUND : code
  }
  return code
}

/** 2026-07-28 streamable HTTP "Protocol Version Header", basic "Capability Errors". */
function statusOf(code: number): number {
  if (code === RPC_CODE.methodNotFound) return 404
  return code === MISSING_CLIENT_CAPABILITY ? 400 : 200
}

/** The pages that a person must visit before the same request makes sense (2025-11-25 elicitation). */
export function pagesToVisit(error: RpcFailure): readonly Params[] {
  if (error.code !== URL_ELICITATION_REQUIRED || !isObject(error.data)) return []
  const { elicitations } = error.data
  return Array.isArray(elicitations)
    ? elicitations.filter((one: unknown): one is Params => isObject(one) && isPageAddress(one.url))
    : []
}

/** A client that knows of such pages opens them as well: only those of the web pass. */
const lessOtherAddresses = (error: RpcFailure): unknown =>
  error.code === URL_ELICITATION_REQUIRED && isObject(error.data)
    ? { ...error.data, elicitations: pagesToVisit(error) }
    : error.data

/** The same for a client that knows nothing of such pages: a result that a model can pass on. */
export function pagesAsResult(pages: readonly Params[]): Params {
  const lines = pages.map(({ message, url }) =>
    typeof message === 'string' && message !== '' ? `${message}: ${String(url)}` : String(url),
  )
  const text = ['This needs a person to open a page first, and then the same call again.', ...lines].join(
    '\n',
  )
  return { content: [{ type: 'text', text }], isError: true }
}
