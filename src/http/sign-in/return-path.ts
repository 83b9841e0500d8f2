const LONGEST = 512

/**
 * A path of this server that a person may be sent on to after signing in; `null` for everything else, since an address
 * of somebody else's after a true sign-in is what people fall for (RFC 9700 §4.11). Neither `//host` nor `/\host`, nor
 * what browsers make of either by dropping control characters.
 */
export function returnPath(given: string | null): string | null {
  if (given === null || given.length > LONGEST) return null
  return /^\/(?![/\\])[A-Za-z0-9\-._~/?&=%+:@!$,;]*$/.test(given) ? given : null
}
