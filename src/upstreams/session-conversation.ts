import type { Params } from '../lib/json-rpc.ts'
import { isObject } from '../lib/json-rpc.ts'
import type { Beginning } from './beginning.ts'
import type { Answer, Conversation, Inbox, Listening, OutgoingRequest, ServerFacts } from './conversation.ts'
import type { RpcLink } from './link.ts'
import { isLogLevel } from '../lib/log-level.ts'
import { type Attached, SessionPeer } from './session-peer.ts'

/** Addresses one conversation may ask to be told of. */
const MOST_SUBSCRIPTIONS = 1_000

/** Nobody shares the peer: all of it is theirs. */
const ALONE = ''

/** Begins a conversation with a server of a revision with sessions; it alone has the link. */
export async function openSessionConversation(link: RpcLink, beginning: Beginning): Promise<Conversation> {
  try {
    const peer = await SessionPeer.begin(link, beginning, false)
    return new SessionConversation(peer, beginning.inbox, ALONE, () => {
      link.close()
    })
  } catch (fault) {
    link.close()
    throw fault
  }
}

/** One of the conversations that are held with an initialised server. */
export class SessionConversation implements Conversation, Attached {
  readonly inbox: Inbox
  readonly #peer: SessionPeer
  readonly #credentialId: string
  readonly #onClose: () => void
  /** Asked for with `listen`, and one by one with `resources/subscribe`. */
  #listening: ReadonlySet<string> = new Set()
  readonly #subscribed = new Set<string>()
  #wanted: Listening = {}
  #logLevel: string | undefined
  /** Choices of what to hear are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  /**
   * @param credentialId whose it is, where several share the peer
   * @param onClose called when this side closed it
   */
  constructor(peer: SessionPeer, inbox: Inbox, credentialId: string, onClose: () => void) {
    this.#peer = peer
    this.inbox = inbox
    this.#credentialId = credentialId
    this.#onClose = onClose
    peer.attach(this)
  }

  get about(): ServerFacts {
    return this.#peer.facts
  }

  get logLevel(): string | undefined {
    return this.#logLevel
  }

  async request(call: OutgoingRequest): Promise<Answer> {
    call.signal.throwIfAborted()
    const { method, params, logLevel } = call
    const uri = params['uri']
    if (method === 'logging/setLevel' && isLogLevel(params['level'])) {
      this.#logLevel = params['level']
      // The server is asked even when it cannot log: that answer is the client's.
      return this.#can('logging') ? this.#peer.setLevel() : this.#peer.exchange(this, call)
    }
    if (method === 'resources/subscribe' && typeof uri === 'string') return this.#subscribe(uri)
    if (method === 'resources/unsubscribe' && typeof uri === 'string') return this.#unsubscribe(uri)
    if (
      logLevel !== undefined &&
      logLevel !== this.#logLevel &&
      isLogLevel(logLevel) &&
      this.#can('logging')
    ) {
      this.#logLevel = logLevel
      await this.#peer.setLevel()
      call.signal.throwIfAborted()
    }
    return this.#peer.exchange(this, call)
  }

  notify(method: string, params: Params): void {
    if (!this.#closed) this.#peer.notify(method, params)
  }

  listen(wanted: Listening): Promise<Listening> {
    const turn = this.#turn.then(() => this.#listenTo(wanted))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #listenTo(wanted: Listening): Promise<Listening> {
    const can = (capability: string): boolean => this.#can(capability, 'listChanged')
    const before = this.#listening
    const asked = new Set((wanted.resourceSubscriptions ?? []).slice(0, MOST_SUBSCRIPTIONS))
    const kept = this.#can('resources', 'subscribe') ? asked : new Set<string>()
    const added = [...kept].filter((uri) => !before.has(uri))
    this.#wanted = wanted
    // At once from here on: what is told between the answer and the next line must not be lost.
    this.#listening = new Set([...before, ...added])
    const answers = await Promise.allSettled(
      added.map((uri) => this.#peer.subscriptions.add(uri, this.#credentialId)),
    )
    const refused = new Set(added.filter((_, at) => !isAgreed(answers[at])))
    const accepted = new Set([...kept].filter((uri) => !refused.has(uri)))
    // Closing took back what was asked for, and nothing more is wanted.
    if (this.#closed) return {}
    this.#listening = accepted
    for (const uri of before) if (!kept.has(uri)) this.#leave(uri)
    const failed = answers.find((answer) => answer.status === 'rejected')
    if (failed) throw failed.reason
    return {
      ...(wanted.toolsListChanged === true && can('tools') ? { toolsListChanged: true } : {}),
      ...(wanted.promptsListChanged === true && can('prompts') ? { promptsListChanged: true } : {}),
      ...(wanted.resourcesListChanged === true && can('resources') ? { resourcesListChanged: true } : {}),
      ...(accepted.size > 0 ? { resourceSubscriptions: [...accepted] } : {}),
    }
  }

  wantsListChanged(method: string): boolean {
    switch (method) {
      case 'notifications/tools/list_changed':
        return this.#wanted.toolsListChanged === true
      case 'notifications/prompts/list_changed':
        return this.#wanted.promptsListChanged === true
      default:
        return this.#wanted.resourcesListChanged === true
    }
  }

  /** A server may name a part of what was subscribed to (2025-11-25 schema, `ResourceUpdatedNotification`). */
  wantsUpdatesOf(uri: string, exactly: boolean): boolean {
    if (this.#listening.has(uri) || this.#subscribed.has(uri)) return true
    if (exactly) return false
    for (const set of [this.#listening, this.#subscribed])
      for (const whole of set) if (uri.startsWith(whole)) return true
    return false
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#peer.ended === undefined) {
      for (const uri of [...this.#listening, ...this.#subscribed]) this.#leave(uri)
    }
    this.#peer.detach(this)
    this.#onClose()
  }

  async #subscribe(uri: string): Promise<Answer> {
    if (this.#subscribed.has(uri)) return { kind: 'result', result: {} }
    if (this.#subscribed.size >= MOST_SUBSCRIPTIONS)
      return { kind: 'error', error: { code: -32_603, message: 'Too many subscriptions.' } }
    this.#subscribed.add(uri)
    try {
      const answer = await this.#peer.subscriptions.add(uri, this.#credentialId)
      if (answer.kind === 'error') this.#subscribed.delete(uri)
      return answer
    } catch (fault) {
      this.#subscribed.delete(uri)
      throw fault
    }
  }

  async #unsubscribe(uri: string): Promise<Answer> {
    if (!this.#subscribed.delete(uri)) return { kind: 'result', result: {} }
    return this.#peer.subscriptions.remove(uri)
  }

  /** A server that cannot be told so tells on, and nobody listens. */
  #leave(uri: string): void {
    this.#peer.subscriptions.remove(uri).catch(() => undefined)
  }

  #can(capability: string, part?: string): boolean {
    const declared = this.#peer.facts.capabilities[capability]
    return isObject(declared) && (part === undefined || declared[part] === true)
  }
}

const isAgreed = (answer: PromiseSettledResult<Answer> | undefined): boolean =>
  answer?.status === 'fulfilled' && answer.value.kind === 'result'
