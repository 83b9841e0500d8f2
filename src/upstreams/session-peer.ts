import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import { type Numbered, NumberedBag } from '../lib/numbered-bag.ts'
import type { Beginning } from './beginning.ts'
import type { Answer, Ask, Inbox, OutgoingRequest, ServerFacts } from './conversation.ts'
import { deadline } from './deadline.ts'
import { isDeclared } from './declared.ts'
import { initialize } from './initialize.ts'
import type { RpcLink, RpcNotification, RpcRequest, RpcResponse, ServerMessage } from './link.ts'
import { isWanted, mostTelling } from '../lib/log-level.ts'
import { MOST_QUESTIONS, Questions } from './questions.ts'
import { Subscriptions } from './subscriptions.ts'

/** What conversations on one peer know of each other. */
export interface Attached {
  readonly inbox: Inbox
  /** The least severe log message wanted; undefined for what the server likes. */
  readonly logLevel: string | undefined
  wantsListChanged(method: string): boolean
  /** @param exactly not for a resource that may be a part of what was subscribed to */
  wantsUpdatesOf(uri: string, exactly: boolean): boolean
}

/** A request that runs; its number is its progress token. */
interface Running extends Numbered {
  readonly owner: Attached
  readonly call: OutgoingRequest
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
  readonly #running = new NumberedBag<Running>()
  readonly #questions = new Questions()
  /** What the server tells of because a conversation asked for it. */
  readonly subscriptions = new Subscriptions((method, uri) => this.#own(method, { uri }))
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
   * @throws Fault `upstream_*`: see `initialize`
   */
  static async begin(
    link: RpcLink,
    beginning: Omit<Beginning, 'inbox'>,
    strangers: boolean,
  ): Promise<SessionPeer> {
    let peer: SessionPeer | undefined
    const early: ServerMessage[] = []
    let ended: Error | undefined
    link.listen({
      message(message) {
        if (peer) peer.#heard(message, undefined)
        else if (message.kind === 'request' && message.method === 'ping') send(link, pong(message.id))
        else if (early.length < MOST_QUESTIONS) early.push(message)
      },
      closed(fault) {
        ended = fault
        if (peer) peer.#closed(fault)
      },
    })
    const facts = await initialize(link, beginning, strangers)
    // It answered with its last words.
    if (ended !== undefined) throw ended
    peer = new SessionPeer(link, beginning, facts, strangers)
    for (const message of early) peer.#heard(message, undefined)
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
    const running: Running = { number: 0, owner, call, asks: new Map() }
    this.#running.add(running)
    const token = call.onNotification ? running.number : undefined
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
      this.#running.remove(running)
    }
  }

  notify(method: string, params: Params): void {
    send(this.#link, { kind: 'notification', method, params })
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
    send(this.#link, {
      kind: 'notification',
      method: 'notifications/cancelled',
      params: { requestId, ...(reason instanceof Fault ? { reason: reason.message } : {}) },
    })
  }

  #closed(fault: Error): void {
    this.#ended = fault
    this.#questions.end(fault)
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
        this.#running.find(progressToken)?.call.onNotification?.(method, rest)
        return
      }
      case 'notifications/cancelled':
        this.#questions.takeBack(params['requestId'])
        return
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
    return this.#link.singleStream ? this.#running.latest(fits) : undefined
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
        error: { code: -32_601, message: `The client does not know ${method.slice(0, 64)}.` },
      })
      return
    }
    const running = related?.call.ask ? related : this.#likely(({ call }) => call.ask !== undefined)
    const ask = running?.call.ask ?? this.#anyInbox()
    if (!ask) {
      this.#reply({ kind: 'error', id, error: { code: -32_603, message: 'There is no client to ask.' } })
      return
    }
    const question = this.#questions.open(id)
    if (!question) {
      this.#reply({
        kind: 'error',
        id,
        error: { code: -32_603, message: 'Too many requests wait for an answer.' },
      })
      return
    }
    running?.asks.set(question, running === related)
    void this.#questions.put(request, ask, question).then((answer) => {
      running?.asks.delete(question)
      if (this.#ended === undefined && answer) this.#reply({ ...answer, id })
    })
  }

  #anyInbox(): Ask | undefined {
    let last: Attached | undefined
    for (const one of this.#attached) last = one
    if (!last) return undefined
    const { inbox } = last
    return (method, params, signal) => inbox.ask(method, params, signal)
  }

  #reply(response: RpcResponse): void {
    send(this.#link, response)
  }
}

/** Sends what nobody waits for. A server that takes nothing in gets none of it, and finds out when it asks. */
function send(link: RpcLink, message: RpcNotification | RpcResponse): void {
  try {
    link.send(message)
  } catch {
    // Its input is full.
  }
}

const pong = (id: RequestId): RpcResponse => ({ kind: 'result', id, result: {} })

const requestOver = (): Error => new Error('The request that it belonged to is over.')

const EMPTY: Answer = { kind: 'result', result: {} }

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
