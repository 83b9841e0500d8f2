import type { Observe } from '../observe/observation.ts'
import { faultToRpc } from './error-to-rpc.ts'
import type { EventStream, EventStreams } from './event-stream.ts'
import type { McpExchange } from './exchange.ts'
import type { Listener } from './holdings.ts'
import { type Message, readMessage } from './message.ts'
import { ACCEPTED, acceptsEventStream, errorReply, type Reply } from './reply.ts'
import { RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'
import type { Place, Session } from './session.ts'
import { tooMany, tooManyStreams, unknownSession } from './session-errors.ts'
import type { Sessions } from './sessions.ts'

export interface EventSessionParts {
  readonly sessions: Sessions
  readonly streams: EventStreams
  /** Streams of all sessions together. */
  readonly maxStreams: number
  readonly observe: Observe
}

const SESSION_PARAM = 'sessionId'

/**
 * Opens the one stream of a 2024-11-05 client and says where to POST. The session lives exactly as long as it.
 *
 * @returns the error to answer with instead
 */
export function openEventSession(
  { request, response, caller, url }: McpExchange,
  place: Place,
  toolsChanged: (session: Session, stream: EventStream) => void,
  { sessions, streams, maxStreams }: EventSessionParts,
): RpcError | undefined {
  if (!acceptsEventStream(request.headers.accept)) {
    return rpcError(406, RPC_CODE.notAcceptable, 'GET opens an event stream: accept text/event-stream')
  }
  if (streams.size >= maxStreams) return tooManyStreams(maxStreams)
  const credentialId = caller.credential.id
  const opened = sessions.open(credentialId, 'sse', '2024-11-05', place)
  if (!opened.ok) return tooMany(opened.error)
  const session = opened.value
  const holding = sessions.holdings.of(credentialId)
  const listener: Listener = {
    toolsChanged() {
      toolsChanged(session, stream)
    },
    end() {
      stream.end()
    },
  }
  const stream = streams.open(response, () => {
    holding.listeners.delete(listener)
    sessions.streamClosed(session, stream)
    sessions.end(session)
    sessions.holdings.settle(credentialId, holding)
  })
  session.streams = [stream]
  holding.listeners.add(listener)
  stream.send(messageUrl(url, session.id), 'endpoint')
  return undefined
}

/**
 * Takes a message. It is acknowledged at once; its answer goes to the stream. A stream whose reader has
 * stopped reading is cut, and with it the session: what waits for a client is bounded.
 */
export function takeEventMessage(
  { url, caller, body, requestId }: McpExchange,
  place: Place,
  answer: (message: Message, session: Session) => Promise<void>,
  { sessions, observe }: EventSessionParts,
): Reply {
  const id = url.searchParams.get(SESSION_PARAM)
  const session = id === null ? undefined : sessions.use(id, caller.credential.id, 'sse', place)
  if (!session) return errorReply(undefined, unknownSession())
  const message = readMessage(body)
  if (message.kind === 'invalid') {
    return errorReply(message.id, rpcError(400, message.code, message.message))
  }
  // Nobody waits for this promise: a fault that is not caught here would end the whole process.
  answer(message, session).catch((fault: unknown) => {
    observe({ kind: 'fault', where: 'mcp', error: fault, requestId })
    const asked = message.kind === 'request' ? message.id : undefined
    if (asked !== undefined) sayOnStream(session, errorReply(asked, faultToRpc(fault)))
  })
  return ACCEPTED
}

/** On the session's one stream. A session that has ended has none. */
export function sayOnStream(session: Session, { message, silent }: Reply): void {
  if (message !== undefined && silent !== true) session.streams?.[0]?.send(message)
}

/** An absolute path, because some clients append it to the origin instead of resolving it. */
function messageUrl(streamUrl: URL, sessionId: string): string {
  const path = streamUrl.pathname.replace(/sse\/?$/, 'message')
  return `${path}?${SESSION_PARAM}=${encodeURIComponent(sessionId)}`
}
