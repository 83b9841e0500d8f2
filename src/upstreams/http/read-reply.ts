import { Fault } from '../../lib/fault.ts'
import type { RequestId } from '../../lib/json-rpc.ts'
import type { Heard, RpcMessage, RpcResponse } from '../link.ts'
import { readMessages } from '../read-messages.ts'
import { Problem } from '../problem.ts'
import { discard } from './discard.ts'
import type { EventReader } from './event-reader.ts'
import type { Peer } from './judge-error.ts'
import { isEventStream, isJson } from './media-type.ts'
import { readBody } from './read-body.ts'
import { readEvents, type ReadEventsParts } from './read-events.ts'
import type { HttpResponse } from './send.ts'

export interface ReadReplyParts extends ReadEventsParts {
  /** Bytes of one message. */
  readonly messageBytes: number
}

/**
 * Reads the response to a request that was posted, until its answer is there (2025-11-25 transports, "Sending
 * Messages to the Server"): one JSON message, or an event stream with other messages before the answer.
 *
 * @param heard takes what is no answer; without it, such messages are dropped
 * @returns `undefined` when the stream ended without an answer: it may go on elsewhere
 * @throws Fault `upstream_invalid` for what is no answer at all; `upstream_unavailable` when the connection broke
 */
export async function readReply(
  response: HttpResponse,
  id: RequestId,
  events: EventReader,
  heard: Heard | undefined,
  parts: ReadReplyParts,
): Promise<RpcResponse | undefined> {
  const { status, headers, body } = response
  const { peer, clock } = parts
  if (status < 300 && isEventStream(headers['content-type'])) {
    let answer: RpcResponse | undefined
    await readEvents(body, events, parts, ({ data }) => {
      // A priming event has an id and no data (2025-11-25 transports).
      if (data === '') return undefined
      const found = take(readMessages(data), id, heard)
      if (found.answer) {
        answer = found.answer
        return 'stop'
      }
      return found.wait
    })
    if (answer) discard(body, clock)
    return answer
  }
  if (!isJson(headers['content-type'])) {
    discard(body, clock)
    throw noAnswer(status, headers['content-type'], peer)
  }
  const text = (await readBody(body, parts.messageBytes, peer)).toString('utf8')
  if (status >= 300) return readRefusal(text, status, id, peer)
  const { answer, wait } = take(readMessages(text), id, heard)
  if (wait) await wait
  if (!answer) throw noAnswer(status, 'messages that do not answer the request', peer)
  return answer
}

/** The JSON-RPC error that explains a 4xx, where there is one. Its id is unknown when the request was not read. */
function readRefusal(text: string, status: number, id: RequestId, peer: Peer): RpcResponse {
  let messages: readonly RpcMessage[]
  try {
    messages = readMessages(text)
  } catch {
    throw noAnswer(status, 'JSON that is no message', peer)
  }
  const error = messages.find((one) => one.kind === 'error' && (one.id === id || one.id === null))
  if (error?.kind !== 'error') throw noAnswer(status, 'messages that do not answer the request', peer)
  return error
}

function take(
  messages: readonly RpcMessage[],
  id: RequestId,
  heard: Heard | undefined,
): { readonly answer: RpcResponse | undefined; readonly wait: Promise<void> | undefined } {
  let answer: RpcResponse | undefined
  const waits: Promise<void>[] = []
  for (const message of messages) {
    if (message.kind === 'result' || message.kind === 'error') {
      if (message.id === id || (message.kind === 'error' && message.id === null)) answer ??= message
    } else {
      const wait = heard?.(message)
      if (wait) waits.push(wait)
    }
  }
  return { answer, wait: waits.length > 1 ? Promise.all(waits).then(() => undefined) : waits[0] }
}

function noAnswer(status: number, what: string | undefined, peer: Peer): NoAnswer {
  const type = what === undefined ? 'no content type' : what.slice(0, 100)
  return new NoAnswer(status, `${peer} did not answer as an MCP server does.`, {
    cause: new Problem(
      `${peer} answered ${status} with ${type}. Is \`url\` the address of its MCP endpoint?`,
    ),
  })
}

/** There is a response, and it is no message: perhaps what is spoken here is another transport or revision. */
export class NoAnswer extends Fault {
  readonly status: number

  constructor(status: number, message: string, options: { cause: unknown }) {
    super('upstream_invalid', message, options)
    this.status = status
  }
}
