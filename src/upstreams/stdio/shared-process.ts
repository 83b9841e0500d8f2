import { Fault } from '../../lib/fault.ts'
import { STATELESS_REVISION, type Revision } from '../../lib/revisions.ts'
import type { Beginning } from '../beginning.ts'
import type { ClientFacts, Conversation, Inbox } from '../conversation.ts'
import { deadline } from '../deadline.ts'
import { LinkViews } from '../link-views.ts'
import { SessionConversation } from '../session-conversation.ts'
import { SessionPeer } from '../session-peer.ts'
import { openStatelessConversation } from '../stateless-conversation.ts'
import { unlessAborted } from '../unless-aborted.ts'
import { discoverEra, type Era } from './era.ts'
import { StdioLink, type StdioLinkOptions } from './stdio-link.ts'

/** A server of the old era may say nothing at all to a request it does not know. */
const DISCOVER_MS = 3_000

export interface SharedProcessOptions extends Omit<StdioLinkOptions, 'onOver'> {
  /** What the process is told of its clients. */
  readonly client: ClientFacts
  readonly connectTimeoutMs: number
  readonly timeoutMs: number
  /** How long it is kept when its last conversation was closed. */
  readonly lingerMs: number
  /** True when conversations of several callers share it. */
  readonly strangers: boolean
  /** Known from an earlier process of the same server; null to find out. */
  readonly era: Era | null
}

/** What the reach learns of a process. */
export interface ProcessWatcher {
  /** It answered; called once. */
  up(era: Era, revision: Revision): void
  /** A conversation could not be begun: what is remembered of the server may hold no longer. */
  doubted(): void
  /** It is of no more use; called once. The fault says why; undefined when it was let go. */
  over(fault: Error | undefined): void
}

type Speaking =
  | { readonly era: 'session'; readonly peer: SessionPeer }
  | { readonly era: 'stateless'; readonly views: LinkViews }

/** One process of a server, and the conversations that share it. */
export class SharedProcess {
  readonly #options: SharedProcessOptions
  readonly #watcher: ProcessWatcher
  readonly #speaking: Promise<Speaking>
  readonly #starting = new AbortController()
  /** Settles when it is over and every process it started is gone. */
  readonly gone: Promise<void>
  readonly #settleGone: () => void
  #alive = 0
  #link: StdioLink
  #users = 0
  #over = false
  #discovering = false
  #cancelLinger: (() => void) | undefined

  constructor(options: SharedProcessOptions, watcher: ProcessWatcher) {
    this.#options = options
    this.#watcher = watcher
    const { promise, resolve } = Promise.withResolvers<void>()
    this.gone = promise
    this.#settleGone = resolve
    this.#link = this.#start()
    this.#speaking = this.#begin()
    this.#speaking.catch(() => undefined)
  }

  /** True when nobody converses with it. */
  get idle(): boolean {
    return this.#users === 0
  }

  async converse(beginning: Beginning): Promise<Conversation> {
    this.#users += 1
    this.#cancelLinger?.()
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      this.#users -= 1
      if (this.#users === 0) this.#linger()
    }
    try {
      const speaking = await unlessAborted(this.#speaking, beginning.signal)
      const inbox: Inbox = {
        notification: (method, params) => {
          beginning.inbox.notification(method, params)
        },
        ask: (method, params, signal) => beginning.inbox.ask(method, params, signal),
        ended: (fault) => {
          leave()
          beginning.inbox.ended(fault)
        },
      }
      if (speaking.era === 'session') return new SessionConversation(speaking.peer, inbox, leave)
      return await openStatelessConversation(speaking.views.view(leave), { ...beginning, inbox })
    } catch (fault) {
      leave()
      // It is not what it was known for: it may have become another server under the same command.
      if (!beginning.signal.aborted) this.#watcher.doubted()
      throw fault
    }
  }

  /** Ends the process. With a fault its conversations are told. */
  end(how: 'kindly' | 'at once', fault?: Error): void {
    this.#starting.abort(fault ?? new Fault('upstream_unavailable', 'The MCP server was stopped.'))
    const link = this.#link
    this.#finish(undefined)
    if (fault) link.ended(fault)
    link.process.stop(how)
  }

  #start(): StdioLink {
    const link: StdioLink = new StdioLink({
      ...this.#options,
      onOver: (fault) => {
        // The end of a process that was asked for its era is an answer.
        if (link === this.#link && !this.#discovering) this.#finish(fault)
      },
    })
    this.#alive += 1
    void link.process.ended.then(() => {
      this.#alive -= 1
      this.#settleIfGone()
    })
    return link
  }

  #finish(fault: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#cancelLinger?.()
    this.#watcher.over(fault)
    this.#settleIfGone()
  }

  #settleIfGone(): void {
    if (this.#over && this.#alive === 0) this.#settleGone()
  }

  #linger(): void {
    if (this.#over) return
    this.#cancelLinger = this.#options.clock.after(this.#options.lingerMs, () => {
      this.end('kindly')
    })
  }

  async #begin(): Promise<Speaking> {
    const { server, clock, connectTimeoutMs } = this.#options
    const time = deadline(
      clock,
      connectTimeoutMs,
      () => new Fault('upstream_timeout', `MCP server "${server}" was started and did not answer in time.`),
      this.#starting.signal,
    )
    try {
      const era = this.#options.era ?? (await this.#discover(time.signal))
      const { strangers } = this.#options
      if (era === 'stateless') {
        this.#watcher.up(era, STATELESS_REVISION)
        return { era, views: new LinkViews(this.#link, strangers) }
      }
      const peer = await SessionPeer.begin(this.#link, { ...this.#options, signal: time.signal }, strangers)
      this.#watcher.up(era, peer.facts.revision)
      return { era, peer }
    } catch (fault) {
      this.#finish(fault as Error)
      this.#link.process.stop('kindly')
      throw fault
    } finally {
      time.done()
    }
  }

  async #discover(signal: AbortSignal): Promise<Era> {
    const { clock, client, connectTimeoutMs } = this.#options
    const patience = deadline(
      clock,
      Math.min(DISCOVER_MS, connectTimeoutMs / 2),
      () => new Fault('upstream_timeout', 'The MCP server did not answer server/discover.'),
      signal,
    )
    this.#discovering = true
    try {
      return await discoverEra(this.#link, client, patience.signal)
    } catch {
      signal.throwIfAborted()
      // It said nothing, or it ended: the latter asks for a new process, and for no more questions.
      if (!patience.signal.aborted) {
        this.#link.process.stop('kindly')
        this.#link = this.#start()
      }
      return 'session'
    } finally {
      this.#discovering = false
      patience.done()
    }
  }
}
