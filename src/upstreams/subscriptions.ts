import type { Answer } from './conversation.ts'
import { shareOf } from './share.ts'

/** Addresses of which one server is asked to tell changes, for all conversations with it. */
const MOST_SUBSCRIPTIONS = 10_000

/** Asks the server. Rejects with a `Fault`. */
export type AskServer = (
  method: 'resources/subscribe' | 'resources/unsubscribe',
  uri: string,
) => Promise<Answer>

interface Subscription {
  /** The credential that asked first. It counts as theirs as long as anybody uses it. */
  readonly owner: string
  users: number
  /** What the server said, to whoever asked first and to all who joined. */
  readonly answer: Promise<Answer>
}

/** What a server is subscribed to on behalf of several conversations: asked of it once, and taken back by the last. */
export class Subscriptions {
  readonly #ask: AskServer
  readonly #byUri = new Map<string, Subscription>()
  readonly #perOwner = new Map<string, number>()

  constructor(ask: AskServer) {
    this.#ask = ask
  }

  /** Joins a subscription, or makes it. An error leaves nothing behind. One credential leaves room for others. */
  async add(uri: string, owner: string): Promise<Answer> {
    const known = this.#byUri.get(uri)
    if (!known && this.#isFullFor(owner))
      return { kind: 'error', error: { code: -32_603, message: 'Too many subscriptions to this server.' } }
    const subscription = known ?? { owner, users: 0, answer: this.#ask('resources/subscribe', uri) }
    subscription.users += 1
    if (!known) this.#count(owner, 1)
    this.#byUri.set(uri, subscription)
    try {
      const answer = await subscription.answer
      if (answer.kind === 'error') this.#leave(uri, subscription)
      return answer
    } catch (fault) {
      this.#leave(uri, subscription)
      throw fault
    }
  }

  /** To be called once for each `add` that succeeded, or that its caller no longer waits for. */
  async remove(uri: string): Promise<Answer> {
    const subscription = this.#byUri.get(uri)
    return subscription && this.#leave(uri, subscription)
      ? this.#ask('resources/unsubscribe', uri)
      : { kind: 'result', result: {} }
  }

  /** True when nobody is left. */
  #leave(uri: string, subscription: Subscription): boolean {
    subscription.users -= 1
    if (subscription.users > 0 || this.#byUri.get(uri) !== subscription) return false
    this.#byUri.delete(uri)
    this.#count(subscription.owner, -1)
    return true
  }

  #isFullFor(owner: string): boolean {
    const own = this.#perOwner.get(owner) ?? 0
    return this.#byUri.size >= MOST_SUBSCRIPTIONS || own >= shareOf(MOST_SUBSCRIPTIONS)
  }

  #count(owner: string, more: 1 | -1): void {
    const count = (this.#perOwner.get(owner) ?? 0) + more
    if (count === 0) this.#perOwner.delete(owner)
    else this.#perOwner.set(owner, count)
  }
}
