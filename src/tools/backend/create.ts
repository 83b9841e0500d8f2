import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Upstreams } from '../../upstreams/upstream.ts'
import type { Pipeline } from '../call.ts'
import { AggregateBackend } from './aggregate/aggregate-backend.ts'
import { Names } from './aggregate/names.ts'
import type { Backend, Backends } from './backend.ts'
import { recordRefusal, type RecordParts } from './record.ts'
import { ServerBackend } from './server-backend.ts'

export interface BackendsParts extends RecordParts {
  readonly upstreams: Upstreams
  /** Postern's own tools, which the aggregate has beside those of the servers. */
  readonly own: Pipeline
  readonly aggregate: {
    /** Between the name of a server and that of its tool or prompt. */
    readonly delimiter: string
    /** What a server may take for its part of a list before it is left out. */
    readonly listTimeoutMs: number
  }
  /** What the aggregate says of itself. */
  readonly serverInfo: { readonly name: string; readonly version: string }
}

/** The MCP servers behind their rules: the only way from a wire to one of them. */
export function createBackends(parts: BackendsParts): Backends {
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

  const usable = (caller: Caller): ServerBackend[] =>
    upstreams
      .list()
      .flatMap(({ name }) => find(name)?.value ?? [])
      .filter((backend) => backend.decideServer(caller).outcome === 'allow')

  const aggregate = new AggregateBackend({
    servers: () => upstreams.list().flatMap(({ name }) => find(name)?.value ?? []),
    own: parts.own,
    names: new Names(parts.aggregate.delimiter, () => upstreams.list().map(({ name }) => name)),
    listTimeoutMs: parts.aggregate.listTimeoutMs,
    serverInfo: { ...parts.serverInfo },
    clock: parts.clock,
    observe: parts.observe,
  })

  upstreams.onChange((name) => known.get(name)?.value.catalogue.forget())

  return {
    get any() {
      return upstreams.list().length > 0
    },

    server(caller, name, requestId): Result<Backend, Refusal> {
      const answer = find(name)
      const decision = answer?.value.decideServer(caller)
      if (answer && decision?.outcome === 'allow') return answer
      const why = decision?.outcome === 'refuse' ? decision.refusal : unknownServer(name, usable(caller))
      const asked = { caller, wire: 'mcp', server: name.slice(0, 128), action: 'server' } as const
      recordRefusal(requestId === undefined ? asked : { ...asked, requestId }, why, parts)
      return err(why)
    },

    aggregate: () => aggregate,

    onChange: (heard) => upstreams.onChange(heard),
  }
}

/** Names only what the caller may use: the rest of the configuration is none of its business. */
function unknownServer(name: string, usable: readonly Backend[]): Refusal {
  const candidates = usable.flatMap(({ server }) => server ?? [])
  const message = `there is no server "${name.slice(0, 128)}"`
  return candidates.length === 0
    ? refusal('not_found', 'server', message, { allowed: '/mcp, for the tools of Postern itself' })
    : refusal('not_found', 'server', message, { allowed: `servers ${candidates.join(', ')}`, candidates })
}
