import { STATELESS_REVISION, type Revision } from '../../src/lib/revisions.ts'
import { type Fixture, type FixtureOptions, startFixture } from '../conformance/fixture/fixture.ts'
import { fixtureCommand } from './fixture-upstream.ts'
import { type RunningGateway, startGateway } from './gateway.ts'
import { httpTransport, sessionClient } from './session-client.ts'
import { statelessClient, statelessHttp } from './stateless-client.ts'
import type { ClientOptions, TestClient } from './test-client.ts'

/** The fixture in every revision and transport, by the name under which Postern has it. */
export const UPSTREAMS = {
  'sse-2024-11-05': { transport: 'sse', revision: '2024-11-05' },
  'http-2025-03-26': { transport: 'http', revision: '2025-03-26' },
  'http-2025-06-18': { transport: 'http', revision: '2025-06-18' },
  'http-2025-11-25': { transport: 'http', revision: '2025-11-25' },
  'http-2026-07-28': { transport: 'http', revision: '2026-07-28' },
  'stdio-2025-11-25': { transport: 'stdio', revision: '2025-11-25' },
  'stdio-2026-07-28': { transport: 'stdio', revision: '2026-07-28' },
} as const satisfies Record<string, FixtureOptions>

export type UpstreamName = keyof typeof UPSTREAMS

/** What the tests of the fixture authenticate with. */
const TOKEN = 'a-token-of-these-tests-and-of-nothing-else'

export interface FixtureGateway {
  readonly gateway: RunningGateway
  readonly authorization: string
  /** Those that run over HTTP, for what a test looks at directly. */
  readonly fixtures: ReadonlyMap<string, Fixture>
  /** Connects the official client that knows this revision to a fixture. */
  connect(client: Revision, upstream: UpstreamName, options?: ClientOptions): Promise<TestClient>
  close(): Promise<void>
}

/** A gateway in a process of its own, in front of fixtures. */
export async function fixtureGateway(
  names: readonly UpstreamName[],
  options: { readonly pageSize?: number } = {},
): Promise<FixtureGateway> {
  const fixtures = new Map<string, Fixture>()
  const mcpServers: Record<string, unknown> = {}
  for (const name of names) {
    const upstream: FixtureOptions = { ...UPSTREAMS[name], ...options }
    if (upstream.transport === 'stdio') {
      mcpServers[name] = fixtureCommand(upstream)
    } else {
      const fixture = await startFixture(upstream)
      fixtures.set(name, fixture)
      // What it speaks is found out by Postern.
      mcpServers[name] = { url: fixture.url }
    }
  }
  const stopFixtures = async (): Promise<void> => {
    for (const fixture of fixtures.values()) await fixture.close()
  }
  let gateway: RunningGateway
  try {
    gateway = await startGateway({
      configuration: {
        auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
        mcpServers,
      },
    })
  } catch (error) {
    await stopFixtures()
    throw error
  }
  const authorization = `Bearer ${TOKEN}`
  return {
    gateway,
    authorization,
    fixtures,
    connect(client, upstream, options = {}) {
      const target = (path: string) => ({
        url: `${gateway.url}/${upstream}/${path}`,
        headers: { authorization },
      })
      if (client === STATELESS_REVISION) return statelessClient(statelessHttp(target('mcp')), options)
      return sessionClient(client, httpTransport(target(client === '2024-11-05' ? 'sse' : 'mcp')), options)
    },
    async close() {
      await gateway.close()
      await stopFixtures()
    },
  }
}
