import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '../../lib/fault.ts'
import { Problem } from '../problem.ts'
import type { Peer } from './judge-error.ts'

/** More lines than this are an attack on whoever has to go through them. Their bytes are bounded by the connection. */
const MOST_HEADERS = 100

/** What makes a response unusable before its body is looked at. */
export function judgeHeaders(headers: IncomingHttpHeaders, peer: Peer): Fault | undefined {
  let count = 0
  for (const name in headers) {
    const value = headers[name]
    count += typeof value === 'string' ? 1 : (value?.length ?? 0)
  }
  if (count > MOST_HEADERS) return invalid(peer, `more than ${MOST_HEADERS} response headers`)
  const encoding = headers['content-encoding']
  // Nothing but plain bytes was asked for; what is unpacked could be a thousand times larger than what was sent.
  return encoding === undefined || encoding === 'identity'
    ? undefined
    : invalid(peer, 'a compressed response, which was not asked for')
}

const invalid = (peer: Peer, what: string): Fault =>
  new Fault('upstream_invalid', `${peer} sent an HTTP response that cannot be used.`, {
    cause: new Problem(`${peer} sent ${what}.`),
  })
