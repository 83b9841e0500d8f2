import type { Params } from '../../lib/json-rpc.ts'
import { isObject } from '../../lib/json-rpc.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import type { ClientFacts } from '../conversation.ts'
import type { RpcLink, RpcResponse } from '../link.ts'

/** Whether a server begins with `initialize`, or takes every request as it comes. */
export type Era = 'session' | 'stateless'

/** 2026-07-28: the requested version is not supported. Nobody else uses this code. */
const UNSUPPORTED_VERSION = -32_022

const PREFIX = 'io.modelcontextprotocol/'

/**
 * Finds out the era of a server as 2026-07-28 has it (stdio, "Backward Compatibility"): it is asked
 * `server/discover` before anything else; any answer that is not of the new era is of the old one.
 *
 * @throws the reason of `signal` when the server says nothing, and the link's fault when it ends: some servers of
 *   the old era do, when anything but `initialize` comes first
 */
export async function discoverEra(link: RpcLink, client: ClientFacts, signal: AbortSignal): Promise<Era> {
  link.listen({
    // Nothing has begun that a message could belong to.
    message: () => undefined,
    closed: () => undefined,
  })
  const response = await link.request(
    { method: 'server/discover', params: { _meta: discoverMeta(client) } },
    { signal },
  ).answer
  return eraOf(response)
}

/** Judges the answer to `server/discover`. */
export function eraOf(response: RpcResponse): Era {
  if (response.kind === 'result') {
    const { supportedVersions } = response.result
    return Array.isArray(supportedVersions) && supportedVersions.includes(STATELESS_REVISION)
      ? 'stateless'
      : 'session'
  }
  const { code, data } = response.error
  if (code !== UNSUPPORTED_VERSION || !isObject(data) || !Array.isArray(data['supported'])) return 'session'
  return data['supported'].includes(STATELESS_REVISION) ? 'stateless' : 'session'
}

const discoverMeta = ({ clientInfo, capabilities }: ClientFacts): Params => ({
  [`${PREFIX}protocolVersion`]: STATELESS_REVISION,
  [`${PREFIX}clientInfo`]: clientInfo,
  [`${PREFIX}clientCapabilities`]: capabilities,
})
