import type { IncomingHttpHeaders } from 'node:http'
import { decodeHeaderValue, encodeHeaderValue } from '../../lib/header-value.ts'
import { isObject } from '../message.ts'
import type { RpcError } from '../rpc-error.ts'
import { headerMismatch, headerOf } from '../standard-headers.ts'

const PREFIX = 'mcp-param-'

/** Headers of one request that mirror arguments, and arguments that are looked through for them. */
const MOST_HEADERS = 32
const MOST_VALUES = 10_000

/**
 * The `Mcp-Param-*` headers to send on with a call. Only the server knows which argument belongs in which header, and
 * must compare them itself (2026-07-28 streamable HTTP, "Server Behavior for Custom Headers"). What is made sure of
 * here is that every header says what some argument says, so that nothing travels that was not judged; the text that
 * goes on is made from the argument.
 */
export function paramHeaders(headers: IncomingHttpHeaders, args: unknown): Record<string, string> | RpcError {
  let passed: Record<string, string> | undefined
  let values: Map<string, string> | undefined
  let count = 0
  for (const name in headers) {
    if (!name.startsWith(PREFIX)) continue
    count += 1
    if (count > MOST_HEADERS) return headerMismatch(`more than ${MOST_HEADERS} headers mirror arguments`)
    const said = decodeHeaderValue(headerOf(headers, name) ?? '')
    values ??= valuesOf(args)
    const text = said === undefined ? undefined : (values.get(said) ?? values.get(asInteger(said)))
    if (text === undefined) return headerMismatch(`${name} is no value of the body`)
    passed ??= {}
    passed[name] = encodeHeaderValue(text)
  }
  return passed ?? NONE
}

const NONE = Object.freeze({})

/** `42.0` says what the integer 42 says. */
const asInteger = (text: string): string => (/^-?\d+\.0+$/.test(text) ? String(Number(text)) : text)

/** Strings, integers and booleans reachable through objects alone: nothing else can be mirrored. */
function valuesOf(args: unknown): Map<string, string> {
  const values = new Map<string, string>()
  const open: unknown[] = [args]
  for (let object = open.pop(); object !== undefined && values.size < MOST_VALUES; object = open.pop()) {
    if (!isObject(object)) continue
    for (const value of Object.values(object)) {
      if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)) {
        const text = String(value)
        values.set(text, text)
      } else if (isObject(value)) open.push(value)
    }
  }
  return values
}
