import { STATELESS_REVISION } from '../../lib/revisions.ts'
import { unreachable } from '../../lib/unreachable.ts'
import type { Clock } from '../../lib/clock.ts'
import { isLogLevel } from '../../lib/log-level.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { EventStreams } from '../event-stream.ts'
import type { McpExchange } from '../exchange.ts'
import { isObject, type Message, type Params, readMessage } from '../message.ts'
import { ACCEPTED, errorReply, namesEventStream, type Reply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError, success } from '../rpc-error.ts'
import {
  CAPABILITIES_META_KEY,
  headerMismatch,
  headerOf,
  judgeStateless,
  NAMED_METHODS,
} from '../standard-headers.ts'
import { clientFacts, discoverResult } from '../translate/facts.ts'
import { type Answered, answerReply, refusedReply, toError } from './answer.ts'
import { faultToRpc } from '../error-to-rpc.ts'
import { noSuchMethod, noteFault } from './forward.ts'
import type { KeptConversation } from './kept-conversation.ts'
import type { KeptConversations } from './kept-conversations.ts'
import type { Listening } from './listening.ts'
import { isForwarded, mayAsk } from './methods.ts'
import { judgeMirrored } from './mirrored-params.ts'
import type { StatelessCalls } from './stateless-calls.ts'
import { StatelessReply } from './stateless-reply.ts'

/** What a server says of itself may change with its next version, and who may use it with the next decision. */
const DISCOVER_TTL_MS = 300_000

const CLIENT_INFO_META_KEY = 'io.modelcontextprotocol/clientInfo'
const LOG_LEVEL_META_KEY = 'io.modelcontextprotocol/logLevel'

export interface StatelessFrontParts {
  readonly kept: KeptConversations
  readonly calls: StatelessCalls
  readonly listening: Listening
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly clock: Clock
  readonly observe: Observe
}

type Request = Extract<Message, { kind: 'request' }>

/** The 2026-07-28 revision with a server. Nothing is remembered for the client but a conversation in its name. */
export class StatelessFront {
  readonly #parts: StatelessFrontParts

  constructor(parts: StatelessFrontParts) {
    this.#parts = parts
  }

  /** @returns what to write; `undefined` when the reply is or was a stream */
  async post(exchange: McpExchange, backend: Backend): Promise<Reply | undefined> {
    const { headers } = exchange.request
    const message = readMessage(exchange.body)
    switch (message.kind) {
      case 'invalid':
        return errorReply(message.id, rpcError(400, message.code, message.message), true)
      case 'response': {
        const text = 'clients send no responses in this revision'
        return errorReply(undefined, rpcError(400, RPC_CODE.invalidRequest, text), true)
      }
      case 'notification': {
        const method = headerOf(headers, 'mcp-method')
        return method === undefined || method === message.method
          ? ACCEPTED
          : errorReply(undefined, headerMismatch('Mcp-Method is not the method of the body'), true)
      }
      case 'request': {
        const wrong =
          judgeStateless(headers, message.method, message.params, NAMED_METHODS) ??
          judgeLogLevel(metaOf(message.params))
        if (wrong) return errorReply(message.id, wrong, true)
        return await this.#request(message, exchange, backend)
      }
      default:
        return unreachable(message)
    }
  }

  async #request(message: Request, exchange: McpExchange, backend: Backend): Promise<Reply | undefined> {
    const meta = metaOf(message.params)
    const facts = clientFacts(meta[CLIENT_INFO_META_KEY], meta[CAPABILITIES_META_KEY], STATELESS_REVISION)
    const used = this.#parts.kept.use(exchange.caller, backend, facts)
    const asked = {
      id: message.id,
      method: message.method,
      revision: STATELESS_REVISION,
      alone: true,
    } as const
    if (!used.ok) return refusedReply(used.error, { ...asked, about: undefined })
    const kept = used.value
    try {
      return await this.#served(message, exchange, backend, kept)
    } catch (fault) {
      noteFault({ kind: 'failed', fault }, exchange.requestId, this.#parts.observe)
      return toError(faultToRpc(fault), asked)
    } finally {
      this.#parts.kept.release(kept)
    }
  }

  async #served(
    { id, method, params }: Request,
    exchange: McpExchange,
    backend: Backend,
    kept: KeptConversation,
  ): Promise<Reply | undefined> {
    const { caller, requestId } = exchange
    const opened = await kept.live.get(caller, requestId)
    const asked: Answered = {
      id,
      method,
      revision: STATELESS_REVISION,
      alone: true,
      about: opened.ok ? opened.value.about : undefined,
    }
    if (!opened.ok) return refusedReply(opened.error, asked)
    const { about } = opened.value
    if (method === 'server/discover') {
      return { message: success(id, JSON.stringify(discoverResult(about, DISCOVER_TTL_MS))) }
    }
    if (method === 'subscriptions/listen') {
      return await this.#parts.listening.open(id, params, exchange, kept)
    }
    if (!isForwarded(method, STATELESS_REVISION, about)) {
      return answerReply({ kind: 'answered', answer: noSuchMethod(method) }, asked)
    }
    if (method === 'tools/call') {
      const wrong = await judgeMirrored(exchange, params, kept, this.#parts.clock)
      if (wrong) return errorReply(id, wrong, true)
    }
    const { request, response } = exchange
    const { streams, maxStreams } = this.#parts
    const tells = namesEventStream(request.headers.accept)
    const reply = new StatelessReply(response, tells, streams, maxStreams)
    const level = metaOf(params)[LOG_LEVEL_META_KEY]
    const call = {
      exchange,
      backend,
      kept,
      method,
      params,
      reply,
      answered: asked,
      logLevel: typeof level === 'string' ? level : null,
    }
    const answer = await (mayAsk(method) ? this.#parts.calls.asking(call) : this.#parts.calls.plain(call))
    return reply.finish(answer.message) ? undefined : answer
  }
}

const NO_META: Params = Object.freeze({})

const metaOf = ({ _meta }: Params): Params => (isObject(_meta) ? _meta : NO_META)

function judgeLogLevel(meta: Params): RpcError | undefined {
  const level = meta[LOG_LEVEL_META_KEY]
  return level === undefined || isLogLevel(level)
    ? undefined
    : rpcError(200, RPC_CODE.invalidParams, `"${LOG_LEVEL_META_KEY}" is none of the levels of RFC 5424`)
}
