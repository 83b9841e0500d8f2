import type { Observe } from '../../observe/observation.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import { faultToRpc } from '../error-to-rpc.ts'
import { messageUrl, SESSION_PARAM } from '../event-transport.ts'
import type { EventStreams } from '../event-stream.ts'
import type { McpExchange } from '../exchange.ts'
import type { Listener } from '../holdings.ts'
import { type Message, readMessage } from '../message.ts'
import { ACCEPTED, acceptsEventStream, errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import { placeOf, type Session } from '../session.ts'
import { tooMany, tooManyStreams, unknownSession } from '../session-errors.ts'
import type { Sessions } from '../sessions.ts'
import type { SessionClients } from './session-clients.ts'
import type { SessionRequests } from './session-requests.ts'

export interface SessionEventsParts {
  readonly sessions: Sessions
  readonly clients: SessionClients
  readonly requests: SessionRequests
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly observe: Observe
}

/** HTTP with SSE as 2024-11-05 has it, with a server: one stream for everything, and an address to POST to. */
export class SessionEvents {
  readonly #parts: SessionEventsParts

  constructor(parts: SessionEventsParts) {
    this.#parts = parts
  }

  /** Opens the stream and says where to POST. @returns the error to answer with instead */
  open(exchange: McpExchange, backend: Backend): RpcError | undefined {
    const { sessions, streams, maxStreams, clients } = this.#parts
    if (!acceptsEventStream(exchange.request.headers.accept)) {
      return rpcError(406, RPC_CODE.notAcceptable, 'GET opens an event stream: accept text/event-stream')
    }
    if (streams.size >= maxStreams) return tooManyStreams(maxStreams)
    const credentialId = exchange.caller.credential.id
    const opened = sessions.open(credentialId, 'sse', '2024-11-05', placeOf(backend))
    if (!opened.ok) return tooMany(opened.error)
    const session = opened.value
    const holding = sessions.holdings.of(credentialId)
    const listener: Listener = {
      toolsChanged() {
        clients.of(session)?.toolsChanged()
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

  /** Takes a message. It is acknowledged at once; its answer goes to the stream. */
  message(exchange: McpExchange, backend: Backend): Reply {
    const { sessions, observe } = this.#parts
    const id = exchange.url.searchParams.get(SESSION_PARAM)
    const session =
      id === null ? undefined : sessions.use(id, exchange.caller.credential.id, 'sse', placeOf(backend))
    if (!session) return errorReply(undefined, unknownSession())
    const message = readMessage(exchange.body)
    if (message.kind === 'invalid') {
      return errorReply(message.id, rpcError(400, message.code, message.message))
    }
    // Nobody waits for this promise: a fault that is not caught here would end the whole process.
    this.#answer(message, session, exchange, backend).catch((fault: unknown) => {
      observe({ kind: 'fault', where: 'mcp', error: fault, requestId: exchange.requestId })
      const asked = message.kind === 'request' ? message.id : undefined
      if (asked !== undefined) say(session, errorReply(asked, faultToRpc(fault)))
    })
    return ACCEPTED
  }

  async #answer(message: Message, session: Session, exchange: McpExchange, backend: Backend): Promise<void> {
    const { clients, requests } = this.#parts
    const { caller, requestId, trace } = exchange
    if (message.kind === 'request' && message.method === 'initialize') {
      if (clients.of(session)) {
        const text = 'this session is open already'
        say(session, errorReply(message.id, rpcError(200, RPC_CODE.invalidRequest, text)))
        return
      }
      const reply = await clients.initialize(session, backend, message, exchange, false)
      say(session, reply)
      const stream = session.streams?.[0]
      const client = clients.of(session)
      if (!stream || !client || reply.error) return
      client.standing.adopt(stream)
      client.listen(caller, requestId)
      return
    }
    const client = clients.of(session)
    if (!client) {
      if (message.kind !== 'request') return
      say(session, errorReply(message.id, rpcError(200, RPC_CODE.invalidRequest, 'initialize comes first')))
      return
    }
    client.live.through(backend)
    const reply = await requests.answer(message, {
      caller,
      requestId,
      revision: session.revision,
      live: client.live,
      client,
      session,
      reply: client.reply(undefined, true),
      alone: false,
      trace,
    })
    say(session, reply)
  }
}

/** On the session's one stream. A session that has ended has none. */
function say(session: Session, { message, silent }: Reply): void {
  if (message !== undefined && silent !== true) session.streams?.[0]?.send(message)
}
