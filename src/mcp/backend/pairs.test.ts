import { afterAll, beforeAll, describe } from 'vitest'
import { behaviours, PAGE_SIZE } from '../../../test/conformance/behaviours.ts'
import { fixtureCommand } from '../../../test/support/fixture-upstream.ts'
import { type McpHarness, mcpHarness } from '../../../test/support/mcp-harness.ts'
import { servedUpstreams } from '../../../test/support/served-upstreams.ts'
import { httpTransport, sessionClient } from '../../../test/support/session-client.ts'
import { statelessClient, statelessHttp } from '../../../test/support/stateless-client.ts'
import type { ClientOptions } from '../../../test/support/test-client.ts'
import { type Revision, STATELESS_REVISION, SUPPORTED_REVISIONS } from '../../lib/revisions.ts'

/** Servers over stdio, in this process as far as Postern is concerned: what is wrong can be looked at. */
const SERVERS = { session: '2025-11-25', stateless: '2026-07-28' } as const

const served = servedUpstreams(
  Object.fromEntries(
    Object.entries(SERVERS).map(([name, revision]) => [
      name,
      fixtureCommand({ transport: 'stdio', revision, pageSize: PAGE_SIZE }),
    ]),
  ),
)
let mcp: McpHarness
beforeAll(async () => {
  mcp = await mcpHarness({ backends: served.make })
})
afterAll(async () => {
  await mcp.close()
  await served.close()
})

const headers = { authorization: 'Bearer token-pairs' }

function connect(client: Revision, server: string, options?: ClientOptions) {
  const path = client === '2024-11-05' ? 'sse' : 'mcp'
  const target = { url: `${mcp.url}/${server}/${path}`, headers }
  return client === STATELESS_REVISION
    ? statelessClient(statelessHttp(target), options)
    : sessionClient(client, httpTransport(target), options)
}

describe.each(Object.entries(SERVERS))('a server over stdio (%s)', (name, upstream) => {
  describe.each(SUPPORTED_REVISIONS)('and a client of %s', (client) => {
    behaviours({ client, upstream, connect: (options) => connect(client, name, options) })
  })
})
