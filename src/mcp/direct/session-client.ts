import type { BoundedMap } from '../../lib/bounded-map.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { isSessionRevision, type SessionRevision } from '../../lib/revisions.ts'
import { unreachable } from '../../lib/unreachable.ts'
import type { Admission, Backend } from '../../tools/backend/backend.ts'
import type { DirectRoute } from '../../upstreams/direct-route.ts'
import { faultToRpc, stopToRpc, isRpcError } from '../error-to-rpc.ts'
import type { McpExchange } from '../exchange.ts'
import { isObject, type Message, type Params, readMessage, type RequestId } from '../message.ts'
import { ACCEPTED, acceptsEventStream, errorReply } from '../reply.ts'
import { RPC_CODE, type RpcError, rpcError, success } from '../rpc-error.ts'
import { tooMany, tooManyStreams, unknownSession } from '../session-errors.ts'
import type { Place, Session } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { headerOf, unsupportedVersion } from '../standard-headers.ts'
import { admitThen } from './admit.ts'
import { acceptsBoth } from './accepts-both.ts'
import { DirectSession } from './direct-session.ts'
import { disguisedKey } from '../../tools/backend/disguised-key.ts'
import { messageText } from './message-text.ts'
import { SESSION_NOTIFICATIONS, SESSION_REQUESTS } from './methods.ts'
import { readWhole, type WholeAnswer } from './read-whole.ts'
import { Relay, type RelayParts } from './relay.ts'
import { isSealed, type SessionSeal } from './session-seal.ts'
import type { Streams } from './streams.ts'
import { onlyVisibleTools } from './visible-answer.ts'

export interface SessionClientParts extends RelayParts {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly streams: Streams
  readonly seal: SessionSeal
  /** The key of the seal is shared with other replicas: a session that one of them opened is carried on here. */
  readonly sharedSeal: boolean
  /** Ids of sessions that ended here, so that none comes back by being adopted. */
  readonly ended: BoundedMap<string, true>
}

/** Revisions whose messages pass singly. Those before have batches, whose members have answers of their own. */
const UNBATCHED: ReadonlySet<string> = new Set(['2025-11-25', '2025-06-18'])

/** Visible ASCII (2025-11-25 transports, "Session Management"), and short enough to be sealed. */
const UPSTREAM_ID = /^[\x21-\x7e]{1,512}$/

/** An event id goes into a header: visible characters and spaces, and not many. */
const EVENT_ID = /^[\x20-\x7e]{1,1024}$/

type Request = Extract<Message, { kind: 'request' }>

/** Clients of the revisions with sessions, whose server is reached over Streamable HTTP and speaks their revision. */
export class SessionClient {
  readonly #parts: SessionClientParts

  constructor(parts: SessionClientParts) {
    this.#parts = parts
  }

  /** @returns false when the message needs translating */
  post(exchange: McpExchange, backend: Backend): boolean {
    const id = headerOf(exchange.request.headers, 'mcp-session-id')
    if (id === undefined) return this.#initialize(exchange, backend)
    if (!isSealed(id)) return false
    const { body } = exchange
    const message = Array.isArray(body) ? undefined : readMessage(body)
    const found = this.#find(id, exchange, backend)
    if ('code' in found) this.#refuse(exchange, message && idOf(message), found)
    else if (message) this.#message(message, found, exchange, backend)
    else {
      const error = `revision ${found.session.revision} has no batches: send one message`
      this.#refuse(exchange, undefined, rpcError(400, RPC_CODE.invalidRequest, error))
    }
    return true
  }

  get(exchange: McpExchange, backend: Backend): boolean {
    const { headers } = exchange.request
    const id = headerOf(headers, 'mcp-session-id')
    if (id === undefined || !isSealed(id)) return false
    const found = this.#find(id, exchange, backend)
    if ('code' in found) {
      this.#refuse(exchange, undefined, found)
      return true
    }
    const lastEventId = headerOf(headers, 'last-event-id')
    if (!acceptsEventStream(headers.accept)) {
      const error = 'GET opens an event stream: accept text/event-stream'
      this.#refuse(exchange, undefined, rpcError(406, RPC_CODE.notAcceptable, error))
    } else if (lastEventId !== undefined && !EVENT_ID.test(lastEventId)) {
      const error = 'Last-Event-ID is none that a stream here gave'
      this.#refuse(exchange, undefined, rpcError(400, RPC_CODE.invalidRequest, error))
    } else if (this.#parts.streams.full) {
      this.#refuse(exchange, undefined, tooManyStreams(this.#parts.streams.most))
    } else {
      this.#stream(exchange, backend, found, lastEventId)
    }
    return true
  }

  delete(exchange: McpExchange, backend: Backend): boolean {
    const id = headerOf(exchange.request.headers, 'mcp-session-id')
    if (id === undefined || !isSealed(id)) return false
    const found = this.#find(id, exchange, backend)
    if ('code' in found) {
      this.#refuse(exchange, undefined, found)
      return true
    }
    this.#parts.sessions.end(found.session)
    exchange.dress()
    exchange.response.writeHead(204).end()
    return true
  }

  #initialize(exchange: McpExchange, backend: Backend): boolean {
    const message = Array.isArray(exchange.body) ? undefined : readMessage(exchange.body)
    if (message?.kind !== 'request' || message.method !== 'initialize') return false
    const asked = message.params.protocolVersion
    if (typeof asked !== 'string' || !UNBATCHED.has(asked) || !isSessionRevision(asked)) return false
    if (!acceptsBoth(exchange.request.headers.accept)) return false
    const route = backend.direct(exchange.caller, 'session')
    // What a server has not agreed to yet is found out, and made up for, by translating.
    if (!route?.spoken.has(asked)) return false
    admitThen(this.#parts, exchange, backend, message, false, (admission) => {
      this.#begin(exchange, backend, route, message, asked, admission)
    })
    return true
  }

  /** Lets the server open its session, and then opens ours. */
  #begin(
    exchange: McpExchange,
    backend: Backend,
    route: DirectRoute,
    { id, params }: Request,
    asked: SessionRevision,
    admission: Admission,
  ): void {
    let over = false
    const fail = (fault: Error): void => {
      admission.settle('failed', { rule: fault instanceof Fault ? fault.code : 'internal' })
      this.#parts.failed(exchange, fault)
      this.#refuse(exchange, id, faultToRpc(fault))
    }
    const reading = readWhole(id, (answer) => {
      if (over) return
      over = true
      if (answer instanceof Error) {
        fail(answer)
        return
      }
      const fault = this.#opened(exchange, backend, route, id, answer)
      if (fault) fail(fault)
      else admission.settle('done')
    })
    const stop = (rule: string): boolean => {
      if (over) return false
      over = true
      reading.abort()
      admission.settle('failed', { rule })
      return true
    }
    exchange.onEnd((reason) => {
      if (!stop(reason === 'gone' ? 'request.aborted' : `credential.${reason}`) || reason === 'gone') return
      const why = stopToRpc(reason, 0)
      this.#refuse(exchange, id, isRpcError(why) ? why : rpcError(200, RPC_CODE.cancelled, why.message))
    })
    route.send({
      method: 'POST',
      body: messageText(id, 'initialize', params, exchange.trace),
      headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': asked },
      credentialId: exchange.caller.credential.id,
      trace: exchange.trace,
      receiver: reading.receiver,
    })
  }

  /** @returns what is wrong with the server's answer */
  #opened(
    exchange: McpExchange,
    backend: Backend,
    route: DirectRoute,
    id: RequestId,
    { headers, message, status }: WholeAnswer,
  ): Fault | undefined {
    const { result } = message
    if (!isObject(result)) {
      const text = JSON.stringify(message)
      exchange.dress()
      exchange.response.writeHead(status < 400 ? 200 : status, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      })
      exchange.response.end(text)
      return undefined
    }
    const revision = result.protocolVersion
    if (typeof revision !== 'string' || !isSessionRevision(revision)) {
      return new Fault('upstream_invalid', 'The MCP server answered with a revision that does not exist.')
    }
    const given = headers['mcp-session-id'] ?? ''
    if (typeof given !== 'string' || (given !== '' && !UPSTREAM_ID.test(given))) {
      return new Fault('upstream_invalid', 'The MCP server gave a session id that cannot be one.')
    }
    const server = backend.server ?? ''
    const credentialId = exchange.caller.credential.id
    const direct = new DirectSession(route, credentialId, given, revision)
    const sealed = this.#parts.seal.close({ credentialId, server, revision, upstreamId: given })
    const session = this.#open(sealed, credentialId, server, revision, direct)
    if ('code' in session) {
      direct.end()
      this.#refuse(exchange, id, session)
      return undefined
    }
    this.#parts.write(exchange, {
      message: success(id, JSON.stringify(withoutTasks(result))),
      sessionId: session.id,
    })
    return undefined
  }

  #open(
    id: string,
    credentialId: string,
    server: string,
    revision: SessionRevision,
    direct: DirectSession,
  ): Session | RpcError {
    const opened = this.#parts.sessions.open(credentialId, 'streamable', revision, placeOf(server), id)
    if (!opened.ok) return tooMany(opened.error)
    opened.value.direct = direct
    opened.value.onEnd = () => {
      this.#parts.ended.set(id, true)
      direct.end()
    }
    return opened.value
  }

  #find(id: string, exchange: McpExchange, backend: Backend): Found | RpcError {
    const { headers } = exchange.request
    const version = headerOf(headers, 'mcp-protocol-version')
    if (version !== undefined && !isSessionRevision(version)) return unsupportedVersion(version)
    const server = backend.server ?? ''
    const credentialId = exchange.caller.credential.id
    const { sessions } = this.#parts
    const route = backend.direct(exchange.caller, 'session')
    const session =
      sessions.use(id, credentialId, 'streamable', placeOf(server)) ??
      this.#adopt(id, credentialId, server, route)
    if (!session || 'code' in session) return session ?? unknownSession()
    const { direct } = session
    if (!direct || !route) {
      // The server is reached another way than when the session began: it can know nothing of it.
      sessions.end(session)
      return unknownSession()
    }
    if (version !== undefined && version !== session.revision) {
      return rpcError(400, RPC_CODE.invalidRequest, `this session speaks ${session.revision}, not ${version}`)
    }
    return { session, direct, route: direct.use(route) }
  }

  /** Carries on a session that another replica opened, or this one before it was started anew. */
  #adopt(
    id: string,
    credentialId: string,
    server: string,
    route: DirectRoute | undefined,
  ): Session | RpcError | undefined {
    const { seal, sharedSeal, ended } = this.#parts
    if (!sharedSeal || !route || ended.has(id)) return undefined
    const sealed = seal.open(id)
    if (sealed?.credentialId !== credentialId || sealed.server !== server) return undefined
    const direct = new DirectSession(route, credentialId, sealed.upstreamId, sealed.revision)
    return this.#open(id, credentialId, server, sealed.revision, direct)
  }

  #message(message: Message, found: Found, exchange: McpExchange, backend: Backend): void {
    switch (message.kind) {
      case 'invalid':
        this.#refuse(exchange, message.id, rpcError(400, message.code, message.message))
        return
      case 'response':
        if (!message.answer) {
          const error = 'a response has a result, or an error with code and message'
          this.#refuse(exchange, undefined, rpcError(400, RPC_CODE.invalidRequest, error))
          return
        }
        this.#pass(exchange, backend, found, undefined, '', responseText(message.id, message.answer))
        return
      case 'notification': {
        if (!SESSION_NOTIFICATIONS.has(message.method)) {
          this.#parts.write(exchange, ACCEPTED)
          return
        }
        const text = messageText(undefined, message.method, message.params, exchange.trace)
        this.#pass(exchange, backend, found, undefined, message.method, text)
        return
      }
      case 'request':
        this.#request(message, found, exchange, backend)
        return
      default:
        unreachable(message)
    }
  }

  #request(message: Request, found: Found, exchange: McpExchange, backend: Backend): void {
    const { id, method, params } = message
    if (method === 'initialize') {
      const error = 'this session is open already: initialize without Mcp-Session-Id'
      this.#refuse(exchange, id, rpcError(400, RPC_CODE.invalidRequest, error))
      return
    }
    if (!SESSION_REQUESTS.has(method)) {
      const error = `there is no method "${method}" here`
      this.#refuse(exchange, id, rpcError(200, RPC_CODE.methodNotFound, error))
      return
    }
    const disguised = disguisedKey(params)
    if (disguised !== undefined) {
      const error = 'params has a key that differs from a known one only in case'
      this.#refuse(exchange, id, rpcError(200, RPC_CODE.invalidParams, error))
      return
    }
    admitThen(this.#parts, exchange, backend, message, false, (admission) => {
      const passed = params.task === undefined ? params : without(params, 'task')
      const text = messageText(id, method, passed, exchange.trace)
      this.#pass(exchange, backend, found, id, method, text, admission)
    })
  }

  #pass(
    exchange: McpExchange,
    backend: Backend,
    { session, direct, route }: Found,
    id: RequestId | undefined,
    method: string,
    body: string,
    admission?: Admission,
  ): void {
    const relay: Relay = new Relay(this.#parts, {
      exchange,
      id,
      method,
      stateless: false,
      admission,
      rework: method === 'tools/list' ? onlyVisibleTools(backend, exchange.caller) : undefined,
      over: () => {
        direct.passing.remove(place)
        session.lastUsedAt = this.#parts.clock.now()
      },
      forgotten: () => this.#forgotten(session, direct, id),
    })
    const place = direct.passing.add(relay)
    relay.send(route, 'POST', body, direct.headers)
  }

  #stream(
    exchange: McpExchange,
    backend: Backend,
    { session, direct, route }: Found,
    lastEventId: string | undefined,
  ): void {
    const { streams, clock } = this.#parts
    const relay: Relay = new Relay(this.#parts, {
      exchange,
      id: undefined,
      method: '',
      stateless: false,
      admission: undefined,
      // A resumed stream may carry the answer to `tools/list`.
      rework: onlyVisibleTools(backend, exchange.caller),
      over: () => {
        direct.passing.remove(place)
        direct.removeStream(relay)
        streams.remove(kept)
        session.lastUsedAt = clock.now()
      },
      forgotten: () => this.#forgotten(session, direct, undefined),
    })
    const place = direct.passing.add(relay)
    const kept = streams.add(relay)
    direct.addStream(relay)
    const resumed = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    relay.send(route, 'GET', null, { ...direct.headers, accept: 'text/event-stream', ...resumed })
  }

  #forgotten(session: Session, direct: DirectSession, id: RequestId | undefined) {
    direct.forget()
    this.#parts.sessions.end(session)
    return errorReply(id, unknownSession())
  }

  #refuse(exchange: McpExchange, id: RequestId | undefined, error: RpcError): void {
    this.#parts.write(exchange, errorReply(id, error))
  }
}

interface Found {
  readonly session: Session
  readonly direct: DirectSession
  readonly route: DirectRoute
}

const placeOf = (server: string): Place => `server:${server}`

const idOf = (message: Message): RequestId | undefined =>
  message.kind === 'request' || message.kind === 'invalid' ? message.id : undefined

const responseText = (id: unknown, answer: { readonly kind: string }): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id,
    ...('result' in answer ? { result: answer.result } : {}),
    ...('error' in answer ? { error: answer.error } : {}),
  })

function without(params: Params, key: string): Params {
  const { [key]: _, ...rest } = params
  return rest
}

/** What does not pass is not promised. */
function withoutTasks(result: Params): Params {
  return isObject(result.capabilities)
    ? { ...result, capabilities: without(result.capabilities, 'tasks') }
    : result
}
