import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Params } from '../lib/json-rpc.ts'
import type { Observe } from '../observe/observation.ts'
import { openHttpReach } from './http/reach.ts'
import type { UpstreamOptions } from './options.ts'
import type { Reach } from './reach.ts'
import { RunningRequests } from './running-requests.ts'
import { openStdioReach } from './stdio/reach.ts'
import { UpstreamServer } from './upstream-server.ts'
import type { Upstream, Upstreams } from './upstream.ts'
import type { UserCredentials } from './user-credentials.ts'

/** A flood of `list_changed` is told as one change every so often. */
const CHANGES_MS = 500

export interface UpstreamsParts {
  readonly lifelines: Lifelines
  readonly clock: Clock
  readonly observe: Observe
  /** Postern's own environment; a short safe list of it goes to processes. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What Postern says of itself to servers that many callers share. */
  readonly clientInfo: Params
  /** Null where principals can leave no credentials of their own. */
  readonly credentials: UserCredentials | null
}

/** Opens the MCP servers of the configuration. Nothing is started or connected before it is needed. */
export function openUpstreams(options: readonly UpstreamOptions[], parts: UpstreamsParts): Upstreams {
  return new ConfiguredUpstreams(options, parts)
}

class ConfiguredUpstreams implements Upstreams {
  readonly #parts: UpstreamsParts
  readonly #heard = new Set<(name: string) => void>()
  readonly #leaving = new Set<Promise<void>>()
  /** Servers whose change was told a moment ago; true when there was another since. */
  readonly #told = new Map<string, boolean>()
  #servers: ReadonlyMap<string, UpstreamServer> = new Map()
  #closed = false

  constructor(options: readonly UpstreamOptions[], parts: UpstreamsParts) {
    this.#parts = parts
    this.#servers = new Map(options.map((one) => [one.name, this.#open(one)]))
  }

  list(): readonly Upstream[] {
    return [...this.#servers.values()]
  }

  find(name: string): Upstream | undefined {
    return this.#servers.get(name)
  }

  onChange(heard: (name: string) => void): () => void {
    const own = (name: string): void => {
      heard(name)
    }
    this.#heard.add(own)
    return () => {
      this.#heard.delete(own)
    }
  }

  restart(name: string): Upstream | undefined {
    const before = this.#servers.get(name)
    if (!before || this.#closed) return undefined
    const again = this.#open(before.options)
    this.#servers = new Map(
      [...this.#servers].map(([key, server]) => [key, server === before ? again : server]),
    )
    this.#leave(
      before,
      new Fault('upstream_unavailable', `MCP server "${name}" was restarted by an administrator.`, {
        retryAfterS: 1,
      }),
    )
    this.#tell(name)
    return again
  }

  reload(options: readonly UpstreamOptions[]): void {
    if (this.#closed) return
    const before = this.#servers
    const changed: string[] = []
    const after = new Map<string, UpstreamServer>()
    for (const one of options) {
      const known = before.get(one.name)
      if (known?.isAsConfigured(one) === true) after.set(one.name, known)
      else {
        after.set(one.name, this.#open(one))
        changed.push(one.name)
      }
    }
    // Before the old ones end: who is told of that and begins again finds the new ones.
    this.#servers = after
    for (const [name, server] of before) {
      if (after.get(name) === server) continue
      if (!after.has(name)) changed.push(name)
      this.#leave(
        server,
        new Fault('upstream_unavailable', `The configuration of MCP server "${name}" has changed.`, {
          retryAfterS: 1,
        }),
      )
    }
    for (const name of changed) this.#tell(name)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#heard.clear()
    for (const server of this.#servers.values())
      this.#leave(server, new Fault('shutting_down', 'Postern is stopping.'))
    await Promise.all(this.#leaving)
  }

  #open(options: UpstreamOptions): UpstreamServer {
    const { lifelines, clock, observe, credentials } = this.#parts
    const running = new RunningRequests(options.name, options.limits.concurrency, clock)
    return new UpstreamServer(options, this.#reach(options, running), running, {
      lifelines,
      clock,
      observe,
      credentials,
      onToolsChanged: () => {
        this.#toolsChanged(options.name)
      },
    })
  }

  #reach(options: UpstreamOptions, running: RunningRequests): Reach {
    const { reach } = options
    return reach.kind === 'stdio'
      ? openStdioReach({ ...options, reach }, this.#parts)
      : openHttpReach({ ...options, reach }, { ...this.#parts, running })
  }

  #leave(server: UpstreamServer, fault: Fault): void {
    const left = server
      .close(fault)
      .catch((error: unknown) => {
        this.#parts.observe({ kind: 'fault', where: `closing MCP server ${server.name}`, error })
      })
      .finally(() => {
        this.#leaving.delete(left)
      })
    this.#leaving.add(left)
  }

  #toolsChanged(name: string): void {
    if (this.#told.has(name)) {
      this.#told.set(name, true)
      return
    }
    this.#told.set(name, false)
    this.#parts.clock.after(CHANGES_MS, () => {
      const again = this.#told.get(name) === true
      this.#told.delete(name)
      if (again) this.#toolsChanged(name)
    })
    this.#tell(name)
  }

  #tell(name: string): void {
    for (const heard of this.#heard) heard(name)
  }
}
