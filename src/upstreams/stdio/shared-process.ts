import { Fault } from '../../lib/fault.ts'
import { STATELESS_REVISION, type Revision } from '../../lib/revisions.ts'
import type { Beginning } from '../beginning.ts'
import type { ClientFacts, Conversation, Inbox } from '../conversation.ts'
import { deadline } from '../deadline.ts'
import { LinkViews } from '../link-views.ts'
import { SessionConversation } from '../session-conversation.ts'
import { SessionPeer } from '../session-peer.ts'
import { openStatelessConversation } from '../stateless-conversation.ts'
import { unlessAborted } from '../../lib/unless-aborted.ts'
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

  async converse(beginning: Beginning, credentialId: string): Promise<Conversation> {
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
      if (speaking.era === 'session')
        return new SessionConversation(speaking.peer, inbox, credentialId, leave)
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
      const { era } = this.#options
      const speaking = era ? await this.#speak(era, time.signal) : await this.#findOut(time.signal)
      this.#watcher.up(
        speaking.era,
        speaking.era === 'session' ? speaking.peer.facts.revision : STATELESS_REVISION,
      )
      return speaking
    } catch (fault) {
      this.#finish(fault as Error)
      this.#link.process.stop('kindly')
      throw fault
    } finally {
      time.done()
    }
  }

  async #speak(era: Era, signal: AbortSignal): Promise<Speaking> {
    const { strangers } = this.#options
    return era === 'stateless'
      ? { era, views: new LinkViews(this.#link, strangers) }
      : { era, peer: await SessionPeer.begin(this.#link, { ...this.#options, signal }, strangers) }
  }

  /**
   * Asks for the era. When nothing is said, the server is taken for one of the old era, but listened to all the same: it
   * may be one of the new era that takes long to start, and answers what comes first.
   */
  async #findOut(signal: AbortSignal): Promise<Speaking> {
    const asked = discoverEra(this.#link, this.#options.client, signal)
    const era = await this.#inTime(asked, signal)
    if (era) return await this.#speak(era, signal)
    const guessed = this.#speak('session', signal)
    const late = asked.then(async (told) => {
      if (told === 'session') throw SILENT
      return await this.#speak(told, signal)
    })
    try {
      // Answers come in any order: a refused guess is no end as long as the first question may be answered.
      return await Promise.any([guessed, late])
    } catch {
      return await guessed
    }
  }

  /** Undefined when the server says nothing for a while. */
  async #inTime(asked: Promise<Era>, signal: AbortSignal): Promise<Era | undefined> {
    const { clock, connectTimeoutMs } = this.#options
    const patience = deadline(clock, Math.min(DISCOVER_MS, connectTimeoutMs / 2), () => SILENT, signal)
    this.#discovering = true
    try {
      return await unlessAborted(asked, patience.signal)
    } catch {
      signal.throwIfAborted()
      if (patience.signal.aborted) return undefined
      // It ended, as some of the old era do: there has to be a new process, and no more questions.
      this.#link.process.stop('kindly')
      this.#link = this.#start()
      return 'session'
    } finally {
      this.#discovering = false
      patience.done()
    }
  }
}

const SILENT = new Error('The MCP server did not answer server/discover.')
