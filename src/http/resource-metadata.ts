export type McpPathKind = 'streamable' | 'sse' | 'message'

/** An address of MCP. */
export interface McpPath {
  readonly kind: McpPathKind
  /** Of `/{server}/…`; `null` for Postern's own. */
  readonly server: string | null
  /** For logs and metrics: never what somebody made up. */
  readonly route: string
}

const own = (route: string, kind: McpPathKind): readonly [string, McpPath] => [
  route,
  { kind, server: null, route },
]

/** Postern's own addresses; one endpoint under three names, and the 2024-11-05 pair. */
const MCP_PATHS: ReadonlyMap<string, McpPath> = new Map([
  own('/mcp', 'streamable'),
  own('/mcp/v1', 'streamable'),
  own('/_mcp', 'streamable'),
  own('/sse', 'sse'),
  own('/message', 'message'),
])

/** The addresses of one server. No configured name is longer, or has other characters. */
const SERVER_PATH = /^\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})\/(mcp|sse|message)$/

const KINDS: Readonly<Record<string, McpPathKind>> = { mcp: 'streamable', sse: 'sse', message: 'message' }

export function mcpPath(path: string | null): McpPath | undefined {
  if (path === null) return undefined
  const known = MCP_PATHS.get(path)
  if (known) return known
  const [, server, last = ''] = SERVER_PATH.exec(path) ?? []
  const kind = KINDS[last]
  return server === undefined || kind === undefined ? undefined : { kind, server, route: `/{server}/${last}` }
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/**
 * URL of the metadata of a protected resource. RFC 9728 §3.1: the well-known part goes between the host
 * and the path of the resource. A path that is not an MCP address is a part of the resource `/mcp`.
 */
export function resourceMetadataUrl(baseUrl: string, path: string | null): string {
  const base = new URL(baseUrl)
  const resource = path !== null && mcpPath(path) ? path : '/mcp'
  return `${base.origin}${WELL_KNOWN}${base.pathname.replace(/\/$/, '')}${resource}`
}

/**
 * The resource that a metadata document was asked for. Anybody may read it, so there is one for every name that a
 * server could have: which names are taken is not told.
 *
 * @param tail what follows the well-known part: empty, or the resource's path
 * @returns the resource's URL, or `null` when there is no such resource
 */
export function protectedResource(baseUrl: string, tail: string): string | null {
  const basePath = new URL(baseUrl).pathname.replace(/\/$/, '')
  const path = basePath !== '' && tail.startsWith(`${basePath}/`) ? tail.slice(basePath.length) : tail
  if (path === '' || path === '/' || path === basePath) return `${baseUrl}/mcp`
  return mcpPath(path) ? `${baseUrl}${path}` : null
}
