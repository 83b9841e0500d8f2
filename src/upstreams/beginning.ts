import type { Clock } from '../lib/clock.ts'
import type { ClientFacts, Conversation, Inbox } from './conversation.ts'
import type { RpcLink } from './link.ts'

/** What a conversation begins with, whatever revision it then speaks. */
export interface Beginning {
  /** The server's name in the configuration, for messages. */
  readonly server: string
  readonly client: ClientFacts
  readonly inbox: Inbox
  /** Gives the beginning up; means nothing once the conversation has begun. */
  readonly signal: AbortSignal
  readonly clock: Clock
  /** For requests that the conversation makes on its own account, such as subscriptions. */
  readonly timeoutMs: number
  /** The server is shown the same credentials whoever calls: what it keeps for its caller, it keeps for everybody. */
  readonly asOne?: boolean
}

/** Begins a conversation over a link, which is closed when that fails. */
export type OpenConversation = (link: RpcLink, beginning: Beginning) => Promise<Conversation>
