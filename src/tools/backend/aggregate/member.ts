import type { Refusal } from '../../../access/refusal.ts'
import type { Caller } from '../../../identity/caller.ts'
import type { Lifelines } from '../../../identity/lifelines.ts'
import type { Clock } from '../../../lib/clock.ts'
import { Fault } from '../../../lib/fault.ts'
import { ok, type Result } from '../../../lib/result.ts'
import type { ClientFacts, Inbox, Listening } from '../../../upstreams/conversation.ts'
import type { GuardedConversation } from '../backend.ts'
import type { ServerBackend } from '../server-backend.ts'

/** How long after its end a server is tried again that somebody waits to hear from, doubling. */
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

const MOST_SUBSCRIPTIONS = 1_000

/** On whose behalf a server is spoken to, and for which request. */
export interface Asker {
  readonly caller: Caller
  readonly requestId: string
}

/**
 * One server within a conversation with all of them. It is begun when it is first needed, and again after it ended,
 * and is then asked once more for what its client wants to hear of.
 */
export class Member {
  readonly server: string
  readonly backend: ServerBackend
  readonly subscriptions = new Set<string>()
  readonly #client: ClientFacts
  readonly #inbox: Inbox
  readonly #clock: Clock
  readonly #lifelines: Pick<Lifelines, 'hold'>
  readonly #closed = new AbortController()
  #opening: Promise<Result<GuardedConversation, Refusal>> | undefined
  #current: GuardedConversation | undefined
  #asker: Asker
  #logLevel: unknown
  #listening: Listening | undefined
  /** A list was made without it: its client is told when it comes. */
  #missed = false
  #begun = false
  #retryMs = FIRST_RETRY_MS
  #cancelRetry: (() => void) | undefined

  constructor(
    backend: ServerBackend,
    asker: Asker,
    client: ClientFacts,
    inbox: Inbox,
    { clock, lifelines }: { readonly clock: Clock; readonly lifelines: Pick<Lifelines, 'hold'> },
  ) {
    this.server = backend.server
    this.backend = backend
    this.#asker = asker
    this.#client = client
    this.#inbox = inbox
    this.#clock = clock
    this.#lifelines = lifelines
  }

  /** The conversation, when it is open. */
  get current(): GuardedConversation | undefined {
    return this.#current
  }

  /** A list was made without it before, and it is still being begun: nothing is gained by waiting for it again. */
  get late(): boolean {
    return this.#missed && this.#opening !== undefined
  }

  /** The conversation, begun if need be. Throws a `Fault` when the server cannot be reached. */
  async get({ caller, requestId }: Asker): Promise<Result<GuardedConversation, Refusal>> {
    this.#asker = { caller, requestId }
    if (this.#current) return ok(this.#current)
    if (!this.#opening) {
      this.#opening = this.#open(this.#asker).finally(() => {
        this.#opening = undefined
      })
      // Whoever asked may have given up waiting.
      this.#opening.catch(() => undefined)
    }
    return await this.#opening
  }

  missed(): void {
    this.#missed = true
  }

  setLogLevel(level: unknown): void {
    this.#logLevel = level
  }

  subscribed(uri: string): void {
    if (this.subscriptions.size < MOST_SUBSCRIPTIONS) this.subscriptions.add(uri)
  }

  /** Keeps what the client wants to be told, for every conversation with this server that is begun from now on. */
  setListening(wanted: Listening): void {
    this.#listening = wanted
  }

  async listen(asker: Asker, wanted: Listening): Promise<Listening> {
    this.setListening(wanted)
    const conversation = await this.get(asker)
    return conversation.ok ? await conversation.value.listen(asker.caller, wanted, asker.requestId) : {}
  }

  close(): void {
    this.#closed.abort()
    this.#cancelRetry?.()
    this.#current?.close()
    this.#current = undefined
  }

  async #open(asker: Asker): Promise<Result<GuardedConversation, Refusal>> {
    let opened: GuardedConversation | undefined
    let ended = false
    const inbox: Inbox = {
      notification: (method, params) => {
        if (!ended && !this.#closed.signal.aborted) this.#inbox.notification(method, params)
      },
      ask: (method, params, signal) => this.#inbox.ask(method, params, signal),
      ended: (fault) => {
        ended = true
        if (this.#current === opened) this.#current = undefined
        this.#tryAgainLater(fault)
      },
    }
    const answer = await this.backend.open(asker.caller, this.#client, inbox, this.#closed.signal)
    if (!answer.ok) return answer
    opened = answer.value
    if (this.#closed.signal.aborted) {
      opened.close()
      return answer
    }
    if (!ended) this.#current = opened
    this.#retryMs = FIRST_RETRY_MS
    this.#repeat(opened, asker)
    if (this.#missed || this.#begun) this.#tellOfLists(opened)
    this.#missed = false
    this.#begun = true
    return answer
  }

  /** What is refused now is not asked for any more, and nobody is told. */
  #repeat(conversation: GuardedConversation, { caller, requestId }: Asker): void {
    const signal = this.#closed.signal
    const ask = (method: string, params: Readonly<Record<string, unknown>>): void => {
      conversation.request({ caller, requestId, wire: 'mcp', method, params, signal }).catch(() => undefined)
    }
    if (this.#logLevel !== undefined && conversation.about.capabilities['logging'] !== undefined) {
      ask('logging/setLevel', { level: this.#logLevel })
    }
    for (const uri of this.subscriptions) ask('resources/subscribe', { uri })
    if (this.#listening) conversation.listen(caller, this.#listening, requestId).catch(() => undefined)
  }

  #tellOfLists({ about }: GuardedConversation): void {
    for (const kind of ['tools', 'prompts', 'resources']) {
      if (about.capabilities[kind] === undefined) continue
      this.#inbox.notification(`notifications/${kind}/list_changed`, {})
    }
  }

  /**
   * Only for a client that waits to be told something: anybody else asks again. And only under the grant that was
   * asked with: one that has changed may not reach this server any more, which the next request finds out.
   */
  #tryAgainLater(fault: unknown): void {
    if (this.#closed.signal.aborted || (this.#listening === undefined && this.subscriptions.size === 0))
      return
    this.#cancelRetry?.()
    if (fault instanceof Fault && fault.code === 'credential_changed') return
    let over = false
    const cancel = this.#clock.after(this.#retryMs, () => {
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
      this.get(this.#asker).then(
        (answer) => {
          if (over && answer.ok && this.#current === answer.value) {
            this.#current.close()
            this.#current = undefined
          }
          // A refusal is an answer: the next request of the client asks again.
          this.#cancelRetry?.()
        },
        (again: unknown) => {
          if (!over) this.#tryAgainLater(again)
        },
      )
    })
    const release = this.#lifelines.hold(this.#asker.caller.credential.id, () => this.#cancelRetry?.())
    this.#cancelRetry = () => {
      this.#cancelRetry = undefined
      over = true
      cancel()
      release()
    }
  }
}
