import type { Observe } from '../observe/observation.ts'
import { faultToRpc } from './error-to-rpc.ts'
import type { McpExchange } from './exchange.ts'
import type { EventStreams } from './event-stream.ts'
import type { Listener } from './holdings.ts'
import { type Message, readMessage } from './message.ts'
import { ACCEPTED, acceptsEventStream, errorReply, type Reply } from './reply.ts'
import { failure, RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'
import type { Session } from './session.ts'
import { tooMany, tooManyStreams, unknownSession } from './session-errors.ts'
import { LIST_CHANGED, type SessionMethods } from './session-methods.ts'
import type { Sessions } from './sessions.ts'

export interface EventTransportParts {
  readonly sessions: Sessions
  readonly streams: EventStreams
  readonly methods: SessionMethods
  readonly observe: Observe
  /** Streams of all sessions together. */
  readonly maxStreams: number
}

export const SESSION_PARAM = 'sessionId'

/**
 * HTTP with SSE as 2024-11-05 has it: one stream that carries every answer, and an address to POST to.
 * The session lives exactly as long as its stream.
 */
export class EventTransport {
  readonly #parts: EventTransportParts

  constructor(parts: EventTransportParts) {
    this.#parts = parts
  }

  /** Opens the stream and says where to POST. @returns the error to answer with instead */
  open(exchange: McpExchange): RpcError | undefined {
    const { sessions, streams, maxStreams } = this.#parts
    if (!acceptsEventStream(exchange.request.headers.accept)) {
      return rpcError(406, RPC_CODE.notAcceptable, 'GET opens an event stream: accept text/event-stream')
    }
    if (streams.size >= maxStreams) return tooManyStreams(maxStreams)
    const credentialId = exchange.caller.credential.id
    const opened = sessions.open(credentialId, 'sse', '2024-11-05')
    if (!opened.ok) return tooMany(opened.error)
    const session = opened.value
    const holding = sessions.holdings.of(credentialId)
    const listener: Listener = {
      toolsChanged() {
        stream.send(LIST_CHANGED)
      },
      end() {
        stream.end()
      },
    }
    const stream = streams.open(exchange.response, () => {
      holding.listeners.delete(listener)
      sessions.streamClosed(session, stream)
      sessions.end(session)
      sessions.holdings.settle(credentialId, holding)
    })
    session.streams = [stream]
    holding.listeners.add(listener)
    stream.send(messageUrl(exchange.url, session.id), 'endpoint')
    return undefined
  }

  /**
   * Takes a message. It is acknowledged at once; its answer goes to the stream. A stream whose reader has
   * stopped reading is cut, and with it the session: what waits for a client is bounded.
   */
  message(exchange: McpExchange): Reply {
    const id = exchange.url.searchParams.get(SESSION_PARAM)
    const session =
      id === null ? undefined : this.#parts.sessions.use(id, exchange.caller.credential.id, 'sse')
    if (!session) return errorReply(undefined, unknownSession())
    const message = readMessage(exchange.body)
    if (message.kind === 'invalid') {
      return errorReply(message.id, rpcError(400, message.code, message.message))
    }
    // Nobody waits for this promise: a fault that is not caught here would end the whole process.
    this.#answer(message, session, exchange).catch((fault: unknown) => {
      this.#parts.observe({ kind: 'fault', where: 'mcp', error: fault, requestId: exchange.requestId })
      const asked = message.kind === 'request' ? message.id : undefined
      if (asked !== undefined) session.streams?.[0]?.send(failure(asked, faultToRpc(fault)))
    })
    return ACCEPTED
  }

  async #answer(message: Message, session: Session, exchange: McpExchange): Promise<void> {
    const reply =
      message.kind === 'request' && message.method === 'initialize'
        ? this.#initialize(message, session)
        : await this.#parts.methods.answer(message, {
            caller: exchange.caller,
            requestId: exchange.requestId,
            revision: session.revision,
            session,
            trace: exchange.trace,
            alone: false,
          })
    if (reply.message !== undefined && reply.silent !== true) session.streams?.[0]?.send(reply.message)
  }

  #initialize({ id, params }: Extract<Message, { kind: 'request' }>, session: Session): Reply {
    const revision = this.#parts.methods.negotiate(params)
    if (!revision.ok) return errorReply(id, revision.error)
    session.revision = revision.value
    return { message: this.#parts.methods.initialized(id, revision.value) }
  }
}

/** An absolute path, because some clients append it to the origin instead of resolving it. */
export function messageUrl(streamUrl: URL, sessionId: string): string {
  const path = streamUrl.pathname.replace(/sse\/?$/, 'message')
  return `${path}?${SESSION_PARAM}=${encodeURIComponent(sessionId)}`
}
