import { encodeHeaderValue } from '../../lib/header-value.ts'
import { STATELESS_REVISION, SUPPORTED_REVISIONS } from '../../lib/revisions.ts'
import type { Admission, Backend } from '../../tools/backend/backend.ts'
import type { DirectRoute } from '../../upstreams/direct-route.ts'
import type { McpExchange } from '../exchange.ts'
import { isObject, type Message, type Params, readMessage, type RequestId } from '../message.ts'
import { errorReply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import { tooManyStreams } from '../session-errors.ts'
import { judgeStateless, NAMED_METHODS } from '../standard-headers.ts'
import { acceptsBoth } from './accepts-both.ts'
import { admitThen } from './admit.ts'
import { disguisedKey } from '../../tools/backend/disguised-key.ts'
import { messageText } from './message-text.ts'
import { STATELESS_REQUESTS } from './methods.ts'
import { paramHeaders } from './param-values.ts'
import { Relay, type RelayParts } from './relay.ts'
import type { Streams } from './streams.ts'
import { hearsOfTools, onlyVisibleTools, type Rework } from './visible-answer.ts'

export interface StatelessClientParts extends RelayParts {
  readonly streams: Streams
  /** Streams that one credential may listen on at once. */
  readonly maxStreamsPerCredential: number
}

type Request = Extract<Message, { kind: 'request' }>

/** Clients of 2026-07-28 whose server speaks it, too. */
export class StatelessClient {
  readonly #parts: StatelessClientParts
  /** Streams that are listened on, by credential: one must not take those of all others. */
  readonly #listening = new Map<string, number>()

  constructor(parts: StatelessClientParts) {
    this.#parts = parts
  }

  /** @returns false when the message needs translating, or no server has to see it */
  post(exchange: McpExchange, backend: Backend): boolean {
    const { headers } = exchange.request
    if (!acceptsBoth(headers.accept)) return false
    const route = backend.direct(exchange.caller, 'stateless')
    if (!route) return false
    const message = readMessage(exchange.body)
    if (message.kind !== 'request') return false
    const { id, method, params } = message
    const wrong =
      judgeStateless(headers, method, params, NAMED_METHODS) ?? judgeMethod(method) ?? judgeKeys(params)
    if (wrong) {
      this.#refuse(exchange, id, wrong)
      return true
    }
    const mirrored = method === 'tools/call' ? paramHeaders(headers, params.arguments) : undefined
    if (mirrored && isError(mirrored)) {
      this.#refuse(exchange, id, mirrored)
      return true
    }
    const tooMany = method === 'subscriptions/listen' ? this.#mostStreams(exchange) : undefined
    if (tooMany !== undefined) {
      this.#refuse(exchange, id, tooManyStreams(tooMany))
      return true
    }
    admitThen(this.#parts, exchange, backend, message, true, (admission) => {
      this.#pass(exchange, backend, route, message, admission, mirrored)
    })
    return true
  }

  #pass(
    exchange: McpExchange,
    backend: Backend,
    route: DirectRoute,
    { id, method, params }: Request,
    admission: Admission,
    mirrored: Readonly<Record<string, string>> | undefined,
  ): void {
    const { streams } = this.#parts
    const listens = method === 'subscriptions/listen'
    const credentialId = exchange.caller.credential.id
    let kept = -1
    const relay = new Relay(this.#parts, {
      exchange,
      id,
      method,
      stateless: true,
      admission,
      rework: reworkOf(method, backend, exchange),
      over: listens
        ? () => {
            streams.remove(kept)
            this.#count(credentialId, -1)
          }
        : undefined,
      forgotten: undefined,
    })
    if (listens) {
      kept = streams.add(relay)
      this.#count(credentialId, 1)
    }
    const headers: Record<string, string> = {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': STATELESS_REVISION,
      'mcp-method': method,
      ...mirrored,
    }
    const member = Object.hasOwn(NAMED_METHODS, method)
      ? NAMED_METHODS[method as keyof typeof NAMED_METHODS]
      : undefined
    if (member !== undefined) headers['mcp-name'] = encodeHeaderValue(String(params[member]))
    relay.send(route, 'POST', messageText(id, method, params, exchange.trace), headers)
  }

  /** The limit that another stream would go beyond. */
  #mostStreams({ caller }: McpExchange): number | undefined {
    const { streams, maxStreamsPerCredential } = this.#parts
    if (streams.full) return streams.most
    const own = this.#listening.get(caller.credential.id) ?? 0
    return own >= maxStreamsPerCredential ? maxStreamsPerCredential : undefined
  }

  #count(credentialId: string, more: 1 | -1): void {
    const count = (this.#listening.get(credentialId) ?? 0) + more
    if (count === 0) this.#listening.delete(credentialId)
    else this.#listening.set(credentialId, count)
  }

  #refuse(exchange: McpExchange, id: RequestId, error: RpcError): void {
    this.#parts.write(exchange, errorReply(id, error, true))
  }
}

const isError = (answer: Record<string, string> | RpcError): answer is RpcError =>
  typeof answer.status === 'number'

const judgeMethod = (method: string): RpcError | undefined =>
  STATELESS_REQUESTS.has(method)
    ? undefined
    : rpcError(404, RPC_CODE.methodNotFound, `there is no method "${method}" here`)

const judgeKeys = (params: Params): RpcError | undefined =>
  disguisedKey(params) === undefined
    ? undefined
    : rpcError(400, RPC_CODE.invalidParams, 'params has a key that differs from a known one only in case')

function reworkOf(method: string, backend: Backend, { caller }: McpExchange): Rework | undefined {
  if (method === 'tools/list') return onlyVisibleTools(backend, caller)
  if (method === 'subscriptions/listen') return hearsOfTools(backend)
  return method === 'server/discover' ? everyRevision : undefined
}

/** Through here the server is reached in every revision, whatever it speaks itself. */
const everyRevision: Rework = (message) =>
  isObject(message.result)
    ? { ...message, result: { ...message.result, supportedVersions: SUPPORTED_REVISIONS } }
    : message
