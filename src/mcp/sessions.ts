import { randomBytes } from 'node:crypto'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { EventStream } from './event-stream.ts'
import { Holdings } from './holdings.ts'
import type { SessionRevision } from '../lib/revisions.ts'
import { isBusy, type Place, type Session } from './session.ts'

export interface SessionLimits {
  readonly sessionsPerCredential: number
  readonly sessions: number
  /** Milliseconds without a request or an open stream after which a session is forgotten. */
  readonly sessionIdleMs: number
}

/** 192 random bits: an id cannot be guessed, and knowing one is worth nothing without its credential. */
const SESSION_ID_BYTES = 24

/** The shortest pause between two walks over the sessions in search of idle ones. */
const SHORTEST_SWEEP_MS = 1_000

/** The open sessions of every credential, bounded in number and in time. */
export class Sessions {
  readonly holdings: Holdings
  readonly #byId = new Map<string, Session>()
  readonly #clock: Clock
  readonly #limits: SessionLimits
  #cancelSweep: (() => void) | undefined
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(lifelines: Lifelines, clock: Clock, limits: SessionLimits) {
    this.#clock = clock
    this.#limits = limits
    this.holdings = new Holdings(lifelines, (session) => {
      this.end(session)
    })
  }

  get size(): number {
    return this.#byId.size
  }

  /**
   * Opens a session. A credential at its limit gives up its own session that was idle longest, because
   * clients forget to end theirs; it never costs another credential one. When nothing of its own is idle,
   * or the gateway as a whole is full, the answer is a refusal.
   */
  open(
    credentialId: string,
    transport: Session['transport'],
    revision: SessionRevision,
    place: Place = 'own',
    id: string = randomBytes(SESSION_ID_BYTES).toString('base64url'),
  ): Result<Session, Refusal> {
    // At most one walk a second, or a flood of `initialize` would cost a walk each.
    if (this.#byId.size >= this.#limits.sessions && this.#clock.now() - this.#sweptAt >= SHORTEST_SWEEP_MS) {
      this.#endIdle()
    }
    const holding = this.holdings.of(credentialId)
    const full = this.#byId.size >= this.#limits.sessions
    if (full || holding.sessions.size >= this.#limits.sessionsPerCredential) {
      const idlest = longestIdle(holding.sessions)
      if (!idlest) {
        this.holdings.settle(credentialId, holding)
        return err(tooMany(full, this.#limits))
      }
      this.end(idlest)
    }
    const session: Session = {
      id,
      credentialId,
      transport,
      place,
      revision,
      lastUsedAt: this.#clock.now(),
      streams: undefined,
      calls: undefined,
      onEnd: undefined,
      direct: undefined,
    }
    this.#byId.set(session.id, session)
    this.holdings.of(credentialId).sessions.add(session)
    this.#cancelSweep ??= this.#clock.after(this.#sweepMs, this.#sweep)
    return ok(session)
  }

  /**
   * The session of that id, if this credential opened it and it still lives. An id that was never given,
   * one that ended and one of another credential all answer the same, by the same path.
   */
  use(
    id: string,
    credentialId: string,
    transport: Session['transport'],
    place: Place = 'own',
  ): Session | undefined {
    const session = this.#byId.get(id)
    if (session?.credentialId !== credentialId || session.transport !== transport) return undefined
    if (session.place !== place) return undefined
    const now = this.#clock.now()
    if (this.#isIdle(session, now)) {
      this.end(session)
      return undefined
    }
    session.lastUsedAt = now
    return session
  }

  /** Ends a session: its calls stop, its streams close, its id is unknown from now on. */
  end(session: Session): void {
    if (!this.#byId.delete(session.id)) return
    const holding = this.holdings.peek(session.credentialId)
    if (holding) {
      holding.sessions.delete(session)
      this.holdings.settle(session.credentialId, holding)
    }
    if (session.calls) for (const call of session.calls.values()) call.stop('cancelled')
    if (session.streams) for (const stream of session.streams.slice()) stream.end()
    session.onEnd?.()
  }

  /** Ends every session of a place that is no more. */
  endAt(place: Place): void {
    for (const session of this.#byId.values()) if (session.place === place) this.end(session)
  }

  /** Takes a closed stream off its session, whose idle time begins when the last one has gone. */
  streamClosed(session: Session, stream: EventStream): void {
    const index = session.streams?.indexOf(stream) ?? -1
    if (index !== -1) session.streams?.splice(index, 1)
    session.lastUsedAt = this.#clock.now()
  }

  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    this.holdings.endAll('shutdown')
  }

  #isIdle(session: Session, now: number): boolean {
    return !isBusy(session) && session.lastUsedAt + this.#limits.sessionIdleMs <= now
  }

  #endIdle(): void {
    const now = this.#clock.now()
    this.#sweptAt = now
    for (const session of this.#byId.values()) if (this.#isIdle(session, now)) this.end(session)
  }

  get #sweepMs(): number {
    return Math.max(SHORTEST_SWEEP_MS, this.#limits.sessionIdleMs / 4)
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = undefined
    this.#endIdle()
    if (this.#byId.size > 0) this.#cancelSweep = this.#clock.after(this.#sweepMs, this.#sweep)
  }
}

function longestIdle(sessions: ReadonlySet<Session>): Session | undefined {
  let idlest: Session | undefined
  for (const session of sessions) {
    if (!isBusy(session) && (!idlest || session.lastUsedAt < idlest.lastUsedAt)) idlest = session
  }
  return idlest
}

function tooMany(full: boolean, limits: SessionLimits): Refusal {
  return full
    ? refusal(
        'too_many_sessions',
        'limits.sessions',
        `${limits.sessions} sessions are open, which is all there may be`,
        { allowed: 'requests without a session, or a session a little later' },
      )
    : refusal(
        'too_many_sessions',
        'limits.sessionsPerCredential',
        `this credential has ${limits.sessionsPerCredential} sessions in use, which is all it may have`,
        { allowed: 'ending one with DELETE, or requests without a session' },
      )
}
