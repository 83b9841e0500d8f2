import { sha256Hex } from '../../lib/digest.ts'
import { Fault } from '../../lib/fault.ts'
import { type Revision, LATEST_SESSION_REVISION } from '../../lib/revisions.ts'
import type { Secret } from '../../lib/secret.ts'
import type { ClientFacts, Conversation } from '../conversation.ts'
import type { StdioReach, UpstreamOptions } from '../options.ts'
import type { ConverseRequest, OpenStdioReach, Reach, ReachFacts, ReachParts, StdioParts } from '../reach.ts'
import { processEnvironment } from './environment.ts'
import { shareOf } from '../share.ts'
import type { Era } from './era.ts'
import { SharedProcess } from './shared-process.ts'

/** Between the last conversation and the end of a caller's process: a client that reconnects finds it. */
const LINGER_MS = 2_000

export const openStdioReach: OpenStdioReach = (options, parts) => new ProcessReach(options, parts)

interface Kept {
  readonly process: SharedProcess
  /** Null where it is for all. */
  readonly credentialId: string | null
  readonly release: () => void
}

/** The processes of one server: one for all, or one for each credential and what its clients declared. */
class ProcessReach implements Reach {
  readonly #options: UpstreamOptions & { readonly reach: StdioReach }
  readonly #parts: ReachParts & StdioParts
  readonly #kept = new Map<string, Kept>()
  readonly #going = new Set<Promise<void>>()
  /** Keys whose process ended by itself: the next one counts as a restart. */
  readonly #crashed = new Set<string>()
  #verdict: { readonly era: Era; readonly revision: Revision; readonly at: number } | null = null
  #restarts = 0
  #closed = false

  constructor(options: UpstreamOptions & { readonly reach: StdioReach }, parts: ReachParts & StdioParts) {
    this.#options = options
    this.#parts = parts
  }

  async converse({ caller, client, inbox, signal, ownSecret }: ConverseRequest): Promise<Conversation> {
    if (this.#closed) throw this.#gone()
    const { reach, name, limits } = this.#options
    const shared = reach.process === 'shared'
    const facts = shared ? this.#ourselves() : client
    const credentialId = shared ? null : caller.credential.id
    const key = shared ? '' : `${caller.credential.id} ${digestOf(facts, ownSecret)}`
    const process = this.#kept.get(key)?.process ?? this.#start(key, credentialId, facts, ownSecret)
    return process.converse(
      {
        server: name,
        client: facts,
        inbox,
        signal,
        clock: this.#parts.clock,
        timeoutMs: limits.timeoutMs,
      },
      caller.credential.id,
    )
  }

  direct(): undefined {
    return undefined
  }

  facts(): ReachFacts {
    return {
      transport: 'stdio',
      revision: this.#verdict?.revision ?? null,
      probedAt: this.#verdict?.at ?? null,
      processes: this.#kept.size,
      restarts: this.#restarts,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { process } of this.#kept.values()) process.end('kindly', this.#gone())
    await Promise.all(this.#going)
  }

  #start(
    key: string,
    credentialId: string | null,
    client: ClientFacts,
    ownSecret: Secret | null,
  ): SharedProcess {
    const { reach, name, limits, userCredential } = this.#options
    const { clock, observe, lifelines, environment } = this.#parts
    const most = limits.conversations
    const mine = [...this.#kept.values()].filter((kept) => kept.credentialId === credentialId)
    const tooMany = credentialId !== null && mine.length >= shareOf(most) && !endIdle(mine)
    // Those that are ending count, too: otherwise endings could be piled up.
    if (tooMany || (this.#kept.size >= most && !endIdle(this.#kept.values())) || this.#going.size >= 2 * most)
      throw new Fault(
        'upstream_busy',
        `MCP server "${name}" has no room for another process. Try again in a moment.`,
        {
          retryAfterS: 1,
        },
      )
    const own = userCredential?.kind === 'env' && ownSecret ? { [userCredential.name]: ownSecret } : {}
    if (this.#crashed.delete(key)) {
      this.#restarts += 1
      observe({ kind: 'upstream.restarted', server: name, restarts: this.#restarts })
    }
    const process = new SharedProcess(
      {
        server: name,
        command: reach.command,
        args: reach.args,
        environment: processEnvironment(environment, { ...reach.env, ...own }),
        cwd: reach.cwd,
        clock,
        observe,
        messageBytes: limits.messageBytes,
        connectTimeoutMs: limits.connectTimeoutMs,
        timeoutMs: limits.timeoutMs,
        lingerMs: credentialId === null ? Math.max(LINGER_MS, limits.idleMs) : LINGER_MS,
        strangers: credentialId === null,
        client,
        era: this.#verdict?.era ?? null,
      },
      {
        up: (era, revision) => {
          this.#verdict = { era, revision, at: this.#verdict?.era === era ? this.#verdict.at : clock.now() }
        },
        doubted: () => {
          this.#verdict = null
        },
        over: (fault) => {
          if (fault && this.#crashed.size < limits.conversations) this.#crashed.add(key)
          const kept = this.#kept.get(key)
          if (kept?.process !== process) return
          this.#kept.delete(key)
          kept.release()
        },
      },
    )
    const release =
      credentialId === null
        ? () => undefined
        : lifelines.hold(credentialId, () => {
            process.end('at once', new Fault('credential_changed', 'The credential ended.'))
          })
    this.#kept.set(key, { process, credentialId, release })
    const gone = process.gone.finally(() => {
      this.#going.delete(gone)
    })
    this.#going.add(gone)
    return process
  }

  /** What a process that many share is told: it has no client that it could ask anything. */
  #ourselves(): ClientFacts {
    return { clientInfo: this.#parts.clientInfo, capabilities: {}, revision: LATEST_SESSION_REVISION }
  }

  #gone(): Fault {
    return new Fault('upstream_unavailable', `MCP server "${this.#options.name}" is not there any more.`)
  }
}

/** Makes room: a process that only lingers is ended. */
function endIdle(kept: Iterable<Kept>): boolean {
  for (const { process } of kept) {
    if (!process.idle) continue
    process.end('kindly')
    return true
  }
  return false
}

/** A process that was told one thing of its client must not serve another that declared less. */
const digestOf = ({ capabilities, revision }: ClientFacts, ownSecret: Secret | null): string =>
  sha256Hex(JSON.stringify([sorted(capabilities), revision, ownSecret?.reveal() ?? null]))

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)])
}
