import type { Lifelines } from '../../identity/lifelines.ts'
import {
  ASSUMED_REVISION,
  isSessionRevision,
  knowsBatches,
  type SessionRevision,
} from '../../lib/revisions.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { EventStreams } from '../event-stream.ts'
import type { McpExchange } from '../exchange.ts'
import type { Listener } from '../holdings.ts'
import { type Message, readMessage } from '../message.ts'
import { ACCEPTED, acceptsEventStream, errorReply, namesEventStream, type Reply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import { placeOf, type Session } from '../session.ts'
import {
  credentialEnded,
  methodNotAllowed,
  tooMany,
  tooManyStreams,
  unknownSession,
} from '../session-errors.ts'
import type { Sessions } from '../sessions.ts'
import { headerOf, unsupportedVersion } from '../standard-headers.ts'
import { BATCH_LIMIT } from '../streamable.ts'
import { clientFacts } from '../translate/facts.ts'
import { readEventId } from './channel.ts'
import type { KeptConversations } from './kept-conversations.ts'
import { onlyAnswer } from './reply-stream.ts'
import type { SessionClient, SessionReply } from './session-client.ts'
import type { SessionClients } from './session-clients.ts'
import type { BackendContext, SessionRequests } from './session-requests.ts'

export interface SessionStreamableParts {
  readonly sessions: Sessions
  readonly clients: SessionClients
  readonly kept: KeptConversations
  readonly requests: SessionRequests
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly lifelines: Lifelines
}

interface Found {
  readonly revision: SessionRevision
  readonly session: Session | undefined
  readonly client: SessionClient | undefined
}

/** Streamable HTTP of 2025-03-26, 2025-06-18 and 2025-11-25 with a server; also 2024-11-05 clients that POST. */
export class SessionStreamable {
  readonly #parts: SessionStreamableParts

  constructor(parts: SessionStreamableParts) {
    this.#parts = parts
  }

  /** @returns what to write; `undefined` when the reply went out on a stream */
  async post(exchange: McpExchange, backend: Backend): Promise<Reply | undefined> {
    const { body } = exchange
    const message = Array.isArray(body) ? undefined : readMessage(body)
    const found = this.#find(exchange, backend)
    if ('code' in found) return errorReply(message && idOf(message), found)
    if (message?.kind === 'request' && message.method === 'initialize') {
      return await this.#initialize(message, exchange, backend, found.session)
    }
    if (found.client) {
      found.client.live.through(backend)
      return await this.#answer(message, exchange, { ...found, client: found.client })
    }
    return await this.#withoutSession(message, exchange, backend, found)
  }

  /** Opens the stream on which the server may speak first, or a stream that broke. @returns the error instead */
  get(exchange: McpExchange, backend: Backend): RpcError | undefined {
    const { sessions, streams, maxStreams } = this.#parts
    const { headers } = exchange.request
    if (headerOf(headers, 'mcp-session-id') === undefined) return methodNotAllowed('POST')
    const found = this.#find(exchange, backend)
    if ('code' in found) return found
    const { session, client } = found
    if (!session || !client) return methodNotAllowed('POST')
    if (!acceptsEventStream(headers.accept)) {
      return rpcError(406, RPC_CODE.notAcceptable, 'GET opens an event stream: accept text/event-stream')
    }
    if (streams.size >= maxStreams) return tooManyStreams(maxStreams)
    const lastEventId = headerOf(headers, 'last-event-id')
    const event = lastEventId === undefined ? undefined : readEventId(lastEventId)
    const channel = lastEventId === undefined ? client.standing : event && client.channel(event.channel)
    if (!channel) {
      return rpcError(400, RPC_CODE.invalidRequest, 'nothing is kept for this Last-Event-ID: call again')
    }
    const holding = sessions.holdings.of(session.credentialId)
    const stream = client.connect(channel, exchange.response, event?.seq)
    const listener: Listener = {
      toolsChanged() {
        if (channel === client.standing) client.toolsChanged()
      },
      end() {
        stream.end()
      },
    }
    if (!stream.open) return undefined
    ;(session.streams ??= []).push(stream)
    holding.listeners.add(listener)
    exchange.response.once('close', () => {
      holding.listeners.delete(listener)
      sessions.streamClosed(session, stream)
      sessions.holdings.settle(session.credentialId, holding)
    })
    if (channel === client.standing) client.listen(exchange.caller, exchange.requestId)
    return undefined
  }

  /** Ends a session at its client's wish. @returns the error to answer with instead of 204 */
  delete(exchange: McpExchange, backend: Backend): RpcError | undefined {
    const found = this.#find(exchange, backend)
    if ('code' in found) return found
    if (!found.session) {
      return rpcError(400, RPC_CODE.invalidRequest, 'DELETE ends a session: name it in Mcp-Session-Id')
    }
    this.#parts.sessions.end(found.session)
    return undefined
  }

  #find(exchange: McpExchange, backend: Backend): Found | RpcError {
    const { headers } = exchange.request
    const version = headerOf(headers, 'mcp-protocol-version')
    if (version !== undefined && !isSessionRevision(version)) return unsupportedVersion(version)
    const sessionId = headerOf(headers, 'mcp-session-id')
    if (sessionId === undefined) {
      return { revision: version ?? ASSUMED_REVISION, session: undefined, client: undefined }
    }
    const { sessions, clients } = this.#parts
    const credentialId = exchange.caller.credential.id
    const session = sessions.use(sessionId, credentialId, 'streamable', placeOf(backend))
    const client = session && clients.of(session)
    if (!session || !client) return unknownSession()
    if (version !== undefined && version !== session.revision) {
      return rpcError(400, RPC_CODE.invalidRequest, `this session speaks ${session.revision}, not ${version}`)
    }
    return { revision: session.revision, session, client }
  }

  async #initialize(
    message: Extract<Message, { kind: 'request' }>,
    exchange: McpExchange,
    backend: Backend,
    open: Session | undefined,
  ): Promise<Reply | undefined> {
    // A session id is never taken over from a client, so none can be planted on somebody (session fixation).
    if (open) {
      const text = 'this session is open already: initialize without Mcp-Session-Id'
      return errorReply(message.id, rpcError(400, RPC_CODE.invalidRequest, text))
    }
    const { sessions, clients } = this.#parts
    const { caller, response } = exchange
    const opened = sessions.open(caller.credential.id, 'streamable', ASSUMED_REVISION, placeOf(backend))
    if (!opened.ok) return errorReply(message.id, tooMany(opened.error))
    const session = opened.value
    const reply = await clients.initialize(session, backend, message, exchange, true)
    if (reply.error || response.destroyed) {
      // Nobody will ever name this session: its server need not wait for it to grow old.
      sessions.end(session)
      return reply
    }
    return { ...reply, sessionId: session.id }
  }

  /** Requests without a session get a conversation that Postern keeps; nobody can be asked anything there. */
  async #withoutSession(
    message: Message | undefined,
    exchange: McpExchange,
    backend: Backend,
    found: Found,
  ): Promise<Reply | undefined> {
    const { kept } = this.#parts
    const { caller, requestId, response, trace } = exchange
    const used = kept.use(caller, backend, clientFacts(undefined, {}, found.revision))
    if (!used.ok) return errorReply(message && idOf(message), tooMany(used.error))
    const context: BackendContext = {
      caller,
      requestId,
      revision: found.revision,
      live: used.value.live,
      client: undefined,
      session: undefined,
      reply: onlyAnswer(response),
      alone: true,
      trace,
    }
    try {
      return message
        ? await this.#parts.requests.answer(message, context)
        : await this.#batch(exchange.body as readonly unknown[], context)
    } finally {
      kept.release(used.value)
    }
  }

  async #answer(
    message: Message | undefined,
    exchange: McpExchange,
    { revision, session, client }: Found & { readonly client: SessionClient },
  ): Promise<Reply | undefined> {
    const { caller, requestId, response, trace } = exchange
    const single = message !== undefined
    const stream: SessionReply = client.reply(
      response,
      single && namesEventStream(exchange.request.headers.accept),
    )
    const context: BackendContext = {
      caller,
      requestId,
      revision,
      live: client.live,
      client,
      session,
      reply: stream,
      alone: true,
      trace,
      left(stop) {
        if (stream.channel) stream.channel.onForgotten = stop
      },
    }
    if (!message) return await this.#batch(exchange.body as readonly unknown[], context)
    const reply = await this.#parts.requests.answer(message, context)
    return stream.finish(reply.silent === true ? undefined : reply.message) ? undefined : reply
  }

  /** JSON-RPC batches: 2025-03-26 says they must be received, later revisions that there are none. */
  async #batch(messages: readonly unknown[], context: BackendContext): Promise<Reply> {
    const { revision, caller, reply } = context
    if (!knowsBatches(revision)) {
      const text = `revision ${revision} has no batches: send one message`
      return errorReply(undefined, rpcError(400, RPC_CODE.invalidRequest, text))
    }
    if (messages.length === 0 || messages.length > BATCH_LIMIT) {
      const text = `a batch has 1 to ${BATCH_LIMIT} messages`
      return errorReply(undefined, rpcError(400, RPC_CODE.invalidRequest, text))
    }
    // Only the first message is covered by the authentication of the request.
    let ended = false
    const release = this.#parts.lifelines.hold(caller.credential.id, () => {
      ended = true
    })
    const answers: string[] = []
    try {
      for (const entry of messages) {
        if (ended) return errorReply(undefined, credentialEnded())
        if (reply.response?.destroyed === true) return ACCEPTED
        const answer = await this.#entry(readMessage(entry), context)
        if (answer.message !== undefined && answer.silent !== true) answers.push(answer.message)
      }
    } finally {
      release()
    }
    return answers.length === 0 ? ACCEPTED : { message: `[${answers.join(',')}]` }
  }

  #entry(message: Message, context: BackendContext): Reply | Promise<Reply> {
    if (message.kind === 'request' && message.method === 'initialize') {
      const text = 'initialize must not be part of a batch'
      return errorReply(message.id, rpcError(400, RPC_CODE.invalidRequest, text))
    }
    return this.#parts.requests.answer(message, { ...context, alone: false })
  }
}

const idOf = (message: Message) =>
  message.kind === 'request' || message.kind === 'invalid' ? message.id : undefined
