import { Fault } from '../../lib/fault.ts'
import { Problem } from '../problem.ts'

/** Who is talked to, as the sentences for people begin: the server itself, or the one that issues its tokens. */
export type Peer = `MCP server "${string}"` | `The token endpoint of MCP server "${string}"`

/**
 * What a failed connection or a broken response means. The message is for the caller and names no address; the
 * cause says to an operator what happened, and never holds what was sent or received.
 */
export function judgeError(error: unknown, peer: Peer): Fault {
  if (error instanceof Fault) return error
  const code = codeOf(error)
  if (TIMEOUTS.has(code)) {
    return new Fault('upstream_timeout', `${peer} did not answer in time.`, { cause: said(peer, code) })
  }
  if (code.startsWith('HPE_') || BROKEN.has(code)) {
    return new Fault('upstream_invalid', `${peer} sent a broken HTTP response.`, { cause: said(peer, code) })
  }
  if (code === 'UND_ERR_INVALID_ARG') {
    return new Fault('upstream_unavailable', `${peer} cannot be reached as it is configured.`, {
      cause: new Problem(
        'A configured header or URL cannot be sent over HTTP: check `url` and `headers` of this server.',
      ),
    })
  }
  return new Fault('upstream_unavailable', `${peer} cannot be reached.`, { cause: said(peer, code) })
}

const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

const BROKEN: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RESPONSE',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
])

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection: is it running, and is its port right?',
  ECONNRESET: 'broke the connection.',
  EPIPE: 'broke the connection.',
  UND_ERR_SOCKET: 'broke the connection.',
  ENOTFOUND: 'has a host name that does not resolve.',
  EAI_AGAIN: 'has a host name that could not be looked up just now.',
  EHOSTUNREACH: 'cannot be reached: there is no route to its host.',
  ENETUNREACH: 'cannot be reached: there is no route to its network.',
  ETIMEDOUT: 'did not accept the connection in time.',
  UND_ERR_CONNECT_TIMEOUT: 'did not accept the connection in time.',
  UND_ERR_HEADERS_TIMEOUT: 'did not answer in time.',
  UND_ERR_BODY_TIMEOUT: 'stopped in the middle of an answer.',
  UND_ERR_HEADERS_OVERFLOW: 'sent too many response headers.',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'sent another number of bytes than it announced.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'has a self-signed certificate: add its issuer through NODE_EXTRA_CA_CERTS.',
  SELF_SIGNED_CERT_IN_CHAIN:
    'has a certificate of an issuer that is not trusted: add it through NODE_EXTRA_CA_CERTS.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'has a certificate whose issuer is not known: add it through NODE_EXTRA_CA_CERTS.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'has a certificate whose issuer is not known: add it through NODE_EXTRA_CA_CERTS.',
  CERT_HAS_EXPIRED: 'has a certificate that has expired.',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another host name.',
  EPROTO: 'does not speak TLS there: is it http rather than https?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS there: is it http rather than https?',
}

const said = (peer: Peer, code: string): Problem => {
  if (code.startsWith('HPE_')) return new Problem(`${peer} sent something that is no HTTP (${code}).`)
  return new Problem(`${peer} ${WORDS[code] ?? `cannot be reached (${code}).`}`, {
    unconnected: UNCONNECTED.has(code) || /^(?:ERR_TLS_|ERR_SSL_|CERT_)/.test(code),
  })
}

/**
 * Before a byte of a request has left: refused, no such host, no route, no TLS. A connection that breaks later is not
 * among them, since a firewall may break it for what one caller sends.
 */
const UNCONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'EPROTO',
])

/** Several addresses were tried: the first that says why speaks for all. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string') return error.code
  // Its code is that of the parser, which has none for what does not even begin as HTTP.
  if (error.name === 'HTTPParserError') return 'HPE_NO_HTTP'
  if (error instanceof AggregateError) {
    for (const one of error.errors) {
      const code = codeOf(one)
      if (code !== 'unknown') return code
    }
  }
  return error.cause === undefined ? 'unknown' : codeOf(error.cause)
}
