import { Bag } from '../lib/bag.ts'
import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import { isSessionRevision, LATEST_SESSION_REVISION } from '../lib/revisions.ts'
import type { Beginning } from './beginning.ts'
import type { Answer, Ask, AskAnswer, Inbox, OutgoingRequest, ServerFacts } from './conversation.ts'
import { deadline } from './deadline.ts'
import { isDeclared } from './declared.ts'
import type { RpcLink, RpcNotification, RpcRequest, RpcResponse, ServerMessage } from './link.ts'
import { unlessAborted } from './unless-aborted.ts'
import { isWanted, mostTelling } from './log-level.ts'

/** More than any limit of requests: tokens are made of a request's number and its place. */
const MOST_RUNNING = 65_536

/** Requests of a server that wait for an answer. */
const MOST_ASKED = 64

/** Addresses of which one server is asked to tell changes. */
const MOST_SUBSCRIPTIONS = 10_000

/** What conversations on one peer know of each other. */
export interface Attached {
  readonly inbox: Inbox
  /** The least severe log message wanted; undefined for what the server likes. */
  readonly logLevel: string | undefined
  wantsListChanged(method: string): boolean
  /** @param exactly not for a resource that may be a part of what was subscribed to */
  wantsUpdatesOf(uri: string, exactly: boolean): boolean
}

interface Running {
  readonly owner: Attached
  readonly call: OutgoingRequest
  /** The later of two has the higher number. */
  readonly number: number
  /** Requests of the server that the client was asked on behalf of this one; false where that is a guess. */
  readonly asks: Map<AbortController, boolean>
}

/**
 * A server that was initialised (revisions 2024-11-05 to 2025-11-25), and everything that is one for all
 * conversations with it: one for HTTP, as many as share the process for stdio.
 */
export class SessionPeer {
  readonly facts: ServerFacts
  readonly #link: RpcLink
  readonly #capabilities: Params
  readonly #clock: Beginning['clock']
  readonly #timeoutMs: number
  /** What is not for one caller is for none: log messages of one must not reach another. */
  readonly #strangers: boolean
  readonly #attached = new Set<Attached>()
  readonly #running = new Bag<Running>()
  readonly #asked = new Map<RequestId, AbortController>()
  readonly #subscriptions = new Map<string, number>()
  #number = 0
  #level: string | undefined
  #ended: Error | undefined

  private constructor(
    link: RpcLink,
    beginning: Omit<Beginning, 'inbox'>,
    facts: ServerFacts,
    strangers: boolean,
  ) {
    this.facts = facts
    this.#link = link
    this.#capabilities = beginning.client.capabilities
    this.#clock = beginning.clock
    this.#timeoutMs = beginning.timeoutMs
    this.#strangers = strangers
  }

  /**
   * Initialises a server.
   *
   * @param strangers true when conversations of several callers will share it
   * @throws Fault `upstream_invalid` when the server refuses or answers in a revision nobody knows
   */
  static async begin(
    link: RpcLink,
    beginning: Omit<Beginning, 'inbox'>,
    strangers: boolean,
  ): Promise<SessionPeer> {
    const { client, server, signal } = beginning
    let peer: SessionPeer | undefined
    const early: ServerMessage[] = []
    let ended: Error | undefined
    link.listen({
      message(message) {
        if (peer) peer.#heard(message, undefined)
        else if (message.kind === 'request' && message.method === 'ping') reply(link, pong(message.id))
        else if (early.length < MOST_ASKED) early.push(message)
      },
      closed(fault) {
        ended = fault
        if (peer) peer.#closed(fault)
      },
    })
    const answer = await link.request(
      {
        method: 'initialize',
        params: {
          protocolVersion: isSessionRevision(client.revision) ? client.revision : LATEST_SESSION_REVISION,
          capabilities: client.capabilities,
          clientInfo: client.clientInfo,
        },
      },
      { signal },
    ).answer
    const told = readFacts(answer, server)
    const facts = strangers || beginning.asOne === true ? withoutTasks(told) : told
    link.agreed(facts.revision)
    link.send({ kind: 'notification', method: 'notifications/initialized', params: {} })
    peer = new SessionPeer(link, beginning, facts, strangers)
    for (const message of early) peer.#heard(message, undefined)
    if (ended !== undefined) peer.#closed(ended)
    return peer
  }

  attach(conversation: Attached): void {
    this.#attached.add(conversation)
  }

  detach(conversation: Attached): void {
    this.#attached.delete(conversation)
    if (this.#ended === undefined) this.#levelChanged()
  }

  async exchange(owner: Attached, call: OutgoingRequest): Promise<Answer> {
    const running: Running = { owner, call, number: (this.#number += 1), asks: new Map() }
    const place = this.#running.add(running)
    const token = call.onNotification ? running.number * MOST_RUNNING + place : undefined
    const open = this.#link.request(
      { method: call.method, params: withMeta(call, token) },
      {
        signal: call.signal,
        ...(call.trace ? { headers: traceHeaders(call.trace) } : {}),
        onMessage: (message) => {
          this.#heard(message, running)
        },
      },
    )
    try {
      const answer = toAnswer(await open.answer)
      // What was only taken to belong to it may outlive it.
      for (const [ask, isSure] of running.asks) if (isSure) ask.abort(requestOver())
      return answer
    } catch (fault) {
      if (call.signal.aborted) this.#cancel(open.id, call.signal.reason)
      for (const ask of running.asks.keys()) ask.abort(requestOver())
      throw fault
    } finally {
      this.#running.remove(place)
    }
  }

  notify(method: string, params: Params): void {
    this.#link.send({ kind: 'notification', method, params })
  }

  /** A request on our own account. */
  async #own(method: string, params: Params): Promise<Answer> {
    const time = deadline(
      this.#clock,
      this.#timeoutMs,
      () => new Fault('upstream_timeout', `The MCP server did not answer ${method} in time.`),
    )
    try {
      return toAnswer(await this.#link.request({ method, params }, { signal: time.signal }).answer)
    } finally {
      time.done()
    }
  }

  /** Subscribes unless somebody has. Answers what the server said, if it was asked. */
  async subscribe(uri: string): Promise<Answer> {
    const count = this.#subscriptions.get(uri) ?? 0
    if (count === 0 && this.#subscriptions.size >= MOST_SUBSCRIPTIONS)
      return { kind: 'error', error: { code: -32_603, message: 'Too many subscriptions to this server.' } }
    this.#subscriptions.set(uri, count + 1)
    if (count > 0) return EMPTY
    try {
      const answer = await this.#own('resources/subscribe', { uri })
      if (answer.kind === 'error') this.#release(uri)
      return answer
    } catch (fault) {
      this.#release(uri)
      throw fault
    }
  }

  async unsubscribe(uri: string): Promise<Answer> {
    return this.#release(uri) ? this.#own('resources/unsubscribe', { uri }) : EMPTY
  }

  /** True when nobody is left. */
  #release(uri: string): boolean {
    const count = this.#subscriptions.get(uri)
    if (count === undefined) return false
    if (count > 1) this.#subscriptions.set(uri, count - 1)
    else this.#subscriptions.delete(uri)
    return count === 1
  }

  /** Asks the server for what the most curious of all conversations wants. */
  async setLevel(): Promise<Answer> {
    const level = this.#wantedLevel()
    if (level === undefined || level === this.#level) return EMPTY
    const answer = await this.#own('logging/setLevel', { level })
    if (answer.kind === 'result') this.#level = level
    return answer
  }

  get ended(): Error | undefined {
    return this.#ended
  }

  #wantedLevel(): string | undefined {
    const levels: string[] = []
    for (const { logLevel } of this.#attached) if (logLevel !== undefined) levels.push(logLevel)
    return mostTelling(levels)
  }

  #levelChanged(): void {
    if (this.#level === undefined || this.#attached.size === 0) return
    this.setLevel().catch(() => undefined)
  }

  #cancel(requestId: RequestId, reason: unknown): void {
    if (this.#ended !== undefined) return
    try {
      this.#link.send({
        kind: 'notification',
        method: 'notifications/cancelled',
        params: { requestId, ...(reason instanceof Fault ? { reason: reason.message } : {}) },
      })
    } catch {
      // Its input is full: it will find out when it answers to nobody.
    }
  }

  #closed(fault: Error): void {
    this.#ended = fault
    for (const ask of this.#asked.values()) ask.abort(fault)
    const attached = [...this.#attached]
    this.#attached.clear()
    for (const { inbox } of attached) inbox.ended(fault)
  }

  #heard(message: ServerMessage, related: Running | undefined): void {
    if (message.kind === 'request') this.#answer(message, related)
    else this.#noticed(message, related)
  }

  #noticed({ method, params }: RpcNotification, related: Running | undefined): void {
    switch (method) {
      case 'notifications/progress': {
        const { progressToken, ...rest } = params
        if (typeof progressToken !== 'number') return
        this.#runningOf(progressToken)?.call.onNotification?.(method, rest)
        return
      }
      case 'notifications/cancelled': {
        const id = params['requestId']
        if (typeof id === 'number' || typeof id === 'string') this.#asked.get(id)?.abort(TAKEN_BACK)
        return
      }
      case 'notifications/message':
        this.#logged(method, params, related)
        return
      case 'notifications/tools/list_changed':
      case 'notifications/prompts/list_changed':
      case 'notifications/resources/list_changed':
        for (const one of this.#attached)
          if (one.wantsListChanged(method)) one.inbox.notification(method, params)
        return
      case 'notifications/resources/updated': {
        const { uri } = params
        if (typeof uri !== 'string') return
        // The beginning of an address is no right to hear of what another caller does below it.
        for (const one of this.#attached)
          if (one.wantsUpdatesOf(uri, this.#strangers)) one.inbox.notification(method, params)
        return
      }
      case 'notifications/elicitation/complete':
      case 'notifications/tasks/status':
        if (this.#strangers) return
        for (const one of this.#attached) one.inbox.notification(method, params)
        return
      default:
        return
    }
  }

  #runningOf(progressToken: number): Running | undefined {
    const running = this.#running.at(progressToken % MOST_RUNNING)
    return running?.number === Math.floor(progressToken / MOST_RUNNING) ? running : undefined
  }

  #logged(method: string, params: Params, related: Running | undefined): void {
    // A call may go on telling when it is over and only those of another caller run: nobody's is all it can be.
    if (this.#strangers) return
    const running = related ?? this.#likely(({ call }) => call.onNotification !== undefined)
    if (running) {
      const least = running.call.logLevel ?? running.owner.logLevel
      if (isWanted(params['level'], least)) running.call.onNotification?.(method, params)
      return
    }
    for (const { inbox, logLevel } of this.#attached)
      if (isWanted(params['level'], logLevel)) inbox.notification(method, params)
  }

  /**
   * The request that a message most likely belongs to, where the transport does not say: the one that began
   * last.
   */
  #likely(fits: (running: Running) => boolean): Running | undefined {
    if (!this.#link.singleStream) return undefined
    let latest: Running | undefined
    for (const running of this.#running) {
      if (fits(running) && (latest === undefined || running.number > latest.number)) latest = running
    }
    return latest
  }

  #answer(request: RpcRequest, related: Running | undefined): void {
    const { id, method, params } = request
    if (method === 'ping') {
      this.#reply(pong(id))
      return
    }
    if (this.#strangers || !isDeclared(this.#capabilities, method, params)) {
      this.#reply({
        kind: 'error',
        id,
        error: { code: -32_601, message: `The client does not know ${method}.` },
      })
      return
    }
    if (this.#asked.size >= MOST_ASKED || this.#asked.has(id)) {
      this.#reply({
        kind: 'error',
        id,
        error: { code: -32_603, message: 'Too many requests wait for an answer.' },
      })
      return
    }
    const running = related?.call.ask ? related : this.#likely(({ call }) => call.ask !== undefined)
    const ask = running?.call.ask ?? this.#anyInbox()
    if (!ask) {
      this.#reply({ kind: 'error', id, error: { code: -32_603, message: 'There is no client to ask.' } })
      return
    }
    const controller = new AbortController()
    this.#asked.set(id, controller)
    running?.asks.set(controller, running === related)
    void this.#put(ask, request, controller).then((answer) => {
      this.#asked.delete(id)
      running?.asks.delete(controller)
      if (this.#ended === undefined && answer) this.#reply({ ...answer, id })
    })
  }

  /** Undefined where the server no longer waits for an answer. */
  async #put(
    ask: Ask,
    { method, params }: RpcRequest,
    { signal }: AbortController,
  ): Promise<AskAnswer | undefined> {
    try {
      return await unlessAborted(ask(method, withoutProgressToken(params), signal), signal)
    } catch {
      if (signal.aborted && signal.reason === TAKEN_BACK) return undefined
      return { kind: 'error', error: { code: -32_603, message: 'The client could not be asked.' } }
    }
  }

  #anyInbox(): Ask | undefined {
    let last: Attached | undefined
    for (const one of this.#attached) last = one
    if (!last) return undefined
    const { inbox } = last
    return (method, params, signal) => inbox.ask(method, params, signal)
  }

  #reply(response: RpcResponse): void {
    reply(this.#link, response)
  }
}

function reply(link: RpcLink, response: RpcResponse): void {
  try {
    link.send(response)
  } catch {
    // Its input is full; a server that reads nothing gets no answers.
  }
}

const pong = (id: RequestId): RpcResponse => ({ kind: 'result', id, result: {} })

const TAKEN_BACK = new Error('The server took its request back.')

const requestOver = (): Error => new Error('The request that it belonged to is over.')

const EMPTY: Answer = { kind: 'result', result: {} }

function readFacts(answer: RpcResponse, server: string): ServerFacts {
  if (answer.kind === 'error')
    throw new Fault('upstream_invalid', `MCP server "${server}" refused to begin a conversation.`, {
      cause: new Error(`${answer.error.code} ${answer.error.message.slice(0, 500)}`),
    })
  const { protocolVersion, capabilities, serverInfo, instructions } = answer.result
  if (typeof protocolVersion !== 'string' || !isSessionRevision(protocolVersion))
    throw new Fault(
      'upstream_invalid',
      `MCP server "${server}" speaks a protocol revision that Postern does not.`,
    )
  return {
    revision: protocolVersion,
    serverInfo: isObject(serverInfo) ? serverInfo : {},
    capabilities: isObject(capabilities) ? capabilities : {},
    ...(typeof instructions === 'string' ? { instructions } : {}),
  }
}

/** Tasks belong to whoever made them, and the server could not tell whose they are (2025-11-25 tasks, "Security"). */
function withoutTasks(facts: ServerFacts): ServerFacts {
  const { tasks: _, ...capabilities } = facts.capabilities
  return { ...facts, capabilities }
}

function toAnswer(response: RpcResponse): Answer {
  return response.kind === 'result'
    ? { kind: 'result', result: response.result }
    : { kind: 'error', error: response.error }
}

/** What this hop adds to the params of a request. */
function withMeta({ params, trace }: OutgoingRequest, progressToken: number | undefined): Params {
  if (progressToken === undefined && trace === undefined) return params
  const meta = params['_meta']
  return {
    ...params,
    _meta: {
      ...(isObject(meta) ? meta : {}),
      ...(progressToken === undefined ? {} : { progressToken }),
      ...trace,
    },
  }
}

const traceHeaders = (trace: NonNullable<OutgoingRequest['trace']>): Readonly<Record<string, string>> => ({
  traceparent: trace.traceparent,
  ...(trace.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
})

/** Progress of a client's work for the server would have to be told by a token of this hop: it is not offered. */
function withoutProgressToken(params: Params): Params {
  const meta = params['_meta']
  if (!isObject(meta) || meta['progressToken'] === undefined) return params
  const { progressToken: _, ...rest } = meta
  return { ...params, _meta: rest }
}
