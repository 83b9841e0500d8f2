/** Where a request is aimed, taken from its first line. */
export interface RequestTarget {
  /** The path as it was sent, without one trailing slash; `null` when it is not in plain form. */
  readonly path: string | null
  /** The query without its question mark; empty when there is none. */
  readonly query: string
  /** The authority of an absolute-form target (RFC 9112 §3.2.2), which stands in for `Host`. */
  readonly authority: string | null
}

/**
 * Reads a request target without decoding it. A path that means something else after normalisation
 * (`//`, `/../`, `%2e`, `%2f`, a backslash) is in no route's spelling: it is `null`, needs a credential
 * like any unknown path, and is then not found. So what was checked is what is routed.
 */
export function readRequestTarget(target: string): RequestTarget {
  let authority: string | null = null
  let rest = target
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(target)
  if (absolute) {
    authority = absolute[1] as string
    rest = target.slice(absolute[0].length) || '/'
  }
  const mark = rest.indexOf('?')
  const path = mark === -1 ? rest : rest.slice(0, mark)
  return { path: plainPath(path), query: mark === -1 ? '' : rest.slice(mark + 1), authority }
}

/** Encoded dot, slash, backslash and control characters change what a path means once it is decoded. */
const DISGUISED = /%(?:2e|2f|5c|[01][0-9a-f]|7f)|%(?![0-9a-f]{2})/i

/** RFC 3986 §3.3 `pchar` and the slash. */
const PATH = /^(?:\/[A-Za-z0-9\-._~!$&'()*+,;=:@%]*)+$/

function plainPath(path: string): string | null {
  if (path === '/') return path
  if (!PATH.test(path) || DISGUISED.test(path) || path.includes('//')) return null
  const bare = path.endsWith('/') ? path.slice(0, -1) : path
  if (/\/\.{1,2}(?:\/|$)/.test(bare)) return null
  return bare
}
