import { isObject, type Params } from '../lib/json-rpc.ts'
import { STATELESS_REVISION } from '../lib/revisions.ts'
import type { TraceContext } from '../observe/trace-context.ts'

const PREFIX = 'io.modelcontextprotocol/'

export const SUBSCRIPTION_ID = `${PREFIX}subscriptionId`
const SERVER_INFO = `${PREFIX}serverInfo`

/** What 2026-07-28 carries beside every message, and what is not for the other side of a translation. */
const OF_THE_HOP: ReadonlySet<string> = new Set([
  'progressToken',
  `${PREFIX}protocolVersion`,
  `${PREFIX}clientInfo`,
  `${PREFIX}clientCapabilities`,
  `${PREFIX}logLevel`,
  SERVER_INFO,
  SUBSCRIPTION_ID,
])

export interface RequestMeta {
  readonly clientInfo: Params
  readonly capabilities: Params
  readonly logLevel: string | undefined
  readonly progressToken: number | undefined
  readonly trace: TraceContext | undefined
}

/** The params of a request with what every request carries (2026-07-28 basic, "`_meta`"). */
export function withRequestMeta(params: Params, meta: RequestMeta): Params {
  return {
    ...params,
    _meta: {
      ...othersOf(params['_meta']),
      [`${PREFIX}protocolVersion`]: STATELESS_REVISION,
      [`${PREFIX}clientInfo`]: meta.clientInfo,
      [`${PREFIX}clientCapabilities`]: meta.capabilities,
      ...(meta.logLevel === undefined ? {} : { [`${PREFIX}logLevel`]: meta.logLevel }),
      ...(meta.progressToken === undefined ? {} : { progressToken: meta.progressToken }),
      ...meta.trace,
    },
  }
}

/** A result or the params of a notification without what carried them; without `_meta` when nothing is left of it. */
export function withoutHopMeta(params: Params): Params {
  const { _meta: meta, ...rest } = params
  if (meta === undefined) return params
  const others = othersOf(meta)
  return Object.keys(others).length === 0 ? rest : { ...rest, _meta: others }
}

export const subscriptionOf = (params: Params): unknown => {
  const meta = params['_meta']
  return isObject(meta) ? meta[SUBSCRIPTION_ID] : undefined
}

/** What the server says it is, in the `_meta` of a result. */
export const serverInfoOf = (result: Params): Params => {
  const meta = result['_meta']
  const info = isObject(meta) ? meta[SERVER_INFO] : undefined
  return isObject(info) ? info : {}
}

function othersOf(meta: unknown): Params {
  if (!isObject(meta)) return {}
  return Object.fromEntries(Object.entries(meta).filter(([name]) => !OF_THE_HOP.has(name)))
}
