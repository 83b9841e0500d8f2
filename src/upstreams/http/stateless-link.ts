import { Fault } from '../../lib/fault.ts'
import type { Exchange, RpcResponse } from '../link.ts'
import { writeMessage } from '../write-message.ts'
import { Problem } from '../problem.ts'
import { EventReader } from './event-reader.ts'
import { HttpLink, type Outgoing, POSTED } from './http-link.ts'
import { NoAnswer, readReply } from './read-reply.ts'

/** `UnsupportedProtocolVersionError` (2026-07-28 basic, "Error Codes"). */
const VERSION_REFUSED = -32_022

/**
 * Streamable HTTP of 2026-07-28: one POST for each request, its response alone on the way back, nothing in
 * between. To end a request is to end its response.
 */
export class StatelessLink extends HttpLink {
  send(): void {
    // This revision has nothing for servers but requests (2026-07-28 streamable HTTP, "Sending Messages").
  }

  agreed(): void {
    // The conversation puts the revision into each request, and beside it.
  }

  protected async exchange(message: Outgoing, exchange: Exchange): Promise<RpcResponse> {
    const { peer, limits, send } = this.parts
    const response = await send({
      method: 'POST',
      headers: { ...POSTED, ...exchange.headers },
      body: writeMessage({ kind: 'request', ...message }),
      signal: exchange.signal,
      stream: message.method === 'subscriptions/listen',
    })
    const parts = { ...this.parts, messageBytes: limits.messageBytes }
    const events = new EventReader(limits.messageBytes)
    let answer: RpcResponse | undefined
    try {
      answer = await readReply(response, message.id, events, exchange.onMessage, parts)
    } catch (fault) {
      if (fault instanceof NoAnswer) this.parts.doubted()
      throw fault
    }
    if (!answer) {
      throw new Fault('upstream_unavailable', `${peer} broke off its answer.`, {
        cause: new Problem(`${peer} ended the stream of an answer before the answer.`),
      })
    }
    // Every server of this revision knows `server/discover`: one that does not is of another.
    if (
      answer.kind === 'error' &&
      (answer.error.code === VERSION_REFUSED || message.method === 'server/discover')
    ) {
      this.parts.doubted()
    }
    return answer
  }
}
