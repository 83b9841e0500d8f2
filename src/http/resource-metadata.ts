/** The addresses of the MCP endpoint; one endpoint under three names, and the 2024-11-05 pair. */
const MCP_PATHS: ReadonlyMap<string, 'streamable' | 'sse' | 'message'> = new Map([
  ['/mcp', 'streamable'],
  ['/mcp/v1', 'streamable'],
  ['/_mcp', 'streamable'],
  ['/sse', 'sse'],
  ['/message', 'message'],
])

export const mcpPath = (path: string | null): 'streamable' | 'sse' | 'message' | undefined =>
  path === null ? undefined : MCP_PATHS.get(path)

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/**
 * URL of the metadata of a protected resource. RFC 9728 §3.1: the well-known part goes between the host
 * and the path of the resource. A path that is not an MCP address is a part of the resource `/mcp`.
 */
export function resourceMetadataUrl(baseUrl: string, path: string | null): string {
  const base = new URL(baseUrl)
  const resource = path !== null && MCP_PATHS.has(path) ? path : '/mcp'
  return `${base.origin}${WELL_KNOWN}${base.pathname.replace(/\/$/, '')}${resource}`
}

/**
 * The resource that a metadata document was asked for.
 *
 * @param tail what follows the well-known part: empty, or the resource's path
 * @returns the resource's URL, or `null` when there is no such resource
 */
export function protectedResource(baseUrl: string, tail: string): string | null {
  const basePath = new URL(baseUrl).pathname.replace(/\/$/, '')
  const path = basePath !== '' && tail.startsWith(`${basePath}/`) ? tail.slice(basePath.length) : tail
  if (path === '' || path === '/' || path === basePath) return `${baseUrl}/mcp`
  return MCP_PATHS.has(path) ? `${baseUrl}${path}` : null
}
