import type { ServerResponse } from 'node:http'
import type { Caller } from '../../identity/caller.ts'
import type { Clock } from '../../lib/clock.ts'
import { isObject } from '../../lib/json-rpc.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { Ask, AskAnswer, ClientFacts, Inbox, Listening } from '../../upstreams/conversation.ts'
import type { EventStream, EventStreams } from '../event-stream.ts'
import type { Params } from '../message.ts'
import type { Session } from '../session.ts'
import { has } from '../translate/features.ts'
import { notificationFor } from '../translate/notification.ts'
import { answerBack, serverRequestFor } from '../translate/server-request.ts'
import { Channel } from './channel.ts'
import { notificationText } from './frame.ts'
import { LiveConversation } from './live-conversation.ts'
import { PendingAsks } from './pending-asks.ts'
import { type ReplayBudget, ReplayLog, RESUME_MS } from './replay-log.ts'
import type { ReplyStream } from './reply-stream.ts'

export interface SessionClientParts {
  readonly session: Session
  readonly backend: Backend
  readonly facts: ClientFacts
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly budget: ReplayBudget
  readonly clock: Clock
}

/** Streams of requests that a session may keep for a client that lost its connection. */
const CHANNELS_PER_SESSION = 64

/** The stream on which the server speaks first; those of requests are numbered from 1. */
const FIRST_WORD = '0'

/** A client with a session, as its server sees it: what the server says goes to the stream it belongs to. */
export class SessionClient implements Inbox {
  readonly live: LiveConversation
  readonly session: Session
  /** Where the server speaks first: the GET stream, or the only stream of 2024-11-05. */
  readonly standing: Channel
  readonly #parts: SessionClientParts
  readonly #asks: PendingAsks
  readonly #log: ReplayLog | undefined
  #channels: Map<string, Channel> | undefined
  #opened = 0
  #told: string | undefined
  #listening = false

  constructor(parts: SessionClientParts) {
    const { session, backend, facts, clock, budget } = parts
    this.#parts = parts
    this.session = session
    this.live = new LiveConversation(backend, facts, this)
    this.#asks = new PendingAsks(clock)
    const keeps = session.transport === 'streamable' && has(facts.revision, 'resumption')
    this.#log = keeps ? new ReplayLog(budget, clock) : undefined
    this.standing = this.#channel(FIRST_WORD)
  }

  notification(method: string, params: Params): void {
    const known = notificationFor(method, params, this.live.facts.revision)
    if (!known) return
    const message = notificationText(method, known)
    const dispensable = method === 'notifications/message' || method === 'notifications/progress'
    // Said again before anybody heard it the first time, it says nothing new.
    if (this.standing.connections === 0 && this.#told === message) return
    this.#told = message
    this.standing.send(message, dispensable)
  }

  /** A request of the server that belongs to none of the client's. */
  readonly ask: Ask = (method, params, signal) => this.#put(method, params, signal, this.standing)

  /** What Postern itself knows to have changed: a rule, a grant, a server. */
  toolsChanged(): void {
    this.notification('notifications/tools/list_changed', {})
  }

  /** Whether the server itself would tell this client of other tools. */
  get hearsOfTools(): boolean {
    return this.#listening && tellsOf(this.live.open?.about.capabilities ?? {}, 'tools')
  }

  ended(): void {
    // The next request begins another conversation: see LiveConversation.
  }

  answered(id: unknown, answer: AskAnswer | undefined): void {
    this.#asks.answer(id, answer)
  }

  /** Asks the server for news, once somebody can hear them. */
  listen(caller: Caller, requestId: string): void {
    if (this.#listening) return
    this.#listening = true
    this.#listen(caller, requestId).catch(() => {
      // The server is away: the next stream of this client asks again.
      this.#listening = false
    })
  }

  async #listen(caller: Caller, requestId: string): Promise<void> {
    const opened = await this.live.get(caller, requestId)
    if (opened.ok) await this.live.listen(caller, requestId, wantedOf(opened.value.about.capabilities))
  }

  /**
   * The reply to one request of this client. It becomes a stream when the first thing is said on it, and only then.
   *
   * @param streams false when the client takes nothing but JSON
   */
  reply(response: ServerResponse | undefined, streams: boolean): SessionReply {
    return new SessionReply(this, response, streams)
  }

  /** Opens a stream over a response, if there may be another one. */
  openChannel(response: ServerResponse): Channel | undefined {
    const { streams, maxStreams } = this.#parts
    if (response.headersSent || response.destroyed || streams.size >= maxStreams) return undefined
    this.#opened += 1
    const channel = this.#channel(this.#opened.toString(36))
    if (channel.resumable) {
      this.#channels ??= new Map()
      if (this.#channels.size >= CHANNELS_PER_SESSION) this.#forgetOldest()
      this.#channels.set(channel.id, channel)
    }
    this.connect(channel, response)
    return channel
  }

  /** Carries a channel over a response, from an event on where the client names one. */
  connect(channel: Channel, response: ServerResponse, after?: number): EventStream {
    const { streams, clock } = this.#parts
    const stream: EventStream = streams.open(response, () => {
      channel.disconnected(stream, clock.now())
    })
    channel.connect(stream, after)
    return stream
  }

  /** The stream of a request that may still be resumed. */
  channel(id: string): Channel | undefined {
    return id === FIRST_WORD ? this.standing : this.#channels?.get(id)
  }

  askOn(channel: Channel): Ask {
    return (method, params, signal) => this.#put(method, params, signal, channel)
  }

  /** Forgets what nobody came back for; requests whose answer nobody will fetch are stopped. */
  sweep(): void {
    const oldest = this.#parts.clock.now() - RESUME_MS
    this.#log?.forgetOld()
    for (const channel of this.#channels?.values() ?? []) {
      if (channel.lonelySince !== undefined && channel.lonelySince <= oldest) this.#forget(channel)
    }
  }

  close(): void {
    this.#asks.close()
    this.live.close()
    this.standing.end()
    for (const channel of this.#channels?.values() ?? []) channel.end()
    this.#channels?.clear()
    this.#log?.clear()
  }

  #channel(id: string): Channel {
    return new Channel(id, this.#log, has(this.live.facts.revision, 'priming_event'))
  }

  #forgetOldest(): void {
    const lonely = [...(this.#channels?.values() ?? [])].filter(({ connections }) => connections === 0)
    const oldest = lonely.find(({ finished }) => finished) ?? lonely[0]
    if (oldest) this.#forget(oldest)
  }

  #forget(channel: Channel): void {
    this.#channels?.delete(channel.id)
    channel.onForgotten?.()
  }

  async #put(method: string, params: Params, signal: AbortSignal, channel: Channel): Promise<AskAnswer> {
    const known = serverRequestFor(method, params, this.live.facts)
    if (!known.ok) return { kind: 'error', error: known.error }
    const send = (message: string): void => channel.send(message)
    return answerBack(known.value, await this.#asks.ask(method, known.value.params, signal, send))
  }
}

/** The reply to one request of a session: JSON until something must be said before the answer. */
export class SessionReply implements ReplyStream {
  readonly response: ServerResponse | undefined
  readonly #client: SessionClient
  readonly #streams: boolean
  #channel: Channel | undefined

  constructor(client: SessionClient, response: ServerResponse | undefined, streams: boolean) {
    this.#client = client
    this.response = response
    this.#streams = streams
  }

  /** On the only stream of 2024-11-05 everything is said; elsewhere a client must take streams. */
  get tells(): boolean {
    return this.#streams || this.response === undefined
  }

  get channel(): Channel | undefined {
    return this.#channel
  }

  notify(method: string, params: Params, dispensable: boolean): void {
    this.#open()?.send(notificationText(method, params), dispensable)
  }

  readonly ask: Ask = (method, params, signal) => {
    // Without a stream of its own the question goes where the server speaks first.
    const channel = this.#open() ?? this.#client.standing
    return this.#client.askOn(channel)(method, params, signal)
  }

  resumable(): boolean {
    return this.#channel?.resumable === true
  }

  /** Sends the answer on the stream. @returns false when there is none, and the answer goes out as JSON */
  finish(message: string | undefined): boolean {
    const channel = this.#channel
    if (!channel) return false
    if (message !== undefined) channel.send(message)
    channel.finished = true
    channel.end()
    return true
  }

  #open(): Channel | undefined {
    if (this.response === undefined) return this.#client.standing
    if (!this.#streams) return undefined
    this.#channel ??= this.#client.openChannel(this.response)
    return this.#channel
  }
}

/** What the server says it can tell of. Resources are asked for one by one, by `resources/subscribe`. */
function wantedOf(capabilities: Params): Listening {
  return {
    ...(tellsOf(capabilities, 'tools') ? { toolsListChanged: true } : {}),
    ...(tellsOf(capabilities, 'prompts') ? { promptsListChanged: true } : {}),
    ...(tellsOf(capabilities, 'resources') ? { resourcesListChanged: true } : {}),
  }
}

function tellsOf(capabilities: Params, kind: string): boolean {
  const capability = capabilities[kind]
  return isObject(capability) && capability.listChanged === true
}
