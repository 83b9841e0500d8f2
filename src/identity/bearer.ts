/** Longest credential that is looked at, in characters. Ours have 47; JWTs of later kinds stay below, too. */
const LONGEST_TOKEN = 4_096

const PREFIX = 'Bearer '

/**
 * The credential of an `Authorization` header, or `undefined` when the header is malformed (RFC 6750 §2.1).
 * Strict on purpose: the scheme is spelt `Bearer`, one space follows, and nothing comes after the
 * credential. A lenient reading here and a strict one elsewhere would be two meanings of one header.
 * Any visible ASCII character may occur in the credential, because tokens chosen by people hold more than
 * `b64token` allows; control characters, spaces and everything beyond ASCII may not.
 */
export function parseBearer(authorization: string): string | undefined {
  if (authorization.length > LONGEST_TOKEN + PREFIX.length || !authorization.startsWith(PREFIX)) {
    return undefined
  }
  const token = authorization.slice(PREFIX.length)
  return /^[\x21-\x7e]+$/.test(token) ? token : undefined
}
