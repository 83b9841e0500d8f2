const EXACT: ReadonlySet<string> = new Set(['/health', '/api/v1/health'])

const WELL_KNOWN = [
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-authorization-server',
] as const

/**
 * The whole list of what is answered without a credential. Everything else, known or not, asks for one
 * first, so that an unknown path and a forbidden one look the same from outside.
 */
export function isPublicPath(path: string | null): boolean {
  if (path === null) return false
  return EXACT.has(path) || WELL_KNOWN.some((known) => path === known || path.startsWith(`${known}/`))
}
