import type { McpExchange } from './exchange.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { EventStream, EventStreams } from './event-stream.ts'
import type { Listener } from './holdings.ts'
import { type Message, readMessage } from './message.ts'
import { ACCEPTED, acceptsEventStream, errorReply, type Reply } from './reply.ts'
import { ASSUMED_REVISION, isSessionRevision, knowsBatches, type SessionRevision } from '../lib/revisions.ts'
import { RPC_CODE, type RpcError, rpcError } from './rpc-error.ts'
import {
  credentialEnded,
  methodNotAllowed,
  tooMany,
  tooManyStreams,
  unknownSession,
} from './session-errors.ts'
import type { Session } from './session.ts'
import { LIST_CHANGED, type SessionContext, type SessionMethods } from './session-methods.ts'
import type { Sessions } from './sessions.ts'
import { headerOf, unsupportedVersion } from './standard-headers.ts'

/** Messages of one batch. They run one after the other: a batch buys no more concurrency than a request. */
export const BATCH_LIMIT = 100

/** Streams of one session; the oldest gives way, since it is the one most likely to have lost its reader. */
const STREAMS_PER_SESSION = 4

export interface StreamableParts {
  readonly sessions: Sessions
  readonly streams: EventStreams
  readonly methods: SessionMethods
  readonly lifelines: Lifelines
  /** Streams of all sessions together. */
  readonly maxStreams: number
}

/** Streamable HTTP as 2025-03-26, 2025-06-18 and 2025-11-25 have it; also 2024-11-05 clients that POST plain JSON. */
export class Streamable {
  readonly #parts: StreamableParts

  constructor(parts: StreamableParts) {
    this.#parts = parts
  }

  async post(exchange: McpExchange): Promise<Reply> {
    const { body } = exchange
    const message = Array.isArray(body) ? undefined : readMessage(body)
    const found = this.#context(exchange)
    if ('code' in found) return errorReply(message && idOf(message), found)
    if (!message)
      return await this.#batch(body as readonly unknown[], {
        ...found,
        response: exchange.response,
        trace: exchange.trace,
      })
    return message.kind === 'request' && message.method === 'initialize'
      ? this.#initialize(message, exchange, found.session)
      : await this.#parts.methods.answer(message, {
          ...found,
          response: exchange.response,
          trace: exchange.trace,
        })
  }

  /** Opens the stream on which the server may speak first. @returns the error to answer with instead */
  get(exchange: McpExchange): RpcError | undefined {
    const { sessions, streams, maxStreams } = this.#parts
    // Without a session there is nothing to listen to; clients take 405 as "no stream here" and go on.
    if (headerOf(exchange.request.headers, 'mcp-session-id') === undefined) return methodNotAllowed('POST')
    const found = this.#context(exchange)
    if ('code' in found) return found
    const { session } = found
    if (!session) return methodNotAllowed('POST')
    if (!acceptsEventStream(exchange.request.headers.accept)) {
      return rpcError(406, RPC_CODE.notAcceptable, 'GET opens an event stream: accept text/event-stream')
    }
    if (streams.size >= maxStreams) return tooManyStreams(maxStreams)
    const holding = sessions.holdings.of(session.credentialId)
    const open = (session.streams ??= [])
    if (open.length >= STREAMS_PER_SESSION) open[0]?.end()
    const stream: EventStream = streams.open(exchange.response, () => {
      holding.listeners.delete(listener)
      sessions.streamClosed(session, stream)
      sessions.holdings.settle(session.credentialId, holding)
    })
    const listener: Listener = {
      // One stream of a session gets a message, never two (2025-11-25 transports, "Multiple Connections").
      toolsChanged() {
        if (session.streams?.at(-1) === stream) stream.send(LIST_CHANGED)
      },
      end() {
        stream.end()
      },
    }
    open.push(stream)
    holding.listeners.add(listener)
    stream.keepAlive()
    return undefined
  }

  /** Ends a session at its client's wish. @returns the error to answer with instead of 204 */
  delete(exchange: McpExchange): RpcError | undefined {
    const found = this.#context(exchange)
    if ('code' in found) return found
    if (!found.session) {
      return rpcError(400, RPC_CODE.invalidRequest, 'DELETE ends a session: name it in Mcp-Session-Id')
    }
    this.#parts.sessions.end(found.session)
    return undefined
  }

  #context(exchange: McpExchange): (SessionContext & { revision: SessionRevision }) | RpcError {
    const { headers } = exchange.request
    const version = headerOf(headers, 'mcp-protocol-version')
    if (version !== undefined && !isSessionRevision(version)) return unsupportedVersion(version)
    const sessionId = headerOf(headers, 'mcp-session-id')
    const base = { caller: exchange.caller, requestId: exchange.requestId, alone: true }
    if (sessionId === undefined) return { ...base, revision: version ?? ASSUMED_REVISION }
    const session = this.#parts.sessions.use(sessionId, exchange.caller.credential.id, 'streamable')
    if (!session) return unknownSession()
    if (version !== undefined && version !== session.revision) {
      return rpcError(400, RPC_CODE.invalidRequest, `this session speaks ${session.revision}, not ${version}`)
    }
    return { ...base, revision: session.revision, session }
  }

  #initialize(
    message: Extract<Message, { kind: 'request' }>,
    exchange: McpExchange,
    session: Session | undefined,
  ): Reply {
    // A session id is never taken over from a client, so none can be planted on somebody (session fixation).
    if (session) {
      return errorReply(
        message.id,
        rpcError(
          400,
          RPC_CODE.invalidRequest,
          'this session is open already: initialize without Mcp-Session-Id',
        ),
      )
    }
    const { methods, sessions } = this.#parts
    const revision = methods.negotiate(message.params)
    if (!revision.ok) return errorReply(message.id, revision.error)
    const opened = sessions.open(exchange.caller.credential.id, 'streamable', revision.value)
    return opened.ok
      ? { message: methods.initialized(message.id, revision.value), sessionId: opened.value.id }
      : errorReply(message.id, tooMany(opened.error))
  }

  /** JSON-RPC batches: 2025-03-26 says they must be received, later revisions that there are none. */
  async #batch(messages: readonly unknown[], context: SessionContext): Promise<Reply> {
    if (!knowsBatches(context.revision)) {
      return errorReply(
        undefined,
        rpcError(
          400,
          RPC_CODE.invalidRequest,
          `revision ${context.revision} has no batches: send one message`,
        ),
      )
    }
    if (messages.length === 0 || messages.length > BATCH_LIMIT) {
      return errorReply(
        undefined,
        rpcError(400, RPC_CODE.invalidRequest, `a batch has 1 to ${BATCH_LIMIT} messages`),
      )
    }
    // Only the first message is covered by the authentication of the request: a credential that ends
    // while a batch runs must not start the rest of it.
    let ended = false
    const release = this.#parts.lifelines.hold(context.caller.credential.id, () => {
      ended = true
    })
    const answers: string[] = []
    try {
      for (const entry of messages) {
        if (ended) return errorReply(undefined, credentialEnded())
        if (context.response?.destroyed === true) return ACCEPTED
        const reply = await this.#entry(readMessage(entry), context)
        if (reply.message !== undefined && reply.silent !== true) answers.push(reply.message)
      }
    } finally {
      release()
    }
    return answers.length === 0 ? ACCEPTED : { message: `[${answers.join(',')}]` }
  }

  #entry(message: Message, context: SessionContext): Reply | Promise<Reply> {
    return message.kind === 'request' && message.method === 'initialize'
      ? errorReply(
          message.id,
          rpcError(400, RPC_CODE.invalidRequest, 'initialize must not be part of a batch'),
        )
      : this.#parts.methods.answer(message, { ...context, alone: false })
  }
}

const idOf = (message: Message) =>
  message.kind === 'request' || message.kind === 'invalid' ? message.id : undefined
