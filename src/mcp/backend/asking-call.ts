import type { Clock } from '../../lib/clock.ts'
import type { Ask, AskAnswer, ClientFacts } from '../../upstreams/conversation.ts'
import { isObject, type Params, type RequestId } from '../message.ts'
import { RPC_CODE } from '../rpc-error.ts'
import type { Carried } from '../translate/elicitation.ts'
import { answerBack, serverRequestFor } from '../translate/server-request.ts'
import type { BackendOutcome } from './backend-calls.ts'
import type { ReplyStream } from './reply-stream.ts'
import type { RunningCall } from '../running-call.ts'

/** Requests of the server that one call may have open. */
const ASKS_PER_CALL = 16

/** A longer name of a question is replaced by one of ours. */
const LONGEST_NAME = 128

/** Servers that need several things ask for all of them within this time; then one round trip is enough. */
const GATHER_MS = 10

interface Open {
  readonly method: string
  readonly carried: Carried
  readonly settle: (answer: AskAnswer) => void
}

/** What a call came to for now: its outcome, or questions that its client must answer first. */
export type Turn = BackendOutcome | { readonly kind: 'asks'; readonly requests: Params }

/**
 * A running call of a client that cannot be asked anything while it waits: what its server asks becomes an
 * `input_required` result, and the answers come with the next request (2026-07-28 MRTR).
 */
export class AskingCall {
  readonly #clock: Clock
  readonly #client: Pick<ClientFacts, 'capabilities' | 'revision'>
  readonly #open = new Map<string, Open>()
  /** Answers that came before their questions, by name: each is good for one. */
  readonly #early: Map<string, unknown>
  #asked = 0
  #outcome: BackendOutcome | undefined
  #turn: ((turn: Turn) => void) | undefined
  #stopTimer: (() => void) | undefined
  /** The reply to the request that waits for this call at the moment. */
  reply: ReplyStream
  /** What that request wants progress to be told by. */
  progressToken: RequestId | undefined
  /** Set when the call runs. */
  running: RunningCall | undefined

  /** @param given answers that came with the first request: a server without state knows them by their names */
  constructor(
    clock: Clock,
    client: Pick<ClientFacts, 'capabilities' | 'revision'>,
    reply: ReplyStream,
    given: unknown,
  ) {
    this.#early = new Map(Object.entries(isObject(given) ? given : {}))
    this.#clock = clock
    this.#client = client
    this.reply = reply
  }

  get settled(): boolean {
    return this.#outcome !== undefined
  }

  readonly ask: Ask = (method, params, signal, name) => {
    const known = serverRequestFor(method, params, this.#client)
    if (!known.ok) return Promise.resolve({ kind: 'error', error: known.error })
    if (this.#open.size >= ASKS_PER_CALL || this.#outcome) return Promise.resolve(unanswered)
    const early = name === undefined ? undefined : this.#early.get(name)
    if (name !== undefined) this.#early.delete(name)
    if (isObject(early)) {
      return Promise.resolve(answerBack(known.value, { kind: 'result', result: early }))
    }
    return new Promise((resolve) => {
      const key = this.#keyFor(name)
      const settle = (answer: AskAnswer): void => {
        signal.removeEventListener('abort', over)
        this.#open.delete(key)
        resolve(answer)
      }
      const over = (): void => settle(unanswered)
      signal.addEventListener('abort', over, { once: true })
      this.#open.set(key, { method, carried: known.value, settle })
      this.#stopTimer ??= this.#clock.after(GATHER_MS, () => {
        this.#stopTimer = undefined
        this.#takeTurn()
      })
    })
  }

  /** The call is over. To be called once. */
  settle(outcome: BackendOutcome): void {
    this.#outcome = outcome
    this.#stopTimer?.()
    this.#stopTimer = undefined
    for (const { settle } of this.#open.values()) settle(unanswered)
    this.#takeTurn()
  }

  /** Answers what was asked; what is missing is asked again, what nobody asked for is ignored. */
  answer(responses: unknown): void {
    if (!isObject(responses)) return
    for (const [key, { carried, settle }] of this.#open) {
      const result = Object.hasOwn(responses, key) ? responses[key] : undefined
      if (isObject(result)) settle(answerBack(carried, { kind: 'result', result }))
    }
  }

  /** Waits until the call has come to its end or needs something of its client. */
  turn(): Promise<Turn> {
    return new Promise((resolve) => {
      this.#turn = resolve
      if (this.#outcome || (this.#open.size > 0 && !this.#stopTimer)) this.#takeTurn()
    })
  }

  /** The server's own name where it has one that is free. */
  #keyFor(name: string | undefined): string {
    this.#asked += 1
    const usable = name !== undefined && name.length <= LONGEST_NAME && !this.#open.has(name)
    return usable ? name : this.#ownKey()
  }

  #ownKey(): string {
    let key = `ask-${this.#asked}`
    while (this.#open.has(key)) key += '-'
    return key
  }

  #takeTurn(): void {
    const turn = this.#turn
    if (!turn || (!this.#outcome && this.#open.size === 0)) return
    this.#turn = undefined
    turn(this.#outcome ?? { kind: 'asks', requests: this.#requests() })
  }

  #requests(): Params {
    return Object.fromEntries(
      [...this.#open].map(([key, { method, carried }]) => [key, { method, params: carried.params }]),
    )
  }
}

const unanswered: AskAnswer = {
  kind: 'error',
  error: { code: RPC_CODE.internal, message: 'the client did not answer' },
}
