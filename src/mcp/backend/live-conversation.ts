import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Params } from '../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type {
  Backend,
  GuardedAnswer,
  GuardedConversation,
  GuardedRequest,
} from '../../tools/backend/backend.ts'
import type { ClientFacts, Inbox, Listening } from '../../upstreams/conversation.ts'
import { Remembered } from './remembered.ts'

const LIST_CHANGES = ['tools', 'prompts', 'resources'] as const

/**
 * What a client takes for one conversation with a server. When the server ends it (a crash, a restart, a session
 * that was forgotten), the next request begins another one, and what the client had asked for is asked for again:
 * most clients do not initialize anew when they are told that their session is over.
 */
export class LiveConversation {
  readonly facts: ClientFacts
  readonly #inbox: Inbox
  readonly #remembered = new Remembered()
  #backend: Backend
  #opening: Promise<Result<GuardedConversation, Refusal>> | undefined
  #current: GuardedConversation | undefined
  #begun = false
  readonly #closed = new AbortController()

  constructor(backend: Backend, facts: ClientFacts, inbox: Inbox) {
    this.#backend = backend
    this.facts = facts
    this.#inbox = inbox
  }

  /** The way to the server as it is now: another one after the configuration was reloaded. */
  through(backend: Backend): this {
    this.#backend = backend
    return this
  }

  get open(): GuardedConversation | undefined {
    return this.#current
  }

  /** Begins the conversation, or answers the one that is open. Throws a `Fault` when the server cannot be reached. */
  async get(caller: Caller, requestId: string): Promise<Result<GuardedConversation, Refusal>> {
    if (this.#current) return ok(this.#current)
    if (this.#closed.signal.aborted) return err(sessionOver())
    this.#opening ??= this.#open(caller, requestId).finally(() => {
      this.#opening = undefined
    })
    return await this.#opening
  }

  async request(call: GuardedRequest): Promise<GuardedAnswer> {
    const conversation = this.#current ?? (await this.get(call.caller, call.requestId))
    if ('ok' in conversation) {
      return conversation.ok
        ? await this.#ask(conversation.value, call)
        : { kind: 'refused', refusal: conversation.error }
    }
    return await this.#ask(conversation, call)
  }

  /** Drops what is said while nobody listens: a notification is worth no new process. */
  notify(method: string, params: Params): void {
    this.#current?.notify(method, params)
  }

  async listen(caller: Caller, requestId: string, wanted: Listening): Promise<Result<Listening, Refusal>> {
    const conversation = await this.get(caller, requestId)
    if (!conversation.ok) return conversation
    this.#remembered.listening = wanted
    return ok(await conversation.value.listen(caller, wanted, requestId))
  }

  close(): void {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    this.#current?.close()
    this.#current = undefined
  }

  async #ask(conversation: GuardedConversation, call: GuardedRequest): Promise<GuardedAnswer> {
    const answer = await conversation.request(call)
    if (answer.kind === 'result') this.#remembered.note(call.method, call.params)
    return answer
  }

  async #open(caller: Caller, requestId: string): Promise<Result<GuardedConversation, Refusal>> {
    let ended = false
    const inbox: Inbox = {
      notification: (method, params) => {
        if (!ended) this.#inbox.notification(method, params)
      },
      ask: (method, params, signal) => this.#inbox.ask(method, params, signal),
      ended: (fault) => {
        ended = true
        if (this.#current === opened) this.#current = undefined
        if (!this.#closed.signal.aborted) this.#inbox.ended(fault)
      },
    }
    let opened: GuardedConversation | undefined
    const answer = await this.#backend.open(caller, this.facts, inbox, this.#closed.signal)
    if (!answer.ok) return answer
    opened = answer.value
    if (this.#closed.signal.aborted) {
      opened.close()
      return err(sessionOver())
    }
    if (!ended) this.#current = opened
    if (this.#begun) this.#begunAgain(opened, caller, requestId)
    this.#begun = true
    return answer
  }

  #begunAgain(conversation: GuardedConversation, caller: Caller, requestId: string): void {
    this.#remembered.repeat(conversation, caller, requestId, this.#closed.signal)
    for (const kind of LIST_CHANGES) {
      if (conversation.about.capabilities[kind] === undefined) continue
      this.#inbox.notification(`notifications/${kind}/list_changed`, {})
    }
  }
}

const sessionOver = (): Refusal => refusal('session_unknown', 'session', 'this session has ended')
