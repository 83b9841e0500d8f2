import { isSame } from './is-same.ts'
import { refusal, type Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { EndReason, Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import { formatDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'
import { Backoff } from './backoff.ts'
import { BoundedConversation, guarded, guardedInbox } from './bounded-conversation.ts'
import type { ClientFacts, Conversation, Inbox } from './conversation.ts'
import { deadline } from './deadline.ts'
import type { DirectRoute } from './direct-route.ts'
import type { UpstreamOptions } from './options.ts'
import { isUnconnected, problemOf } from './problem.ts'
import type { Reach } from './reach.ts'
import type { RunningRequests } from './running-requests.ts'
import { shareOf } from './share.ts'
import type { UpstreamStatus } from './status.ts'
import type { Upstream } from './upstream.ts'
import type { UserCredentials } from './user-credentials.ts'

export interface UpstreamServerParts {
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  readonly credentials: UserCredentials | null
  /** Told when its list of tools may have changed. */
  readonly onToolsChanged: () => void
}

/** One configured server: its way, what may run on it at once, when to try it again, and what is known of it. */
export class UpstreamServer implements Upstream {
  readonly name: string
  readonly options: UpstreamOptions
  readonly #reach: Reach
  readonly #parts: UpstreamServerParts
  readonly #conversations = new Set<BoundedConversation>()
  /** Conversations that are open or being begun, by credential. */
  readonly #perCredential = new Map<string, number>()
  readonly #running: RunningRequests
  readonly #backoff = new Backoff()
  /** Whose conversation could not be begun last, since one could. */
  #lastFailed: { readonly credentialId: string; readonly at: number } | undefined
  #beginning = 0
  #problem: string | null = null
  #state: UpstreamStatus['state'] = 'idle'
  #since: number
  #seen: string | null = null
  #closed: Fault | undefined

  constructor(options: UpstreamOptions, reach: Reach, running: RunningRequests, parts: UpstreamServerParts) {
    this.name = options.name
    this.options = options
    this.#reach = reach
    this.#parts = parts
    this.#running = running
    this.#since = parts.clock.now()
  }

  status(): UpstreamStatus {
    const failing = this.#state === 'failing' ? this.#backoff.latest() : undefined
    return {
      name: this.name,
      ...this.#reach.facts(),
      state: this.#state,
      since: this.#since,
      conversations: this.#conversations.size,
      running: this.#running.count,
      retryAt: failing?.retryAt ?? null,
      problem: this.#problem,
    }
  }

  async converse(
    caller: Caller,
    client: ClientFacts,
    inbox: Inbox,
    signal: AbortSignal,
  ): Promise<Result<Conversation, Refusal>> {
    signal.throwIfAborted()
    const own = await this.#ownSecret(caller)
    if (!own.ok) return own
    return ok(await this.#begin(caller, client, inbox, signal, own.value))
  }

  direct(caller: Caller, client: 'session' | 'stateless'): DirectRoute | undefined {
    const { userCredential } = this.options
    if (this.#closed || this.#waiting(caller)) return undefined
    const secret = userCredential ? (this.#parts.credentials?.known(caller, this.name) ?? null) : null
    // One that is kept may have to be looked up, which the translated way does.
    if (userCredential && secret === null) return undefined
    return this.#reach.direct(caller, client, secret)
  }

  /** Ends every conversation, and everything below. */
  async close(fault: Fault): Promise<void> {
    if (!this.#closed) {
      this.#closed = fault
      for (const conversation of this.#conversations) conversation.end(fault)
    }
    await this.#reach.close()
  }

  /** True when nothing of this server is configured otherwise. */
  isAsConfigured(options: UpstreamOptions): boolean {
    return isSame(this.options, options)
  }

  async #begin(
    caller: Caller,
    client: ClientFacts,
    theirs: Inbox,
    signal: AbortSignal,
    ownSecret: Secret | null,
  ): Promise<Conversation> {
    const { clock, lifelines, observe } = this.#parts
    const { limits } = this.options
    this.#admit(caller)
    this.#running.used(caller.credential.id)
    const inbox = guardedInbox(theirs, observe)
    const startedAt = clock.now()
    let conversation: BoundedConversation | undefined
    let endedEarly: Error | undefined
    const time = deadline(clock, limits.connectTimeoutMs, () => this.#late(), signal)
    this.#count(caller, 1)
    const unhold = lifelines.hold(caller.credential.id, (reason) => {
      const fault = credentialEnded(reason)
      time.abort(fault)
      conversation?.end(fault)
    })
    const release = (): void => {
      unhold()
      this.#count(caller, -1)
    }
    this.#beginning += 1
    try {
      const inner = await this.#reach.converse({
        caller,
        client,
        inbox: {
          ...inbox,
          notification: (method, params) => {
            if (method === 'notifications/tools/list_changed') guarded(observe, this.#parts.onToolsChanged)
            inbox.notification(method, params)
          },
          ended: (fault) => {
            endedEarly = fault
            if (!conversation) return
            if (this.options.reach.kind === 'stdio') this.#failed(caller, fault, clock.now() - startedAt)
            conversation.ended(fault)
          },
        },
        signal: time.signal,
        ownSecret,
      })
      const late =
        endedEarly ?? this.#closed ?? (time.signal.aborted ? (time.signal.reason as Error) : undefined)
      if (late !== undefined) {
        inner.close()
        throw late
      }
      const opened = new BoundedConversation({
        server: this.name,
        inner,
        inbox,
        timeoutMs: limits.timeoutMs,
        clock,
        running: this.#running,
        credentialId: caller.credential.id,
        observe,
        onOver: () => {
          release()
          this.#conversations.delete(opened)
          this.#refresh()
        },
      })
      conversation = opened
      this.#conversations.add(opened)
      this.#succeeded(caller)
      return opened
    } catch (fault) {
      release()
      if (!signal.aborted) this.#failed(caller, fault, 0)
      throw this.#dated(fault, caller)
    } finally {
      this.#beginning -= 1
      time.done()
    }
  }

  /** @throws Fault `upstream_unavailable`, `upstream_busy` */
  #admit(caller: Caller): void {
    if (this.#closed) throw this.#closed
    const waiting = this.#waiting(caller)
    if (waiting)
      throw new Fault('upstream_unavailable', waiting.problem, {
        retryAfterS: this.#secondsUntil(waiting.retryAt),
      })
    // A process is shared, and counted where it is started; a session is somebody's own.
    const { reach, limits } = this.options
    if (reach.kind === 'stdio') return
    const open = this.#conversations.size + this.#beginning
    const own = this.#perCredential.get(caller.credential.id) ?? 0
    if (open >= limits.conversations || own >= shareOf(limits.conversations))
      throw new Fault(
        'upstream_busy',
        `MCP server "${this.name}" has no room for another conversation. Try again in a moment.`,
        {
          retryAfterS: 1,
        },
      )
  }

  /** A failure that says when it makes sense to try again, as those that follow do. */
  #dated(fault: unknown, caller: Caller): unknown {
    if (!(fault instanceof Fault) || !COUNTED.has(fault.code) || fault.retryAfterS !== undefined) return fault
    const waiting = this.#waiting(caller)
    if (!waiting) return fault
    const { code, message, cause } = fault
    return new Fault(code, message, { cause, retryAfterS: this.#secondsUntil(waiting.retryAt) })
  }

  #secondsUntil(time: number): number {
    return Math.max(1, Math.ceil((time - this.#parts.clock.now()) / 1_000))
  }

  #count({ credential: { id } }: Caller, more: 1 | -1): void {
    const count = (this.#perCredential.get(id) ?? 0) + more
    if (count === 0) this.#perCredential.delete(id)
    else this.#perCredential.set(id, count)
  }

  #waiting(caller: Caller): ReturnType<Backoff['waiting']> {
    const now = this.#parts.clock.now()
    return this.#backoff.waiting('', now) ?? this.#backoff.waiting(caller.credential.id, now)
  }

  async #ownSecret(caller: Caller): Promise<Result<Secret | null, Refusal>> {
    const { userCredential } = this.options
    if (!userCredential) return ok(null)
    const secret = await this.#parts.credentials?.find(caller, this.name)
    if (secret) return ok(secret)
    if (!userCredential.required) return ok(null)
    return err(
      refusal(
        'upstream_credential_missing',
        'upstream_credential',
        `MCP server "${this.name}" needs a credential of your own: leave it with PUT /api/v1/servers/${this.name}/credential.`,
        { allowed: 'the same request once you have left your credential for this server' },
      ),
    )
  }

  #succeeded(caller: Caller): void {
    const now = this.#parts.clock.now()
    this.#backoff.succeeded(caller.credential.id, now)
    this.#lastFailed = undefined
    // A process that starts may end as soon as it is used; a server that answers is there.
    if (this.options.reach.kind === 'http') this.#backoff.clear('')
    else this.#backoff.succeeded('', now)
    const { transport, revision } = this.#reach.facts()
    const seen = `${transport} ${revision}`
    if (this.#problem !== null || this.#seen !== seen)
      this.#parts.observe({ kind: 'upstream.up', server: this.name, transport, revision })
    this.#seen = seen
    this.#problem = null
    this.#refresh()
  }

  #failed(caller: Caller, fault: unknown, livedMs: number): void {
    // Not the server's doing, or no reason to leave it alone.
    if (!(fault instanceof Fault) || !COUNTED.has(fault.code) || this.#closed) return
    const now = this.#parts.clock.now()
    const key = this.#isEverybodys(fault, caller, now) ? '' : caller.credential.id
    if (this.#backoff.waiting(key, now)) return
    const retryAt = this.#backoff.failed(key, fault.message, livedMs, now)
    this.#problem = problemOf(fault)
    this.#parts.observe({
      kind: 'upstream.failing',
      server: this.name,
      problem: problemOf(fault),
      retryInMs: retryAt - now,
    })
    this.#refresh()
  }

  /**
   * Whether a failure says something of the server, whoever calls. The rest may be the caller's own doing: a firewall
   * before the server answers 403 or 503 to what one client says of itself, and that must close it to nobody else. So
   * what is no failure to connect needs a second credential to say the same, and nobody to be served between.
   */
  #isEverybodys(fault: Fault, { credential }: Caller, now: number): boolean {
    const { reach, userCredential } = this.options
    if (userCredential) return false
    if (reach.kind === 'stdio') return reach.process === 'shared'
    if (isUnconnected(fault)) return true
    const before = this.#lastFailed
    this.#lastFailed = { credentialId: credential.id, at: now }
    return before !== undefined && before.credentialId !== credential.id && now - before.at < TOGETHER_MS
  }

  #late(): Fault {
    const { connectTimeoutMs } = this.options.limits
    return new Fault(
      'upstream_timeout',
      `MCP server "${this.name}" did not begin a conversation within ${formatDuration(connectTimeoutMs)}.`,
    )
  }

  /** One caller's failure is not the server's, as long as it answers others. */
  #refresh(): void {
    const answers = this.#conversations.size > 0
    const state = answers ? 'up' : this.#problem === null ? 'idle' : 'failing'
    if (state === this.#state) return
    this.#state = state
    this.#since = this.#parts.clock.now()
  }
}

/** Failures of two callers that are further apart have nothing to do with each other. */
const TOGETHER_MS = 60_000

const COUNTED: ReadonlySet<string> = new Set(['upstream_unavailable', 'upstream_timeout', 'upstream_invalid'])

const credentialEnded = (reason: EndReason): Fault =>
  reason === 'shutdown'
    ? new Fault('shutting_down', 'Postern is stopping.')
    : new Fault('credential_changed', 'The credential that began the conversation has ended.')
