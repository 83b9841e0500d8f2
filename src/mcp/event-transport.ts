import { type EventSessionParts, openEventSession, sayOnStream, takeEventMessage } from './event-session.ts'
import type { McpExchange } from './exchange.ts'
import type { Message } from './message.ts'
import { errorReply, type Reply } from './reply.ts'
import type { RpcError } from './rpc-error.ts'
import type { Session } from './session.ts'
import { LIST_CHANGED, type SessionMethods } from './session-methods.ts'

export interface EventTransportParts extends EventSessionParts {
  readonly methods: SessionMethods
}

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
    return openEventSession(
      exchange,
      'own',
      (_, stream) => {
        stream.send(LIST_CHANGED)
      },
      this.#parts,
    )
  }

  message(exchange: McpExchange): Reply {
    return takeEventMessage(
      exchange,
      'own',
      (message, session) => this.#answer(message, session, exchange),
      this.#parts,
    )
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
    sayOnStream(session, reply)
  }

  #initialize({ id, params }: Extract<Message, { kind: 'request' }>, session: Session): Reply {
    const revision = this.#parts.methods.negotiate(params)
    if (!revision.ok) return errorReply(id, revision.error)
    session.revision = revision.value
    return { message: this.#parts.methods.initialized(id, revision.value) }
  }
}
