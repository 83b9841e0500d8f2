import type { Clock } from '../../lib/clock.ts'
import { isSessionRevision, LATEST_SESSION_REVISION, type SessionRevision } from '../../lib/revisions.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import { faultToRpc } from '../error-to-rpc.ts'
import type { EventStreams } from '../event-stream.ts'
import type { McpExchange } from '../exchange.ts'
import type { Params, RequestId } from '../message.ts'
import { errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, rpcError, success } from '../rpc-error.ts'
import type { Session } from '../session.ts'
import type { Sessions } from '../sessions.ts'
import { clientFacts, initializeResult } from '../translate/facts.ts'
import { refusedReply } from './answer.ts'
import { noteFault } from './forward.ts'
import { ReplayBudget } from './replay-log.ts'
import { SessionClient } from './session-client.ts'

const LONGEST_VERSION = 64
const SWEEP_MS = 15_000

export interface SessionClientsParts {
  readonly sessions: Sessions
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly clock: Clock
  readonly observe: Observe
}

/** The clients that have a session with a server, by the id of the session. */
export class SessionClients {
  readonly #parts: SessionClientsParts
  readonly #budget = new ReplayBudget()
  readonly #bySession = new Map<string, SessionClient>()
  #cancelSweep: (() => void) | undefined

  constructor(parts: SessionClientsParts) {
    this.#parts = parts
  }

  of(session: Session): SessionClient | undefined {
    return this.#bySession.get(session.id)
  }

  /**
   * Answers `initialize` with what the server says of itself: so the conversation with it begins here. A server
   * that cannot be reached leaves no session behind.
   */
  async initialize(
    session: Session,
    backend: Backend,
    { id, params }: { readonly id: RequestId; readonly params: Params },
    { caller, requestId }: Pick<McpExchange, 'caller' | 'requestId'>,
    alone: boolean,
  ): Promise<Reply> {
    const revision = negotiate(params)
    if (revision === undefined) {
      const message = 'protocolVersion must be a string such as "2025-11-25"'
      return errorReply(id, rpcError(200, RPC_CODE.invalidParams, message))
    }
    session.revision = revision
    const facts = clientFacts(params.clientInfo, params.capabilities, revision)
    const client = new SessionClient({ ...this.#parts, session, backend, facts, budget: this.#budget })
    this.#add(session, client)
    try {
      const opened = await client.live.get(caller, requestId)
      if (opened.ok) {
        return { message: success(id, JSON.stringify(initializeResult(opened.value.about, revision))) }
      }
      this.#drop(session, client)
      const asked = { id, method: 'initialize', revision, alone, about: undefined }
      return refusedReply(opened.error, asked)
    } catch (fault) {
      this.#drop(session, client)
      noteFault({ kind: 'failed', fault }, requestId, this.#parts.observe)
      return errorReply(id, faultToRpc(fault))
    }
  }

  /** Tells the clients of a server, and those of all servers, that there are other tools; but nobody twice. */
  toolsChanged(server?: string): void {
    for (const client of this.#bySession.values()) {
      const { place } = client.session
      if (server !== undefined && place !== 'all' && place !== `server:${server}`) continue
      if (server === undefined || !client.hearsOfTools) client.toolsChanged()
    }
  }

  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
  }

  #add(session: Session, client: SessionClient): void {
    this.#bySession.set(session.id, client)
    session.onEnd = () => this.#drop(session, client)
    this.#cancelSweep ??= this.#parts.clock.after(SWEEP_MS, this.#sweep)
  }

  #drop(session: Session, client: SessionClient): void {
    if (this.#bySession.get(session.id) === client) this.#bySession.delete(session.id)
    client.close()
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = undefined
    for (const client of this.#bySession.values()) client.sweep()
    if (this.#bySession.size > 0) this.#cancelSweep = this.#parts.clock.after(SWEEP_MS, this.#sweep)
  }
}

/** The revision to speak with a client (2025-11-25 lifecycle, "Version Negotiation"). */
function negotiate({ protocolVersion }: Params): SessionRevision | undefined {
  if (typeof protocolVersion !== 'string' || protocolVersion.length > LONGEST_VERSION) return undefined
  return isSessionRevision(protocolVersion) ? protocolVersion : LATEST_SESSION_REVISION
}
