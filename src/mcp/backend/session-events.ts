import type { Backend } from '../../tools/backend/backend.ts'
import { type EventSessionParts, openEventSession, sayOnStream, takeEventMessage } from '../event-session.ts'
import type { McpExchange } from '../exchange.ts'
import type { Message } from '../message.ts'
import { errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import { placeOf, type Session } from '../session.ts'
import type { SessionClients } from './session-clients.ts'
import type { SessionRequests } from './session-requests.ts'

export interface SessionEventsParts extends EventSessionParts {
  readonly clients: SessionClients
  readonly requests: SessionRequests
}

/** HTTP with SSE as 2024-11-05 has it, with a server: one stream for everything, and an address to POST to. */
export class SessionEvents {
  readonly #parts: SessionEventsParts

  constructor(parts: SessionEventsParts) {
    this.#parts = parts
  }

  /** Opens the stream and says where to POST. @returns the error to answer with instead */
  open(exchange: McpExchange, backend: Backend): RpcError | undefined {
    return openEventSession(
      exchange,
      placeOf(backend),
      (session) => this.#parts.clients.of(session)?.toolsChanged(),
      this.#parts,
    )
  }

  message(exchange: McpExchange, backend: Backend): Reply {
    return takeEventMessage(
      exchange,
      placeOf(backend),
      (message, session) => this.#answer(message, session, exchange, backend),
      this.#parts,
    )
  }

  async #answer(message: Message, session: Session, exchange: McpExchange, backend: Backend): Promise<void> {
    const { clients, requests } = this.#parts
    const { caller, requestId, trace } = exchange
    if (message.kind === 'request' && message.method === 'initialize') {
      if (clients.of(session)) {
        const text = 'this session is open already'
        sayOnStream(session, errorReply(message.id, rpcError(200, RPC_CODE.invalidRequest, text)))
        return
      }
      const reply = await clients.initialize(session, backend, message, exchange, false)
      sayOnStream(session, reply)
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
      sayOnStream(
        session,
        errorReply(message.id, rpcError(200, RPC_CODE.invalidRequest, 'initialize comes first')),
      )
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
    sayOnStream(session, reply)
  }
}
