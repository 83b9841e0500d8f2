/** Asked by load balancers and by whoever wonders what is wrong: answered whatever is wrong. */
const HEALTH: ReadonlySet<string> = new Set([
  '/health',
  '/health/live',
  '/health/ready',
  '/api/v1/health',
  '/api/v1/health/live',
  '/api/v1/health/ready',
])

const EXACT: ReadonlySet<string> = new Set([...HEALTH, '/api/v1/auth/login', '/.well-known/jwks.json'])

/** Sign-in with a provider: which there are, away to one, and back. */
const SIGN_IN = /^\/api\/v1\/auth\/oidc(?:\/[^/]+(?:\/callback)?)?$/

const WELL_KNOWN = [
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-authorization-server',
] as const

/** Of these, strangers send bodies: small ones. Bytes: a password of 1,024, each written as `\u0000`, and the rest. */
const STRANGERS_BODIES: ReadonlyMap<string, number> = new Map([['/api/v1/auth/login', 8_192]])

/** The longest body that is read of somebody unknown; 0 where none is. */
export const strangersBodyBytes = (path: string): number => STRANGERS_BODIES.get(path) ?? 0

/**
 * The whole list of what is answered without a credential. Everything else, known or not, asks for one
 * first, so that an unknown path and a forbidden one look the same from outside.
 */
export function isPublicPath(path: string | null): boolean {
  if (path === null) return false
  if (EXACT.has(path) || SIGN_IN.test(path)) return true
  return WELL_KNOWN.some((known) => path === known || path.startsWith(`${known}/`))
}

export const isHealthPath = (path: string | null): boolean => path !== null && HEALTH.has(path)
