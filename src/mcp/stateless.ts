import { unreachable } from '../lib/unreachable.ts'
import type { McpExchange } from './exchange.ts'
import type { EventStream, EventStreams } from './event-stream.ts'
import type { Holdings, Listener } from './holdings.ts'
import { isObject, type Message, readMessage, type RequestId } from './message.ts'
import { judgeParamHeaders } from './param-headers.ts'
import { ACCEPTED, acceptsEventStream, errorReply, type Reply } from './reply.ts'
import { STATELESS_REVISION, SUPPORTED_REVISIONS } from '../lib/revisions.ts'
import { RPC_CODE, type RpcError, rpcError, success } from './rpc-error.ts'
import { tooManyStreams } from './session-errors.ts'
import { INSTRUCTIONS } from './session-methods.ts'
import { headerMismatch, headerOf, judgeStateless } from './standard-headers.ts'
import type { ToolMethods } from './tool-methods.ts'
import type { VisibleTools } from './visible-tools.ts'

/** What the gateway says about itself is the same for everybody and changes with an upgrade. */
const DISCOVER_TTL_MS = 3_600_000

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId'

export interface StatelessParts {
  readonly tools: ToolMethods
  readonly visible: VisibleTools
  readonly holdings: Holdings
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly maxStreamsPerCredential: number
  /** JSON text of the `_meta` member with `serverInfo`. */
  readonly serverMeta: string
}

type Request = Extract<Message, { kind: 'request' }>

/** The 2026-07-28 revision: one request, one reply, nothing remembered in between. */
export class Stateless {
  readonly #parts: StatelessParts
  readonly #discovered: string

  constructor(parts: StatelessParts) {
    this.#parts = parts
    this.#discovered = JSON.stringify({
      resultType: 'complete',
      supportedVersions: SUPPORTED_REVISIONS,
      capabilities: { tools: { listChanged: true } },
      instructions: INSTRUCTIONS,
      ttlMs: DISCOVER_TTL_MS,
      cacheScope: 'public',
    }).replace(/\}$/, `,"_meta":{${parts.serverMeta}}}`)
  }

  /** @returns what to write; `undefined` when the reply is a stream that is open already */
  async post(exchange: McpExchange): Promise<Reply | undefined> {
    const { headers } = exchange.request
    const message = readMessage(exchange.body)
    switch (message.kind) {
      case 'invalid':
        return errorReply(message.id, rpcError(400, message.code, message.message), true)
      case 'response':
        return errorReply(
          undefined,
          rpcError(400, RPC_CODE.invalidRequest, 'clients send no responses in this revision'),
          true,
        )
      case 'notification': {
        // This revision has no notification for servers over HTTP. One whose header lies is refused all the same.
        const method = headerOf(headers, 'mcp-method')
        return method === undefined || method === message.method
          ? ACCEPTED
          : errorReply(undefined, headerMismatch('Mcp-Method is not the method of the body'), true)
      }
      case 'request': {
        const wrong = judgeStateless(headers, message.method, message.params)
        return wrong ? errorReply(message.id, wrong, true) : await this.#request(message, exchange)
      }
      default:
        return unreachable(message)
    }
  }

  async #request(message: Request, exchange: McpExchange): Promise<Reply | undefined> {
    const { id, params } = message
    const asked = {
      caller: exchange.caller,
      requestId: exchange.requestId,
      id,
      params,
      revision: STATELESS_REVISION,
      response: exchange.response,
      trace: exchange.trace,
      alone: true,
    } as const
    switch (message.method) {
      case 'tools/call': {
        const wrong = this.#judgeParams(message, exchange)
        return wrong ? errorReply(id, wrong, true) : await this.#parts.tools.call(asked)
      }
      case 'tools/list':
        return this.#parts.tools.list(asked)
      case 'server/discover':
        return { message: success(id, this.#discovered) }
      case 'subscriptions/listen': {
        const wrong = this.#listen(message, exchange)
        return wrong ? errorReply(id, wrong, true) : undefined
      }
      default:
        return errorReply(
          id,
          rpcError(404, RPC_CODE.methodNotFound, `there is no method "${message.method}" here`),
          true,
        )
    }
  }

  #judgeParams({ params }: Request, exchange: McpExchange): RpcError | undefined {
    const { name, arguments: args } = params
    const tool = typeof name === 'string' ? this.#parts.visible.find(exchange.caller, name) : undefined
    return tool && judgeParamHeaders(exchange.request.headers, tool.inputSchema, isObject(args) ? args : {})
  }

  /** Opens a stream of changes (2026-07-28 subscriptions). It says first what it will tell, then tells only that. */
  #listen({ id, params }: Request, exchange: McpExchange): RpcError | undefined {
    const { streams, maxStreams, maxStreamsPerCredential, holdings } = this.#parts
    if (!isObject(params.notifications)) {
      return rpcError(200, RPC_CODE.invalidParams, 'notifications must be an object')
    }
    if (!acceptsEventStream(exchange.request.headers.accept)) {
      return rpcError(406, RPC_CODE.notAcceptable, 'the reply is an event stream: accept text/event-stream')
    }
    const credentialId = exchange.caller.credential.id
    const held = holdings.peek(credentialId)?.listeners.size ?? 0
    if (streams.size >= maxStreams || held >= maxStreamsPerCredential) {
      return tooManyStreams(held >= maxStreamsPerCredential ? maxStreamsPerCredential : maxStreams)
    }
    const wantsTools = params.notifications.toolsListChanged === true
    const holding = holdings.of(credentialId)
    const listener: Listener = {
      toolsChanged() {
        if (wantsTools) stream.send(notification('notifications/tools/list_changed', id, ''))
      },
      end() {
        stream.send(success(id, `{"resultType":"complete","_meta":${subscriptionMeta(id)}}`))
        stream.end()
      },
    }
    const stream: EventStream = streams.open(exchange.response, () => {
      holding.listeners.delete(listener)
      holdings.settle(credentialId, holding)
    })
    holding.listeners.add(listener)
    const granted = wantsTools ? '{"toolsListChanged":true}' : '{}'
    stream.send(notification('notifications/subscriptions/acknowledged', id, `,"notifications":${granted}`))
    return undefined
  }
}

const subscriptionMeta = (id: RequestId): string => `{"${SUBSCRIPTION_ID}":${JSON.stringify(id)}}`

const notification = (method: string, id: RequestId, more: string): string =>
  `{"jsonrpc":"2.0","method":"${method}","params":{"_meta":${subscriptionMeta(id)}${more}}}`
