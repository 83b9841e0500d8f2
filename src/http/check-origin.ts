import { type Refusal, refusal } from '../access/refusal.ts'
import { isLoopbackName, plainAddress } from './check-host.ts'

export interface OriginRules {
  readonly baseUrl: string
  readonly allowedOrigins: readonly string[]
}

/** The verdict on an `Origin` header; `cors` when a page of that origin may also read the answer. */
export type OriginVerdict =
  { readonly allowed: true; readonly cors: boolean } | { readonly allowed: false; readonly refusal: Refusal }

const SAME: OriginVerdict = { allowed: true, cors: false }

/**
 * Judges where a browser says a request comes from. Only browsers send `Origin`; a program's request has
 * none and passes. `null` (sandboxed frames, `data:` pages) is nobody's origin and is refused.
 *
 * @param host the `Host` value, checked already: a page that was served under it is this server's own
 * @param localAddress a connection over loopback is open to pages of this machine on any port
 */
export function checkOrigin(
  origin: string | undefined,
  host: string,
  localAddress: string | undefined,
  secure: boolean,
  rules: OriginRules,
): OriginVerdict {
  if (origin === undefined) return SAME
  const parsed = parseOrigin(origin)
  if (parsed !== null) {
    if (rules.allowedOrigins.some((allowed) => parseOrigin(allowed)?.origin === parsed.origin)) {
      return { allowed: true, cors: true }
    }
    if (parsed.origin === new URL(rules.baseUrl).origin) return SAME
    if (parsed.origin === parseOrigin(`${secure ? 'https' : 'http'}://${host}`)?.origin) return SAME
    const name = parsed.hostname.replace(/^\[|\]$/g, '')
    if (isLoopbackName(name) && isLoopbackName(plainAddress(localAddress))) return SAME
  }
  return {
    allowed: false,
    refusal: refusal('origin_not_allowed', 'http.origin', 'pages of that origin may not call this server', {
      allowed: 'the origin of server.baseUrl and the ones in server.allowedOrigins',
    }),
  }
}

/** RFC 6454 §7.1: scheme, host and port and nothing else. */
function parseOrigin(text: string): URL | null {
  if (!/^https?:\/\/[^/?#@\\\s]+$/i.test(text)) return null
  const url = URL.parse(text)
  return url !== null && url.hostname !== '' ? url : null
}
