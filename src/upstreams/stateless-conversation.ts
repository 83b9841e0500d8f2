import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import { type Numbered, NumberedBag } from '../lib/numbered-bag.ts'
import { STATELESS_REVISION } from '../lib/revisions.ts'
import type { Beginning, OpenConversation } from './beginning.ts'
import { ChangeStream, MOST_SUBSCRIPTIONS } from './change-stream.ts'
import type { Answer, Conversation, Listening, OutgoingRequest, ServerFacts } from './conversation.ts'
import type { OpenRequest, RpcLink, RpcNotification, RpcResponse, ServerMessage } from './link.ts'
import { isLogLevel, isWanted } from '../lib/log-level.ts'
import { mirroringHeaders } from './mirrored-headers.ts'
import { MirroredTools } from './mirrored-tools.ts'
import { gatherInputs, MAY_REQUIRE_INPUT } from './required-inputs.ts'
import { serverInfoOf, withoutHopMeta, withRequestMeta } from './stateless-meta.ts'
import { wait } from './wait.ts'

/** 2026-07-28 basic, "Error Codes". */
const HEADER_MISMATCH = -32_020
const VERSION_REFUSED = -32_022

/** Times that one request may be answered by asking for more: a long questionnaire, and an end to it. */
const MOST_ROUNDS = 32
/** Between rounds in which nobody was asked anything: the server only wants to be asked again. */
const ROUND_MS = 100
/** Pages of tools that are read to learn which headers a tool wants. */
const MOST_PAGES = 50

/** Speaks 2026-07-28, in which every request stands for itself. The conversation is what is remembered here. */
export const openStatelessConversation: OpenConversation = async (link, beginning) => {
  try {
    return await StatelessConversation.begin(link, beginning)
  } catch (fault) {
    link.close()
    throw fault
  }
}

/** A request that runs; its number is its progress token. */
interface Running extends Numbered {
  readonly call: Pick<OutgoingRequest, 'onNotification' | 'logLevel'>
}

class StatelessConversation implements Conversation {
  #about: ServerFacts = {
    revision: STATELESS_REVISION,
    serverInfo: {},
    capabilities: {},
  }
  readonly #link: RpcLink
  readonly #beginning: Beginning
  readonly #running = new NumberedBag<Running>()
  readonly #changes: ChangeStream
  #wanted: Listening = {}
  readonly #subscribed = new Set<string>()
  readonly #mirrored = new MirroredTools()
  #logLevel: string | undefined
  #over = false

  private constructor(link: RpcLink, beginning: Beginning) {
    this.#link = link
    this.#beginning = beginning
    const { server, clock, timeoutMs, inbox } = beginning
    this.#changes = new ChangeStream({
      server,
      clock,
      timeoutMs,
      inbox,
      open: (params, signal, heard) =>
        this.#send('subscriptions/listen', params, { signal }, undefined, heard),
      cancel: (id) => {
        this.#cancel(id)
      },
    })
    link.listen({
      message: (message) => {
        this.#heard(message)
      },
      closed: (fault) => {
        this.#end(fault)
      },
    })
  }

  static async begin(link: RpcLink, beginning: Beginning): Promise<Conversation> {
    const conversation = new StatelessConversation(link, beginning)
    await conversation.#discover()
    return conversation
  }

  get about(): ServerFacts {
    return this.#about
  }

  async request(call: OutgoingRequest): Promise<Answer> {
    call.signal.throwIfAborted()
    const { method, params } = call
    const uri = params['uri']
    switch (method) {
      case 'ping': {
        const answer = await this.#converse({ ...call, method: 'server/discover', params: {} })
        return answer.kind === 'result' ? EMPTY : answer
      }
      case 'logging/setLevel':
        return this.#setLevel(params['level'])
      case 'resources/subscribe':
        return typeof uri === 'string' ? await this.#subscribe(uri) : INVALID_URI
      case 'resources/unsubscribe':
        return typeof uri === 'string' ? await this.#unsubscribe(uri) : INVALID_URI
      case 'tools/list': {
        const answer = await this.#converse(call)
        return answer.kind === 'result' ? { kind: 'result', result: this.#learn(answer.result) } : answer
      }
      default:
        return await this.#converse(call)
    }
  }

  notify(): void {
    // This revision has no notification for servers (2026-07-28 streamable HTTP, "Sending Messages").
  }

  async listen(wanted: Listening): Promise<Listening> {
    const uris = wanted.resourceSubscriptions?.slice(0, MOST_SUBSCRIPTIONS)
    this.#wanted = uris ? { ...wanted, resourceSubscriptions: uris } : wanted
    const granted = await this.#changes.set(this.#union())
    const { resourceSubscriptions, ...lists } = granted
    const asked = new Set(uris)
    const told = resourceSubscriptions?.filter((uri) => asked.has(uri)) ?? []
    return { ...lists, ...(told.length > 0 ? { resourceSubscriptions: told } : {}) }
  }

  close(): void {
    if (this.#over) return
    this.#over = true
    this.#changes.close()
    this.#link.close()
  }

  async #discover(): Promise<void> {
    const { server, signal } = this.#beginning
    const answer = await this.#converse({ method: 'server/discover', params: {}, signal })
    if (answer.kind === 'error') {
      throw new Fault('upstream_invalid', `MCP server "${server}" refused to begin a conversation.`, {
        cause: new Error(`${answer.error.code} ${answer.error.message.slice(0, 500)}`),
      })
    }
    const { supportedVersions, capabilities, instructions } = answer.result
    if (!Array.isArray(supportedVersions) || !supportedVersions.includes(STATELESS_REVISION)) {
      throw new Fault('upstream_invalid', `MCP server "${server}" does not speak ${STATELESS_REVISION}.`)
    }
    this.#about = {
      revision: STATELESS_REVISION,
      serverInfo: this.#serverInfo,
      capabilities: isObject(capabilities) ? capabilities : {},
      ...(typeof instructions === 'string' ? { instructions } : {}),
    }
  }

  #serverInfo: Params = {}

  /** Asks until there is an answer, giving what the server asks for in between (2026-07-28 mrtr). */
  async #converse(call: OutgoingRequest): Promise<Answer> {
    const capabilities = this.#capabilitiesFor(call)
    let params = call.params
    let relisted = false
    for (let round = 1; ; round += 1) {
      const response = await this.#round(call, params)
      if (response.kind === 'error') {
        if (response.error.code === HEADER_MISMATCH && call.method === 'tools/call' && !relisted) {
          relisted = true
          await this.#relist(call.signal)
          continue
        }
        if (response.error.code === VERSION_REFUSED) throw this.#versionRefused()
        return { kind: 'error', error: response.error }
      }
      const { resultType = 'complete', ...result } = response.result
      if (resultType === 'complete') {
        if (call.method === 'server/discover') this.#serverInfo = serverInfoOf(result)
        return { kind: 'result', result: withoutHopMeta(result) }
      }
      if (resultType !== 'input_required' || !MAY_REQUIRE_INPUT.has(call.method)) {
        throw this.#invalid(`a result of the type "${String(resultType).slice(0, 64)}" to ${call.method}`)
      }
      if (round >= MOST_ROUNDS) throw this.#invalid(`${MOST_ROUNDS} results in a row that ask for more`)
      const inputs = await gatherInputs(result, capabilities, call.ask, call.signal)
      if (inputs.kind === 'error') return inputs
      if (inputs.params['inputResponses'] === undefined)
        await wait(this.#beginning.clock, ROUND_MS, call.signal)
      params = { ...call.params, ...inputs.params }
    }
  }

  async #round(call: OutgoingRequest, params: Params): Promise<RpcResponse> {
    const running: Running = { number: 0, call }
    this.#running.add(running)
    const open = this.#send(call.method, params, call, running.number, (message) => {
      if (message.kind === 'notification') this.#noticed(message, running)
    })
    try {
      return await open.answer
    } catch (fault) {
      if (call.signal.aborted) this.#cancel(open.id)
      throw fault
    } finally {
      this.#running.remove(running)
    }
  }

  #send(
    method: string,
    params: Params,
    call: Omit<OutgoingRequest, 'method' | 'params'>,
    number: number | undefined,
    heard: (message: ServerMessage) => void,
  ): OpenRequest {
    const { client } = this.#beginning
    const { trace } = call
    const mirrored = method === 'tools/call' ? this.#mirrored.of(params['name']) : []
    return this.#link.request(
      {
        method,
        params: withRequestMeta(params, {
          clientInfo: client.clientInfo,
          capabilities: this.#capabilitiesFor(call),
          logLevel: call.logLevel ?? this.#logLevel,
          progressToken: call.onNotification ? number : undefined,
          trace,
        }),
      },
      {
        signal: call.signal,
        headers: {
          'mcp-protocol-version': STATELESS_REVISION,
          ...mirroringHeaders(method, params, mirrored),
          ...(trace ? { traceparent: trace.traceparent } : {}),
          ...(trace?.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
        },
        onMessage: heard,
      },
    )
  }

  /** Whoever cannot be asked declares nothing that a server could ask for. */
  #capabilitiesFor({ ask }: Pick<OutgoingRequest, 'ask'>): Params {
    const { capabilities } = this.#beginning.client
    if (ask) return capabilities
    const { sampling: _1, elicitation: _2, roots: _3, ...rest } = capabilities
    return rest
  }

  // What the server says by itself.

  /** What belongs to no stream of its own. */
  #heard(message: ServerMessage): void {
    if (message.kind === 'request') {
      this.#refuse(message.id, message.method)
      return
    }
    if (this.#changes.hears(message)) {
      this.#changes.heard(message)
      return
    }
    const token = message.params['progressToken']
    const running = message.method === 'notifications/progress' ? this.#running.find(token) : this.#latest()
    if (running) this.#noticed(message, running)
  }

  /** On one stream for all, a log message does not say which request it belongs to: most likely the last. */
  #latest(): Running | undefined {
    return this.#running.latest(() => true)
  }

  #noticed({ method, params }: RpcNotification, { call, number }: Running): void {
    if (method === 'notifications/progress') {
      const { progressToken, ...rest } = params
      if (progressToken === number) call.onNotification?.(method, withoutHopMeta(rest))
      return
    }
    if (method !== 'notifications/message') return
    const least = call.logLevel ?? this.#logLevel
    if (least === undefined || !isWanted(params['level'], least)) return
    const told = withoutHopMeta(params)
    if (call.onNotification) call.onNotification(method, told)
    else this.#beginning.inbox.notification(method, told)
  }

  /** There are no requests of a server in this revision: it is told so, where there is a way back. */
  #refuse(id: RequestId, method: string): void {
    try {
      this.#link.send({
        kind: 'error',
        id,
        error: {
          code: -32_601,
          message: `${STATELESS_REVISION} has no request ${method.slice(0, 64)} of a server.`,
        },
      })
    } catch {
      // Its input is full.
    }
  }

  #cancel(requestId: RequestId): void {
    // Over HTTP the end of the response says so; on a shared stream it has to be said.
    if (!this.#link.singleStream || this.#over) return
    try {
      this.#link.send({ kind: 'notification', method: 'notifications/cancelled', params: { requestId } })
    } catch {
      // Its input is full: it will find out when it answers to nobody.
    }
  }

  #end(fault: Error): void {
    if (this.#over) return
    this.#over = true
    this.#changes.close()
    this.#beginning.inbox.ended(fault)
  }

  // What this revision has no requests for.

  #setLevel(level: unknown): Answer {
    if (!isObject(this.#about.capabilities['logging'])) return notKnown('logging/setLevel')
    if (!isLogLevel(level))
      return { kind: 'error', error: { code: -32_602, message: 'There is no such log level.' } }
    this.#logLevel = level
    return EMPTY
  }

  async #subscribe(uri: string): Promise<Answer> {
    const { resources } = this.#about.capabilities
    if (!isObject(resources) || resources['subscribe'] !== true) return notKnown('resources/subscribe')
    if (this.#subscribed.has(uri)) return EMPTY
    if (this.#subscribed.size >= MOST_SUBSCRIPTIONS) {
      return { kind: 'error', error: { code: -32_603, message: 'Too many subscriptions.' } }
    }
    this.#subscribed.add(uri)
    try {
      await this.#changes.set(this.#union())
    } catch (fault) {
      this.#subscribed.delete(uri)
      throw fault
    }
    if (this.#changes.granted.resourceSubscriptions?.includes(uri) === true) return EMPTY
    this.#subscribed.delete(uri)
    return {
      kind: 'error',
      error: {
        code: -32_602,
        message: 'The MCP server does not tell changes of this resource.',
        data: { uri },
      },
    }
  }

  async #unsubscribe(uri: string): Promise<Answer> {
    if (this.#subscribed.delete(uri)) await this.#changes.set(this.#union())
    return EMPTY
  }

  #union(): Listening {
    const uris = new Set([...(this.#wanted.resourceSubscriptions ?? []), ...this.#subscribed])
    const { resourceSubscriptions: _, ...lists } = this.#wanted
    return { ...lists, ...(uris.size > 0 ? { resourceSubscriptions: [...uris] } : {}) }
  }

  // Arguments in headers.

  /** Only HTTP has headers. */
  #learn(result: Params): Params {
    return this.#link.singleStream ? result : this.#mirrored.learn(result)
  }

  /** Reads all tools, after the server said that headers are missing. */
  async #relist(signal: AbortSignal): Promise<void> {
    let cursor: unknown
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const params = cursor === undefined ? {} : { cursor }
      const answer = await this.#converse({ method: 'tools/list', params, signal })
      if (answer.kind === 'error') return
      this.#learn(answer.result)
      cursor = answer.result['nextCursor']
      if (typeof cursor !== 'string') return
    }
  }

  #versionRefused(): Fault {
    const { server } = this.#beginning
    const fault = new Fault(
      'upstream_unavailable',
      `MCP server "${server}" does not speak ${STATELESS_REVISION} any more. Try again.`,
      { retryAfterS: 1 },
    )
    this.#end(fault)
    this.#link.close()
    return fault
  }

  #invalid(what: string): Fault {
    const { server } = this.#beginning
    return new Fault('upstream_invalid', `MCP server "${server}" sent an answer that cannot be used.`, {
      cause: new Error(`MCP server "${server}" sent ${what}.`),
    })
  }
}

const EMPTY: Answer = { kind: 'result', result: {} }

const INVALID_URI: Answer = { kind: 'error', error: { code: -32_602, message: 'uri must be a text.' } }

const notKnown = (method: string): Answer => ({
  kind: 'error',
  error: { code: -32_601, message: `The MCP server does not know ${method}.` },
})
