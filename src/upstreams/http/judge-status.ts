import { Fault } from '../../lib/fault.ts'
import { Problem } from '../problem.ts'
import type { Peer } from './judge-error.ts'
import { retryAfterOf } from './retry-after.ts'

/**
 * What a status means that is no answer of an MCP server, whatever the body says. `undefined`: the response is the
 * server's to give and is read further (2xx, and 4xx in which a JSON-RPC error may be).
 *
 * The server's own 401 and 403 are about the credential that Postern sent, never about the caller's: passed on,
 * they would send a client to authorise itself once more at the wrong door.
 */
export function judgeStatus(
  status: number,
  retryAfter: string | undefined,
  nowMs: number,
  peer: Peer,
): Fault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status >= 300 && status < 400) {
    return new Fault('upstream_invalid', `${peer} answered with a redirect, which is not followed.`, {
      cause: new Problem(
        `${peer} answered ${status}, a redirect. Set its \`url\` to the final address: redirects are not followed, so that its credentials go nowhere else.`,
      ),
    })
  }
  switch (status) {
    case 401:
    case 407:
      return unavailable(
        `${peer} did not accept the credentials configured for it.`,
        `${peer} answered ${status}: it did not accept the credentials sent to it. Check \`headers\`, \`clientCredentials\` or the user's own credential of this server.`,
      )
    case 403:
      return unavailable(
        `${peer} did not accept the credentials configured for it.`,
        `${peer} answered 403: the credentials sent to it do not allow this. Check what they may do there.`,
      )
    case 429: {
      const retryAfterS = retryAfterOf(retryAfter, nowMs)
      return new Fault('upstream_busy', `${peer} asks for fewer requests. Try again later.`, {
        cause: new Problem(`${peer} answered 429: too many requests.`),
        ...(retryAfterS === undefined ? {} : { retryAfterS }),
      })
    }
    case 408:
    case 504:
      return new Fault('upstream_timeout', `${peer} did not answer in time.`, {
        cause: new Problem(`${peer}, or a proxy in front of it, answered ${status}.`),
      })
    case 503: {
      const retryAfterS = retryAfterOf(retryAfter, nowMs)
      return new Fault('upstream_unavailable', `${peer} is not available just now.`, {
        cause: new Problem(`${peer}, or a proxy in front of it, answered 503.`),
        ...(retryAfterS === undefined ? {} : { retryAfterS }),
      })
    }
    default:
      return status >= 400 && status < 500
        ? undefined
        : new Fault('upstream_invalid', `${peer} failed to answer.`, {
            cause: new Problem(`${peer}, or a proxy in front of it, answered ${status}.`),
          })
  }
}

const unavailable = (message: string, operator: string): Fault =>
  new Fault('upstream_unavailable', message, { cause: new Problem(operator) })
