import {
  Client as ClientV2,
  StreamableHTTPClientTransport as StreamableV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizingShim, type Shim } from '../support/authorizing-shim.ts'
import { bad, type Check, runConformance } from '../support/conformance.ts'
import { postern, serve, type Serving, workFolder } from '../support/postern.ts'
import { testPostgres } from '../support/postgres.ts'
import { soon } from '../support/soon.ts'

const INFO = { name: 'a-test', version: '1.0.0' }
const SQL = 'SELECT 6 * 7 AS answer'

/** The library's transports declare optional members in a way that `exactOptionalPropertyTypes` does not accept. */
const exact = (transport: unknown): Transport => transport as Transport

/** The scenarios that ask for nothing but what every server has. */
const GENERIC: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': [
    'server-initialize',
    'ping',
    'tools-list',
    'server-sse-multiple-streams',
    'dns-rebinding-protection',
    'server-session-lifecycle',
  ],
  '2026-07-28': [
    'tools-list',
    'server-sse-multiple-streams',
    'dns-rebinding-protection',
    'input-required-result-unsupported-methods',
    'http-header-validation',
  ],
}

/** Scenarios passed but for the checks that need a tool, a prompt or a resource which the suite brings along. */
const PARTLY: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  '2026-07-28': {
    'server-stateless': [
      'sep-2575-http-server-no-independent-requests-on-stream',
      'sep-2575-missing-capability-http-400',
      'sep-2575-server-no-log-without-loglevel',
      'sep-2575-server-rejects-undeclared-capability',
      'sep-2575-server-sends-tools-list-changed-on-subscription',
    ],
    caching: [
      'sep-2549-prompts-list-caching-hints',
      'sep-2549-resources-list-caching-hints',
      'sep-2549-resources-templates-list-caching-hints',
    ],
  },
}

let gateway: Serving
let shim: Shim
let folder: Awaited<ReturnType<typeof workFolder>>
let database: { readonly drop: () => Promise<void> }
let token = ''
beforeAll(async () => {
  const created = await (await testPostgres()).createDatabase()
  database = created
  folder = await workFolder({
    'postern.yaml': `databases:\n  - name: main\n    url: ${JSON.stringify(created.readerUrl)}\n`,
  })
  gateway = await serve(['serve', '--addr', '127.0.0.1:0'], { cwd: folder.dir })
  token = gateway.token ?? ''
  shim = await authorizingShim(gateway.url, `Bearer ${token}`)
}, 60_000)
afterAll(async () => {
  await shim.close()
  await gateway.stop()
  await folder.remove()
  await database.drop()
})

const withToken = (value = token) => ({ requestInit: { headers: { Authorization: `Bearer ${value}` } } })

describe.each(Object.keys(GENERIC))(
  'the official conformance suite against a running gateway, %s',
  (revision) => {
    let results: ReadonlyMap<string, readonly Check[]>
    beforeAll(async () => {
      results = await runConformance(`${shim.url}/mcp`, revision)
    }, 120_000)

    it.each(GENERIC[revision] ?? [])('%s', (scenario) => {
      const checks = results.get(scenario)
      expect(bad(checks)).toEqual([])
      expect(checks?.some(({ status }) => status === 'SUCCESS')).toBe(true)
    })

    it.each(Object.entries(PARTLY[revision] ?? {}))('%s, but for %j', (scenario, missing) => {
      const ids = bad(results.get(scenario)).map(({ id }) => id)
      expect([...new Set(ids)].sort()).toEqual([...missing].sort())
    })

    it('gets nothing that is against the schema of the revision', () => {
      const checks = [...results.values()].flat().filter(({ id }) => id === 'wire-schema-valid')
      expect(checks.length).toBeGreaterThan(20)
      expect(bad(checks)).toEqual([])
    })
  },
)

describe('the official clients against a running gateway', () => {
  const clients = {
    'version 1 over streamable HTTP': async (value?: string) => {
      const client = new ClientV1(INFO)
      await client.connect(
        exact(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), withToken(value))),
      )
      return client
    },
    'version 1 over HTTP with SSE': async (value?: string) => {
      const client = new ClientV1(INFO)
      await client.connect(exact(new SSEClientTransport(new URL(`${gateway.url}/sse`), withToken(value))))
      return client
    },
    'version 2, with a session': async (value?: string) => {
      const client = new ClientV2(INFO)
      await client.connect(new StreamableV2(new URL(`${gateway.url}/mcp`), withToken(value)))
      return client
    },
    'version 2, stateless': async (value?: string) => {
      const client = new ClientV2(INFO, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
      await client.connect(new StreamableV2(new URL(`${gateway.url}/mcp`), withToken(value)))
      return client
    },
  }

  describe.each(Object.keys(clients) as (keyof typeof clients)[])('%s', (name) => {
    it('lists the tools and asks the database', async () => {
      const client = await clients[name]()
      const { tools } = await client.listTools()
      expect(tools.map((tool) => tool.name)).toContain('query_database')
      const result = await client.callTool({ name: 'query_database', arguments: { query: SQL } })
      expect(result.isError).not.toBe(true)
      expect(JSON.stringify(result.content)).toContain('42')
      await client.close()
    })

    it('is told why a write is refused', async () => {
      const client = await clients[name]()
      const query = 'CREATE TABLE pwned (id int)'
      const result = await client.callTool({ name: 'query_database', arguments: { query } })
      expect(result).toMatchObject({ isError: true })
      expect(JSON.stringify(result.content)).toContain('Rule: ')
      await client.close()
    })

    it('is cut off when its token is removed', async () => {
      const added = await postern(['token', 'add', '--note', 'short-lived', '--json'], { cwd: folder.dir })
      const issued = JSON.parse(added.stdout) as { id: string; token: string }
      const client = await clients[name](issued.token)
      await client.callTool({ name: 'query_database', arguments: { query: SQL } })
      await postern(['token', 'remove', issued.id, '--json'], { cwd: folder.dir })
      const served = () =>
        client.callTool({ name: 'query_database', arguments: { query: SQL } }).then(
          () => true,
          () => false,
        )
      await soon(served).toBe(false)
      await client.close()
    })
  })
})
