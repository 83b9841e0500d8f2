import { encodeHeaderValue } from '../lib/header-value.ts'
import { isObject, type Params } from '../lib/json-rpc.ts'

/** An argument that a tool wants in a header, too (2026-07-28 streamable HTTP, "Custom Headers from Tool Parameters"). */
export interface MirroredParam {
  readonly header: string
  readonly path: readonly string[]
}

/** Deeper schemas are walked no further: an annotation down there makes no header. */
const DEEPEST = 32
const MOST_PARAMS = 32
const LONGEST_HEADER = 256

/**
 * The annotations of a tool's input schema.
 *
 * @returns `undefined` when one of them breaks the rules: such a tool must not be offered to anybody
 */
export function mirroredParams(inputSchema: unknown): readonly MirroredParam[] | undefined {
  const found: MirroredParam[] = []
  const names = new Set<string>()
  const reachable = new Set<object>()

  const walk = (schema: Params, path: readonly string[]): boolean => {
    if (path.length > DEEPEST || !isObject(schema['properties'])) return true
    for (const [name, property] of Object.entries(schema['properties'])) {
      if (!isObject(property)) continue
      reachable.add(property)
      const here = [...path, name]
      const header = property['x-mcp-header']
      if (header !== undefined) {
        if (!isHeaderName(header) || !PRIMITIVE.has(property['type'])) return false
        const lower = header.toLowerCase()
        if (names.has(lower) || names.size >= MOST_PARAMS) return false
        names.add(lower)
        found.push({ header: `mcp-param-${lower}`, path: here })
      }
      if (!walk(property, here)) return false
    }
    return true
  }

  if (!isObject(inputSchema)) return []
  if (!walk(inputSchema, [])) return undefined
  return hasStray(inputSchema, reachable, 0) ? undefined : found
}

const PRIMITIVE: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean'])

/** A field name (RFC 9110 §5.1). */
const isHeaderName = (header: unknown): header is string =>
  typeof header === 'string' &&
  header.length <= LONGEST_HEADER &&
  /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header)

/** Whether there is an annotation anywhere that a chain of `properties` does not lead to. */
function hasStray(value: unknown, reachable: ReadonlySet<object>, depth: number): boolean {
  if (depth > 2 * DEEPEST || typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((one) => hasStray(one, reachable, depth + 1))
  // A property may itself be named so: then it holds a schema, and is no annotation.
  const own = (value as Params)['x-mcp-header']
  if (typeof own === 'string' && !reachable.has(value)) return true
  return Object.values(value).some((one) => hasStray(one, reachable, depth + 1))
}

/** The headers of a request that mirror its body (2026-07-28 streamable HTTP, "Standard Request Headers"). */
export function mirroringHeaders(
  method: string,
  params: Params,
  mirrored: readonly MirroredParam[],
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { 'mcp-method': encodeHeaderValue(method) }
  const name = NAMED_BY[method]
  if (name !== undefined && typeof params[name] === 'string')
    headers['mcp-name'] = encodeHeaderValue(params[name])
  const args = params['arguments']
  if (isObject(args)) {
    for (const { header, path } of mirrored) {
      const text = textOf(valueAt(args, path))
      if (text !== undefined) headers[header] = encodeHeaderValue(text)
    }
  }
  return headers
}

const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined
}

function valueAt(args: Params, path: readonly string[]): unknown {
  let value: unknown = args
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}
