import type { Answer } from './conversation.ts'

/** Addresses of which one server is asked to tell changes, for all conversations with it. */
const MOST_SUBSCRIPTIONS = 10_000

/** Asks the server. Rejects with a `Fault`. */
export type AskServer = (
  method: 'resources/subscribe' | 'resources/unsubscribe',
  uri: string,
) => Promise<Answer>

interface Subscription {
  users: number
  /** What the server said, to whoever asked first and to all who joined. */
  readonly answer: Promise<Answer>
}

/** What a server is subscribed to on behalf of several conversations: asked of it once, and taken back by the last. */
export class Subscriptions {
  readonly #ask: AskServer
  readonly #byUri = new Map<string, Subscription>()

  constructor(ask: AskServer) {
    this.#ask = ask
  }

  /** Joins a subscription, or makes it. An error leaves nothing behind. */
  async add(uri: string): Promise<Answer> {
    const known = this.#byUri.get(uri)
    if (!known && this.#byUri.size >= MOST_SUBSCRIPTIONS)
      return { kind: 'error', error: { code: -32_603, message: 'Too many subscriptions to this server.' } }
    const subscription = known ?? { users: 0, answer: this.#ask('resources/subscribe', uri) }
    subscription.users += 1
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
    return true
  }
}
