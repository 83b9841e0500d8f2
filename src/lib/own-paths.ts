/**
 * First segments of the paths that Postern answers itself, now or with what it will be able to do. An MCP server
 * that is called like one of them could not be reached, or would take the calls that are meant for Postern.
 */
export const OWN_SEGMENTS: ReadonlySet<string> = new Set([
  'mcp',
  '_mcp',
  'sse',
  'message',
  'api',
  'oauth',
  '.well-known',
  'metrics',
  'console',
  'health',
  'favicon.ico',
  'robots.txt',
])

/** The name of Postern's own tools where servers are named: no other server may have it. */
export const OWN_NAME = 'postern'

/** Whether a server cannot have this name; letters are compared without case, as people do. */
export const isOwnName = (name: string): boolean =>
  name.toLowerCase() === OWN_NAME || OWN_SEGMENTS.has(name.toLowerCase())
