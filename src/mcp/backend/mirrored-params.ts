import { CredentialEnded } from '../../identity/credential-ended.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Params } from '../../lib/json-rpc.ts'
import { isObject } from '../../lib/json-rpc.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import { deadline } from '../../upstreams/deadline.ts'
import { isRpcError, type StopReason, stopToRpc } from '../error-to-rpc.ts'
import type { McpExchange } from '../exchange.ts'
import { judgeParamHeaders } from '../param-headers.ts'
import { RPC_CODE, type RpcError, rpcError } from '../rpc-error.ts'
import type { KeptConversation } from './kept-conversation.ts'

/** Pages of a server's list that are read to find the schemas of its tools. */
const PAGES = 20

/** What all of them may take: nobody waits for them but the call. */
const LIST_TIME_MS = 10_000

/**
 * Judges the `Mcp-Param-*` headers of a call by the schema of its tool. The list is asked for when a header is there,
 * or when the server is of the revision that has them; no other server knows what they mean.
 *
 * @throws Fault `upstream_timeout` when the server does not list its tools in time, and what else a list can fail with
 */
export async function judgeMirrored(
  exchange: McpExchange,
  { name, arguments: args }: Params,
  kept: KeptConversation,
  clock: Clock,
): Promise<RpcError | undefined> {
  const { headers } = exchange.request
  const revision = kept.live.open?.about.revision
  const mirrors = Object.keys(headers).some((header) => header.startsWith('mcp-param-'))
  if (!mirrors && revision !== STATELESS_REVISION) return undefined
  const stopped = kept.schemas ? undefined : await learnTools(exchange, kept, clock)
  if (stopped) return stopped
  const schema = typeof name === 'string' ? kept.schemas?.get(name) : undefined
  return schema && judgeParamHeaders(headers, schema, isObject(args) ? args : {})
}

/** @returns why no more is done for the call: its client went away, or its credential ended */
async function learnTools(
  exchange: McpExchange,
  kept: KeptConversation,
  clock: Clock,
): Promise<RpcError | undefined> {
  const over: { reason?: StopReason } = {}
  const time = deadline(clock, LIST_TIME_MS, tooSlow)
  exchange.onEnd((reason) => {
    over.reason = reason
    time.abort(reason === 'gone' ? new Error('the client went away') : new CredentialEnded(reason))
  })
  try {
    kept.noteTools(await listTools(exchange, kept, time.signal))
    return undefined
  } catch (fault) {
    if (over.reason === undefined) throw fault
    const why = stopToRpc(over.reason, LIST_TIME_MS)
    if (isRpcError(why)) return why
    const { code, rule, message } = why
    return rpcError(200, RPC_CODE.cancelled, message, { data: { code, rule } })
  } finally {
    time.done()
  }
}

async function listTools(
  { caller, requestId }: McpExchange,
  kept: KeptConversation,
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const tools: unknown[] = []
  let cursor: unknown
  for (let page = 0; page < PAGES; page += 1) {
    signal.throwIfAborted()
    const answer = await kept.live.request({
      caller,
      requestId,
      wire: 'mcp',
      method: 'tools/list',
      params: cursor === undefined ? {} : { cursor },
      signal,
    })
    if (answer.kind !== 'result' || !Array.isArray(answer.result.tools)) break
    tools.push(...(answer.result.tools as readonly unknown[]))
    cursor = answer.result.nextCursor
    if (typeof cursor !== 'string') break
  }
  return tools
}

const tooSlow = (): Fault =>
  new Fault('upstream_timeout', 'The MCP server did not list its tools in time, which this call needs.')
