import { Fault } from '../../lib/fault.ts'
import { Problem } from '../problem.ts'
import { judgeError, type Peer } from './judge-error.ts'

/** A response body as undici gives it: read to its end, or destroyed. */
export interface ResponseBody extends AsyncIterable<Buffer> {
  destroy(error?: Error): unknown
}

/**
 * Reads a body to its end.
 *
 * @throws Fault `upstream_invalid` when it is longer than `maxBytes`, and the connection is given up;
 *   `upstream_unavailable` when it breaks off
 */
export async function readBody(body: ResponseBody, maxBytes: number, peer: Peer): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      length += chunk.length
      // Leaving the loop destroys the body, and with it the connection: nothing more is received.
      if (length > maxBytes) throw tooLarge(maxBytes, peer)
      chunks.push(chunk)
    }
  } catch (error) {
    throw judgeError(error, peer)
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length)
}

export const tooLarge = (maxBytes: number, peer: Peer): Fault =>
  new Fault('upstream_invalid', `${peer} sent a message that is too large.`, {
    cause: new Problem(
      `${peer} sent a message of more than ${maxBytes} bytes. Raise \`messageBytes\` of this server if it is meant to.`,
    ),
  })
