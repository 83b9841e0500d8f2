import type { Refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Lifelines } from '../../identity/lifelines.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Upstreams } from '../../upstreams/upstream.ts'
import type { Pipeline } from '../call.ts'
import { AggregateBackend } from './aggregate/aggregate-backend.ts'
import { Names } from './aggregate/names.ts'
import type { Backend, Backends } from './backend.ts'
import { recordRefusal, type RecordParts } from './record.ts'
import { ServerBackend } from './server-backend.ts'
import { unknownServer } from './unknown-server.ts'

export interface BackendsParts extends RecordParts {
  readonly upstreams: Upstreams
  readonly lifelines: Pick<Lifelines, 'hold'>
  /** Postern's own tools, which the aggregate has beside those of the servers. */
  readonly own: Pipeline
  /** Milliseconds after which a call of an own tool is stopped; those of servers have the time of their server. */
  readonly requestTimeoutMs: number
  readonly aggregate: {
    /** Between the name of a server and that of its tool or prompt. */
    readonly delimiter: string
    /** What a server may take for its part of a list before it is left out. */
    readonly listTimeoutMs: number
  }
  /** What the aggregate says of itself. */
  readonly serverInfo: { readonly name: string; readonly version: string }
}

/** The backends with what the rooms beside them need; wires see `Backends`. */
export interface OpenBackends extends Backends {
  readonly names: Names
  aggregate(): AggregateBackend
  /** One server, whoever asks. */
  find(name: string): ServerBackend | undefined
  /** The servers that are open to the caller, in the order of the configuration. */
  usable(caller: Caller): readonly ServerBackend[]
}

/** The MCP servers behind their rules: the only way from a wire to one of them. */
export function createBackends(parts: BackendsParts): OpenBackends {
  const { upstreams } = parts
  /** The answer for each server, made once: it is asked for with every request. */
  const known = new Map<string, { readonly ok: true; readonly value: ServerBackend }>()

  const find = (name: string): { readonly ok: true; readonly value: ServerBackend } | undefined => {
    if (upstreams.find(name) === undefined) {
      known.delete(name)
      return undefined
    }
    let answer = known.get(name)
    if (!answer) {
      answer = ok(new ServerBackend(name, { ...parts, upstream: () => upstreams.find(name) }))
      known.set(name, answer)
    }
    return answer
  }

  const all = (): ServerBackend[] => upstreams.list().flatMap(({ name }) => find(name)?.value ?? [])

  const usable = (caller: Caller): ServerBackend[] =>
    all().filter((backend) => backend.decideServer(caller).outcome === 'allow')

  const names = new Names(parts.aggregate.delimiter, () => upstreams.list().map(({ name }) => name))
  const aggregate = new AggregateBackend({
    servers: all,
    own: parts.own,
    requestTimeoutMs: parts.requestTimeoutMs,
    names,
    listTimeoutMs: parts.aggregate.listTimeoutMs,
    serverInfo: { ...parts.serverInfo },
    lifelines: parts.lifelines,
    clock: parts.clock,
    observe: parts.observe,
  })

  upstreams.onChange((name) => known.get(name)?.value.forget())

  return {
    get any() {
      return upstreams.list().length > 0
    },

    server(caller, name, requestId): Result<Backend, Refusal> {
      const answer = find(name)
      const decision = answer?.value.decideServer(caller)
      if (answer && decision?.outcome === 'allow') return answer
      const why =
        decision?.outcome === 'refuse'
          ? decision.refusal
          : unknownServer(
              name,
              usable(caller).map(({ server }) => server),
            )
      const asked = { caller, wire: 'mcp', server: name.slice(0, 128), action: 'server' } as const
      recordRefusal(requestId === undefined ? asked : { ...asked, requestId }, why, parts)
      return err(why)
    },

    names,
    aggregate: () => aggregate,
    find: (name) => find(name)?.value,
    usable,
    onChange: (heard) =>
      upstreams.onChange((name) => {
        heard(name, upstreams.find(name) === undefined)
      }),
  }
}
