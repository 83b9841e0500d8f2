import { decodeHeaderValue } from '../lib/header-value.ts'
import type { IncomingHttpHeaders } from 'node:http'
import { isObject, type Params } from './message.ts'
import { isSessionRevision, STATELESS_REVISION, SUPPORTED_REVISIONS } from '../lib/revisions.ts'
import { RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'

export const VERSION_META_KEY = 'io.modelcontextprotocol/protocolVersion'
export const CAPABILITIES_META_KEY = 'io.modelcontextprotocol/clientCapabilities'

export const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.join(', ')
}

/**
 * Whether a body is to be served statelessly. The body decides and the header is checked against it: a
 * version in `_meta` that is not one of the older revisions, or, where `_meta` names none, the header.
 */
export function isStateless(headers: IncomingHttpHeaders, body: unknown): boolean {
  const claimed = claimedVersion(body)
  if (headerOf(headers, 'mcp-protocol-version') === STATELESS_REVISION) return true
  return claimed !== undefined && !(typeof claimed === 'string' && isSessionRevision(claimed))
}

function claimedVersion(body: unknown): unknown {
  if (!isObject(body) || !isObject(body.params)) return undefined
  const meta = body.params._meta
  return isObject(meta) ? meta[VERSION_META_KEY] : undefined
}

export const unsupportedVersion = (requested: string): RpcError =>
  rpcError(400, RPC_CODE.unsupportedVersion, 'Unsupported protocol version', {
    data: { supported: SUPPORTED_REVISIONS, requested: requested.slice(0, 64) },
  })

export const headerMismatch = (message: string): RpcError =>
  rpcError(400, RPC_CODE.headerMismatch, `Header mismatch: ${message}`)

const TOOL_NAMES = { 'tools/call': 'name' } as const

/** The member that `Mcp-Name` repeats, for each method that has one (2026-07-28 streamable HTTP, "Standard Request Headers"). */
export const NAMED_METHODS = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
} as const

/**
 * Judges version, capabilities and the mirrored headers of a stateless request (2026-07-28 basic "_meta",
 * streamable HTTP "Server Validation"). A gateway in front may have routed by the headers, so they must
 * say what the body says; otherwise one request would be two.
 *
 * @param named methods whose `Mcp-Name` is judged, each with the member it repeats
 * @returns the error to answer with, or `undefined` when the request may go on
 */
export function judgeStateless(
  headers: IncomingHttpHeaders,
  method: string,
  params: Params,
  named: Readonly<Record<string, 'name' | 'uri'>> = TOOL_NAMES,
): RpcError | undefined {
  const meta = isObject(params._meta) ? params._meta : undefined
  const version = meta?.[VERSION_META_KEY]
  if (typeof version !== 'string') return missingMeta(VERSION_META_KEY)
  const header = headerOf(headers, 'mcp-protocol-version')
  if (header === undefined) return headerMismatch('MCP-Protocol-Version is missing')
  if (header !== version) return headerMismatch('MCP-Protocol-Version is not the version of the body')
  if (version !== STATELESS_REVISION) return unsupportedVersion(version)
  if (!isObject(meta?.[CAPABILITIES_META_KEY])) return missingMeta(CAPABILITIES_META_KEY)
  return judgeMethodHeaders(headers, method, params, named)
}

function judgeMethodHeaders(
  headers: IncomingHttpHeaders,
  method: string,
  params: Params,
  named: Readonly<Record<string, 'name' | 'uri'>>,
): RpcError | undefined {
  const methodHeader = headerOf(headers, 'mcp-method')
  if (methodHeader === undefined) return headerMismatch('Mcp-Method is missing')
  if (methodHeader !== method) return headerMismatch('Mcp-Method is not the method of the body')
  const member = Object.hasOwn(named, method) ? named[method] : undefined
  if (member === undefined) return undefined
  const nameHeader = headerOf(headers, 'mcp-name')
  if (nameHeader === undefined) return headerMismatch('Mcp-Name is missing')
  return decodeHeaderValue(nameHeader) === params[member]
    ? undefined
    : headerMismatch(`Mcp-Name is not the ${member} of the body`)
}

const missingMeta = (key: string): RpcError =>
  rpcError(400, RPC_CODE.invalidParams, `params._meta must have "${key}"`, { data: { missing: key } })
