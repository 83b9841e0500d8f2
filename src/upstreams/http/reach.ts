import type { Caller } from '../../identity/caller.ts'
import { Fault } from '../../lib/fault.ts'
import type { Revision } from '../../lib/revisions.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Beginning } from '../beginning.ts'
import type { Conversation } from '../conversation.ts'
import { deadline } from '../deadline.ts'
import { Direct } from '../direct.ts'
import type { DirectRoute } from '../direct-route.ts'
import type { HttpReach, UpstreamOptions } from '../options.ts'
import type { ConverseRequest, HttpParts, OpenHttpReach, Reach, ReachFacts, ReachParts } from '../reach.ts'
import { RunningRequests } from '../running-requests.ts'
import { openSessionConversation } from '../session-conversation.ts'
import { openStatelessConversation } from '../stateless-conversation.ts'
import { type HttpAgent, openAgent } from './agent.ts'
import { openTokenSource, type TokenSource } from './client-credentials.ts'
import type { HttpLinkParts } from './http-link.ts'
import type { Peer } from './judge-error.ts'
import { ownHeaders } from './own-headers.ts'
import { type HttpTransport, probe } from './probe.ts'
import { openSend, type Send } from './send.ts'
import { openSseLink } from './sse-link.ts'
import { StatelessLink } from './stateless-link.ts'
import { StreamableLink } from './streamable-link.ts'
import { unlessAborted } from '../../lib/unless-aborted.ts'

/** For sessions to be ended at the server before the connections are. */
const FAREWELL_MS = 1_000

export const openHttpReach: OpenHttpReach = (options, parts) => new OriginReach(options, parts)

interface Verdict {
  readonly transport: HttpTransport
  /** Milliseconds since the epoch; null where the configuration says it. */
  readonly probedAt: number | null
}

/** The way to one server over HTTP: what is spoken there, with which credentials, over which connections. */
class OriginReach implements Reach {
  readonly #options: UpstreamOptions & { readonly reach: HttpReach }
  readonly #parts: ReachParts
  readonly #peer: Peer
  readonly #url: URL
  readonly #agent: HttpAgent
  readonly #tokens: TokenSource | null
  readonly #direct: Direct
  /** One route for each credential of a caller's own, while that is in use. */
  readonly #routes = new WeakMap<object, DirectRoute>()
  readonly #noSecret = {}
  readonly #farewells = new Set<Promise<void>>()
  #spoken: ReadonlySet<Revision> = new Set()
  #verdict: Verdict | undefined
  #probing: { readonly ownSecret: Secret | null; readonly verdict: Promise<Verdict> } | undefined
  #closed = false

  constructor(options: UpstreamOptions & { readonly reach: HttpReach }, parts: ReachParts & HttpParts) {
    const { reach, limits, name } = options
    this.#options = options
    this.#parts = parts
    this.#peer = `MCP server "${name}"`
    this.#url = new URL(reach.url)
    this.#agent = openAgent(this.#url.origin, {
      connectTimeoutMs: limits.connectTimeoutMs,
      calls: limits.concurrency,
      // Those of translated conversations, and those that go along as they are.
      streams: 2 * limits.conversations,
    })
    this.#tokens = reach.clientCredentials
      ? openTokenSource(reach.clientCredentials, {
          server: name,
          clock: parts.clock,
          timeoutMs: limits.connectTimeoutMs,
        })
      : null
    this.#verdict = this.#configured()
    this.#direct = new Direct({
      peer: this.#peer,
      agent: this.#agent,
      clock: parts.clock,
      path: this.#url.pathname + this.#url.search,
      tokens: this.#tokens,
      limits,
      running: parts.running,
      streams: new RunningRequests(name, limits.conversations, parts.clock, 'always'),
      revisionRefused: () => {
        this.#doubt(this.#verdict)
      },
    })
  }

  async converse(request: ConverseRequest): Promise<Conversation> {
    const send = this.#sendFor(request.ownSecret)
    for (let attempt = 1; ; attempt += 1) {
      if (this.#closed) throw this.#gone()
      const verdict = this.#verdict ?? (await this.#findOut(send, request))
      try {
        const conversation = await this.#begin(verdict, send, request)
        this.#learned(conversation.about.revision)
        return conversation
      } catch (fault) {
        // What was known is not so any more: found out anew, once.
        const known = this.#verdict === verdict
        if (known || attempt > 1 || request.signal.aborted) throw fault
      }
    }
  }

  direct(
    _caller: Caller,
    client: 'session' | 'stateless',
    ownSecret: Secret | null,
  ): DirectRoute | undefined {
    const transport = client === 'session' ? 'streamable' : 'stateless'
    if (this.#closed || this.#verdict?.transport !== transport) return undefined
    const revision = newest(this.#spoken)
    if (revision === undefined) return undefined
    const key = ownSecret ?? this.#noSecret
    const known = this.#routes.get(key)
    if (known?.spoken === this.#spoken) return known
    const route = this.#direct.route(revision, this.#spoken, this.#ownHeaders(ownSecret))
    this.#routes.set(key, route)
    return route
  }

  facts(): ReachFacts {
    return {
      transport: this.#verdict?.transport ?? 'unknown',
      revision: this.#verdict ? (newest(this.#spoken) ?? null) : null,
      probedAt: this.#verdict?.probedAt ?? null,
      processes: 0,
      restarts: 0,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#farewells.size > 0) {
      const { promise: over, resolve } = Promise.withResolvers<void>()
      const cancel = this.#parts.clock.after(FAREWELL_MS, resolve)
      await Promise.race([Promise.allSettled(this.#farewells), over])
      cancel()
    }
    await Promise.all([this.#agent.close(), this.#tokens?.close()])
  }

  #configured(): Verdict | undefined {
    const { transport } = this.#options.reach
    return transport === 'auto' ? undefined : { transport, probedAt: null }
  }

  /** Finds out what the server speaks, once for all that want to know. */
  async #findOut(send: Send, { ownSecret, signal }: ConverseRequest): Promise<Verdict> {
    for (;;) {
      const running = this.#probing
      if (!running) break
      try {
        return await unlessAborted(running.verdict, signal)
      } catch (fault) {
        // It may have been the credential of another caller that was refused.
        if (signal.aborted || running.ownSecret === ownSecret) throw fault
      }
    }
    const verdict = this.#probe(send)
    const probing = { ownSecret, verdict }
    this.#probing = probing
    verdict
      .finally(() => {
        if (this.#probing === probing) this.#probing = undefined
      })
      .catch(() => undefined)
    return await unlessAborted(verdict, signal)
  }

  async #probe(send: Send): Promise<Verdict> {
    const { clock, clientInfo } = this.#parts
    const { limits } = this.#options
    const late = (): Fault => new Fault('upstream_timeout', `${this.#peer} did not answer in time.`)
    const time = deadline(clock, limits.connectTimeoutMs, late)
    try {
      const transport = await probe({
        peer: this.#peer,
        send,
        clock,
        url: this.#url,
        messageBytes: limits.messageBytes,
        clientInfo,
        signal: time.signal,
      })
      this.#verdict = { transport, probedAt: clock.now() }
      return this.#verdict
    } finally {
      time.done()
    }
  }

  async #begin(verdict: Verdict, send: Send, request: ConverseRequest): Promise<Conversation> {
    const { limits, name } = this.#options
    const { clock } = this.#parts
    const beginning: Beginning = {
      server: name,
      client: request.client,
      inbox: request.inbox,
      signal: request.signal,
      clock,
      timeoutMs: limits.timeoutMs,
      asOne: request.ownSecret === null,
    }
    const parts: HttpLinkParts = {
      peer: this.#peer,
      send,
      clock,
      limits,
      doubted: () => {
        this.#doubt(verdict)
      },
    }
    const { transport } = verdict
    if (transport === 'stateless') return await openStatelessConversation(new StatelessLink(parts), beginning)
    const link =
      transport === 'sse'
        ? await openSseLink({ ...parts, url: this.#url }, request.signal)
        : new StreamableLink({
            ...parts,
            farewell: (parting) => {
              this.#bid(parting)
            },
          })
    return await openSessionConversation(link, beginning)
  }

  /** Keeps what is to be waited for before the connections are closed. */
  #bid(parting: Promise<void>): void {
    const tracked = parting.finally(() => this.#farewells.delete(tracked))
    this.#farewells.add(tracked)
  }

  /** What was found out is forgotten; what the configuration says is not up to the server. */
  #doubt(verdict: Verdict | undefined): void {
    if (verdict === undefined || this.#verdict !== verdict || verdict.probedAt === null) return
    this.#verdict = undefined
    this.#spoken = new Set()
  }

  #learned(revision: Revision): void {
    if (!this.#spoken.has(revision)) this.#spoken = new Set([...this.#spoken, revision])
  }

  #sendFor(ownSecret: Secret | null): Send {
    return openSend({
      peer: this.#peer,
      agent: this.#agent,
      clock: this.#parts.clock,
      path: this.#url.pathname + this.#url.search,
      own: this.#ownHeaders(ownSecret),
      tokens: this.#tokens,
    })
  }

  #ownHeaders(ownSecret: Secret | null): readonly string[] {
    const { reach, userCredential } = this.#options
    return ownHeaders(reach.headers, userCredential, ownSecret, this.#tokens !== null)
  }

  #gone(): Fault {
    return new Fault('upstream_unavailable', `${this.#peer} is not there any more.`)
  }
}

/** Revisions are dates: their texts sort as they do. */
function newest(spoken: ReadonlySet<Revision>): Revision | undefined {
  let best: Revision | undefined
  for (const revision of spoken) if (best === undefined || revision > best) best = revision
  return best
}
