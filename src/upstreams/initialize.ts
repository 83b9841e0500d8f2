import { Fault } from '../lib/fault.ts'
import { isObject } from '../lib/json-rpc.ts'
import { isSessionRevision, LATEST_SESSION_REVISION } from '../lib/revisions.ts'
import type { Beginning } from './beginning.ts'
import type { ServerFacts } from './conversation.ts'
import type { RpcLink, RpcResponse } from './link.ts'

/**
 * Begins a session as 2024-11-05 to 2025-11-25 do (2025-11-25 lifecycle, "Initialization"). The link has a listener.
 *
 * @param strangers true when conversations of several callers will share it
 * @throws Fault `upstream_invalid` when the server refuses or answers in a revision nobody knows, and those of the link
 */
export async function initialize(
  link: RpcLink,
  { client, server, signal, asOne }: Omit<Beginning, 'inbox'>,
  strangers: boolean,
): Promise<ServerFacts> {
  const answer = await link.request(
    {
      method: 'initialize',
      params: {
        protocolVersion: isSessionRevision(client.revision) ? client.revision : LATEST_SESSION_REVISION,
        capabilities: client.capabilities,
        clientInfo: client.clientInfo,
      },
    },
    { signal },
  ).answer
  const told = readFacts(answer, server)
  link.agreed(told.revision)
  link.send({ kind: 'notification', method: 'notifications/initialized', params: {} })
  return strangers || asOne === true ? withoutTasks(told) : told
}

function readFacts(answer: RpcResponse, server: string): ServerFacts {
  if (answer.kind === 'error')
    throw new Fault('upstream_invalid', `MCP server "${server}" refused to begin a conversation.`, {
      cause: new Error(`${answer.error.code} ${answer.error.message.slice(0, 500)}`),
    })
  const { protocolVersion, capabilities, serverInfo, instructions } = answer.result
  if (typeof protocolVersion !== 'string' || !isSessionRevision(protocolVersion))
    throw new Fault(
      'upstream_invalid',
      `MCP server "${server}" speaks a protocol revision that Postern does not.`,
    )
  return {
    revision: protocolVersion,
    serverInfo: isObject(serverInfo) ? serverInfo : {},
    capabilities: isObject(capabilities) ? capabilities : {},
    ...(typeof instructions === 'string' ? { instructions } : {}),
  }
}

/** Tasks belong to whoever made them, and the server could not tell whose they are (2025-11-25 tasks, "Security"). */
function withoutTasks(facts: ServerFacts): ServerFacts {
  const { tasks: _, ...capabilities } = facts.capabilities
  return { ...facts, capabilities }
}
