import type { Caller } from '../../identity/caller.ts'
import type { Params } from '../../lib/json-rpc.ts'
import type { GuardedConversation } from '../../tools/backend/backend.ts'
import type { Listening } from '../../upstreams/conversation.ts'

/** Resources that one client may be told of. */
export const SUBSCRIPTIONS_PER_CLIENT = 1_000

/** What a client asked a server to keep in mind, so that it can be asked of the server's next incarnation. */
export class Remembered {
  listening: Listening | undefined
  #level: unknown
  #subscriptions: Set<string> | undefined

  /** Notes a request that the server agreed to. */
  note(method: string, { level, uri }: Params): void {
    switch (method) {
      case 'logging/setLevel':
        this.#level = level
        return
      case 'resources/subscribe':
        this.#subscriptions ??= new Set()
        if (typeof uri === 'string' && this.#subscriptions.size < SUBSCRIPTIONS_PER_CLIENT) {
          this.#subscriptions.add(uri)
        }
        return
      case 'resources/unsubscribe':
        if (typeof uri === 'string') this.#subscriptions?.delete(uri)
        return
      default:
    }
  }

  /** Asks for all of it again. What is refused now is not asked for any more, and nobody is told. */
  repeat(conversation: GuardedConversation, caller: Caller, requestId: string, signal: AbortSignal): void {
    const ask = (method: string, params: Params): void => {
      conversation.request({ caller, requestId, wire: 'mcp', method, params, signal }).catch(() => undefined)
    }
    if (this.#level !== undefined) ask('logging/setLevel', { level: this.#level })
    for (const uri of this.#subscriptions ?? []) ask('resources/subscribe', { uri })
    if (this.listening) conversation.listen(caller, this.listening, requestId).catch(() => undefined)
  }
}
