import { Fault } from '../../lib/fault.ts'
import { ChannelLink } from '../channel-link.ts'
import { deadline } from '../deadline.ts'
import type { RpcMessage } from '../link.ts'
import { Problem } from '../problem.ts'
import { discard } from './discard.ts'
import { EventReader, type StreamEvent } from './event-reader.ts'
import type { HttpLinkParts } from './http-link.ts'
import { isEventStream } from './media-type.ts'
import { readEvents } from './read-events.ts'
import { unlessAborted } from '../../lib/unless-aborted.ts'

/** Messages that are on their way at once. */
const MOST_SENDING = 256
/** Events in a row that are no messages, after which the server is taken for something else. */
const MOST_GARBAGE = 10
const LONGEST_ENDPOINT = 4_096

export interface SseParts extends HttpLinkParts {
  /** The address of the stream: what the server says of its other address is relative to it. */
  readonly url: URL
}

/**
 * Opens HTTP+SSE (2024-11-05 transports): one event stream for everything the server says, and an address, told by
 * its first event, to post everything to.
 *
 * The stream is the session: when it breaks, a new one would be a new session, so the conversation ends with it.
 *
 * @throws Fault `upstream_invalid` when there is no such stream, or its address is of another origin
 */
export async function openSseLink(parts: SseParts, signal: AbortSignal): Promise<ChannelLink> {
  const { peer, send, clock } = parts
  const over = new AbortController()
  const onAbort = (): void => {
    over.abort(signal.reason)
  }
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    const { status, headers, body } = await send({
      method: 'GET',
      headers: { accept: 'text/event-stream' },
      body: null,
      signal: over.signal,
      stream: true,
    })
    if (status >= 300 || !isEventStream(headers['content-type'])) {
      discard(body, clock)
      parts.doubted()
      throw new Fault('upstream_invalid', `${peer} did not open an event stream.`, {
        cause: new Problem(
          `${peer} answered ${status} instead of an event stream. Is \`url\` the address of its SSE endpoint?`,
        ),
      })
    }
    const endpoint = Promise.withResolvers<string>()
    const link = new SseLink(parts, endpoint.promise, over)
    const reader = new EventReader(parts.limits.messageBytes)
    let known = false
    void readEvents(body, reader, parts, (event) => {
      if (known) return link.take(event)
      if (event.type !== 'endpoint') return undefined
      known = true
      endpoint.resolve(readEndpoint(event.data, parts))
      return undefined
    }).then(
      () => {
        const fault = new Fault('upstream_unavailable', `${peer} ended the conversation. Try again.`, {
          cause: new Problem(`${peer} closed its event stream.`),
        })
        endpoint.reject(fault)
        link.ended(fault)
      },
      (fault: unknown) => {
        endpoint.reject(fault)
        link.ended(over.signal.aborted ? (over.signal.reason as Error) : (fault as Error))
      },
    )
    await unlessAborted(endpoint.promise, signal)
    return link
  } catch (fault) {
    over.abort(fault)
    throw fault
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Where to post. Only within the origin of the stream: the address comes from the server, and what is posted
 * carries the credentials that were configured for this one.
 */
function readEndpoint(text: string, { url, peer }: SseParts): string {
  const endpoint = text.length <= LONGEST_ENDPOINT ? URL.parse(text, url.href) : null
  if (endpoint === null || endpoint.origin !== url.origin) {
    throw new Fault('upstream_invalid', `${peer} gave an address for messages that cannot be used.`, {
      cause: new Problem(
        `${peer} named an address for messages that is not of its own origin (${url.origin}): credentials are not sent elsewhere.`,
      ),
    })
  }
  return endpoint.pathname + endpoint.search
}

class SseLink extends ChannelLink {
  readonly #parts: SseParts
  #garbage = 0
  /** What follows is sent after it was accepted: a server may refuse what comes before `notifications/initialized`. */
  #barrier: Promise<void> | undefined
  #raiseBarrier = false

  constructor(parts: SseParts, endpoint: Promise<string>, over: AbortController) {
    let sending = 0
    super({
      send: (text, failed, headers) => {
        if (sending >= MOST_SENDING) {
          throw new Fault('upstream_busy', `${parts.peer} takes no more messages just now.`, {
            retryAfterS: 1,
          })
        }
        sending += 1
        const sent = this.#post(endpoint, text, headers, over.signal)
          .catch((fault: unknown) => {
            failed(fault as Error)
          })
          .finally(() => {
            sending -= 1
          })
        if (this.#raiseBarrier) this.#barrier = sent
      },
      close() {
        over.abort(new Fault('upstream_unavailable', 'The conversation with the MCP server was closed.'))
      },
    })
    this.#parts = parts
  }

  override send(message: RpcMessage): void {
    this.#raiseBarrier = message.kind === 'notification' && message.method === 'notifications/initialized'
    try {
      super.send(message)
    } finally {
      this.#raiseBarrier = false
    }
  }

  take({ type, data }: StreamEvent): 'asked' | Promise<void> | undefined {
    if (type !== 'message' || data === '') return undefined
    const receipt = this.receive(data)
    this.#garbage = receipt.garbage ? this.#garbage + 1 : 0
    if (this.#garbage >= MOST_GARBAGE) {
      throw new Fault('upstream_invalid', `${this.#parts.peer} does not send MCP messages.`, {
        cause: new Problem(`${this.#parts.peer} sent ${MOST_GARBAGE} events in a row that are no messages.`),
      })
    }
    return receipt.unasked === 0 ? 'asked' : receipt.wait
  }

  async #post(
    endpoint: Promise<string>,
    text: string,
    headers: Readonly<Record<string, string>> | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#barrier
    const { peer, clock, limits, send } = this.#parts
    const late = (): Fault => new Fault('upstream_timeout', `${peer} did not accept a message in time.`)
    const time = deadline(clock, limits.timeoutMs, late, signal)
    try {
      const { status, body } = await send({
        method: 'POST',
        path: await endpoint,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        body: text,
        signal: time.signal,
      })
      discard(body, clock)
      if (status >= 300) {
        throw new Fault('upstream_invalid', `${peer} did not accept a message.`, {
          cause: new Problem(`${peer} answered ${status} to a message.`),
        })
      }
    } finally {
      time.done()
    }
  }
}
