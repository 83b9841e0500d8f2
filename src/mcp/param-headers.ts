import { decodeHeaderValue } from '../lib/header-value.ts'
import type { IncomingHttpHeaders } from 'node:http'
import type { JsonSchema } from '../tools/tool.ts'
import { isObject, type Params } from './message.ts'
import type { RpcError } from './rpc-error.ts'
import { headerMismatch, headerOf } from './standard-headers.ts'

/** An argument that a tool asks clients to mirror into a header (`x-mcp-header` in its input schema). */
interface MirroredParam {
  readonly header: string
  readonly path: readonly string[]
  readonly type: unknown
}

const mirrored = new WeakMap<JsonSchema, readonly MirroredParam[]>()

/**
 * Judges the `Mcp-Param-*` headers of a stateless call (2026-07-28 streamable HTTP, "Server Behavior for
 * Custom Headers"): each mirrored argument must be there when the body has it, must say the same, and must
 * be absent when the body has none. Headers that the tool does not ask for are nobody's business.
 *
 * @returns the error to answer with, or `undefined` when the headers agree with the body
 */
export function judgeParamHeaders(
  headers: IncomingHttpHeaders,
  schema: JsonSchema,
  args: Params,
): RpcError | undefined {
  let params = mirrored.get(schema)
  if (!params) mirrored.set(schema, (params = collect(schema, [])))
  for (const { header, path, type } of params) {
    const value = valueAt(args, path)
    const text = headerOf(headers, header)
    if (value === undefined || value === null) {
      if (text !== undefined) return headerMismatch(`${header} is there but the body has no such argument`)
    } else if (text === undefined) {
      return headerMismatch(`${header} is missing`)
    } else if (!says(decodeHeaderValue(text), value, type)) {
      return headerMismatch(`${header} is not the value of the body`)
    }
  }
  return undefined
}

/** Integers are compared as numbers, so that `42.0` is `42`; everything else as text. */
function says(text: string | undefined, value: unknown, type: unknown): boolean {
  if (text === undefined) return false
  if (typeof value === 'string') return text === value
  if (typeof value === 'boolean') return text === String(value)
  return (
    type === 'integer' &&
    typeof value === 'number' &&
    /^-?\d+(?:\.\d+)?$/.test(text) &&
    Number(text) === value
  )
}

/** Only along chains of `properties`: the specification allows the annotation nowhere else. */
function collect(schema: JsonSchema, path: readonly string[]): MirroredParam[] {
  if (!isObject(schema.properties)) return []
  return Object.entries(schema.properties).flatMap(([name, property]) => {
    if (!isObject(property)) return []
    const here = [...path, name]
    const header = property['x-mcp-header']
    const own =
      typeof header === 'string'
        ? [{ header: `mcp-param-${header.toLowerCase()}`, path: here, type: property.type }]
        : []
    return [...own, ...collect(property, here)]
  })
}

function valueAt(args: Params, path: readonly string[]): unknown {
  let value: unknown = args
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}
