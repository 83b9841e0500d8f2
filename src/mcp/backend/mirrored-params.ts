import type { Params } from '../../lib/json-rpc.ts'
import { isObject } from '../../lib/json-rpc.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import type { McpExchange } from '../exchange.ts'
import { judgeParamHeaders } from '../param-headers.ts'
import type { RpcError } from '../rpc-error.ts'
import type { KeptConversation } from './kept-conversation.ts'

/** Pages of a server's list that are read to find the schemas of its tools. */
const PAGES = 20

/**
 * Judges the `Mcp-Param-*` headers of a call by the schema of its tool. The list is asked for when a header is there,
 * or when the server is of the revision that has them; no other server knows what they mean.
 */
export async function judgeMirrored(
  exchange: McpExchange,
  { name, arguments: args }: Params,
  kept: KeptConversation,
): Promise<RpcError | undefined> {
  const { headers } = exchange.request
  const revision = kept.live.open?.about.revision
  const mirrors = Object.keys(headers).some((header) => header.startsWith('mcp-param-'))
  if (!mirrors && revision !== STATELESS_REVISION) return undefined
  if (!kept.schemas) await listTools(exchange, kept)
  const schema = typeof name === 'string' ? kept.schemas?.get(name) : undefined
  return schema && judgeParamHeaders(headers, schema, isObject(args) ? args : {})
}

async function listTools({ caller, requestId }: McpExchange, kept: KeptConversation): Promise<void> {
  const tools: unknown[] = []
  let cursor: unknown
  for (let page = 0; page < PAGES; page += 1) {
    const answer = await kept.live.request({
      caller,
      requestId,
      wire: 'mcp',
      method: 'tools/list',
      params: cursor === undefined ? {} : { cursor },
      signal: AbortSignal.timeout(LIST_TIME_MS),
    })
    if (answer.kind !== 'result' || !Array.isArray(answer.result.tools)) break
    tools.push(...(answer.result.tools as readonly unknown[]))
    cursor = answer.result.nextCursor
    if (typeof cursor !== 'string') break
  }
  kept.noteTools(tools)
}

const LIST_TIME_MS = 10_000
