import type { Backends } from '../../src/tools/backend/backend.ts'
import { createBackends } from '../../src/tools/backend/create.ts'
import { openUpstreams } from '../../src/upstreams/open.ts'
import type { HttpReach, StdioReach, UpstreamOptions } from '../../src/upstreams/options.ts'
import type { Upstreams } from '../../src/upstreams/upstream.ts'
import type { BackendsOfHarness } from './mcp-harness.ts'

/** How a test says where a server is. */
export type ServedAs =
  | { readonly command: string; readonly args: readonly string[] }
  | { readonly url: string; readonly transport?: HttpReach['transport'] }

export interface ServedUpstreams {
  readonly make: (parts: BackendsOfHarness) => Backends
  upstreams(): Upstreams
  close(): Promise<void>
}

/** Real servers behind the rules, for a harness: every credential may call all of their tools. */
export function servedUpstreams(
  servers: Readonly<Record<string, ServedAs>>,
  more: Partial<UpstreamOptions> = {},
): ServedUpstreams {
  let upstreams: Upstreams | undefined
  return {
    make(parts) {
      upstreams = openUpstreams(
        Object.entries(servers).map(([name, served]) => optionsOf(name, served, more)),
        {
          ...parts,
          environment: { PATH: process.env['PATH'] },
          clientInfo: { name: 'postern', version: '0.0.0-test' },
          credentials: null,
        },
      )
      return createBackends({
        ...parts,
        upstreams,
        requestTimeoutMs: 30_000,
        aggregate: { delimiter: '__', listTimeoutMs: 5_000 },
        serverInfo: { name: 'postern', version: '0.0.0-test' },
      })
    },
    upstreams() {
      if (!upstreams) throw new Error('not made yet')
      return upstreams
    },
    async close() {
      await upstreams?.close()
    },
  }
}

function optionsOf(name: string, served: ServedAs, more: Partial<UpstreamOptions>): UpstreamOptions {
  const reach: StdioReach | HttpReach =
    'url' in served
      ? {
          kind: 'http',
          url: served.url,
          transport: served.transport ?? 'auto',
          headers: {},
          clientCredentials: null,
        }
      : { kind: 'stdio', command: served.command, args: served.args, env: {}, cwd: null, process: 'caller' }
  return {
    name,
    reach,
    rules: {
      authTokens: null,
      scopes: [],
      level: 'read-only',
      trustHints: false,
      toolFilter: null,
      tools: {},
    },
    userCredential: null,
    limits: {
      timeoutMs: 30_000,
      connectTimeoutMs: 30_000,
      messageBytes: 8_388_608,
      concurrency: 256,
      conversations: 256,
      idleMs: 60_000,
    },
    ...more,
  }
}
