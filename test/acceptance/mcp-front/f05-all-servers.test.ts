import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Params } from '../../../src/lib/json-rpc.ts'
import { type Fixture, startFixture } from '../../conformance/fixture/fixture.ts'
import { fixtureCommand } from '../../support/fixture-upstream.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask, rpc } from '../../support/postern.ts'
import { httpTransport, sessionClient } from '../../support/session-client.ts'
import { statelessClient, statelessHttp } from '../../support/stateless-client.ts'
import type { ListKind, TestClient } from '../../support/test-client.ts'

const TOKEN = 'a-token-for-all-servers-together'

/** One server of every kind, in an order that is not that of their names. */
const SERVERS = {
  zulu: { transport: 'http', revision: '2025-11-25' },
  alpha: { transport: 'http', revision: '2026-07-28' },
  mike: { transport: 'sse', revision: '2024-11-05' },
} as const

let fixtures: readonly Fixture[]
/** Takes connections and says nothing. */
let silent: Server
let gateway: RunningGateway

beforeAll(async () => {
  fixtures = await Promise.all(Object.values(SERVERS).map((options) => startFixture(options)))
  silent = createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`
  const stdio = fixtureCommand({ transport: 'stdio', revision: '2025-11-25' })
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      // Patient with a process that starts on a busy machine.
      aggregate: { listTimeout: '15s' },
      mcpServers: {
        ...Object.fromEntries(Object.keys(SERVERS).map((name, at) => [name, { url: fixtures[at]?.url }])),
        process: stdio,
        // Nothing listens on the discard port of this machine.
        dead: { url: 'http://127.0.0.1:9/mcp' },
        silent: { url: silentUrl, connectTimeout: '1s' },
      },
    },
  })
})
afterAll(async () => {
  await gateway?.close()
  silent?.close()
  for (const fixture of fixtures ?? []) await fixture.close()
})

const target = (path: string) => ({
  url: `${gateway.url}/${path}`,
  headers: { authorization: `Bearer ${TOKEN}` },
})

const CLIENTS: Readonly<Record<string, () => Promise<TestClient>>> = {
  '2024-11-05': () => sessionClient('2024-11-05', httpTransport(target('sse'))),
  '2025-03-26': () => sessionClient('2025-03-26', httpTransport(target('mcp'))),
  '2025-06-18': () => sessionClient('2025-06-18', httpTransport(target('mcp'))),
  '2025-11-25': () => sessionClient('2025-11-25', httpTransport(target('mcp'))),
  '2026-07-28': () => statelessClient(statelessHttp(target('mcp'))),
}

const ALIVE = ['zulu', 'alpha', 'mike', 'process']

const textOf = (result: Params): string => {
  const [first] = result['content'] as Params[]
  return String(first?.['text'])
}

describe.each(Object.keys(CLIENTS))('F5 all servers as one, for a client of %s', (revision) => {
  let client: TestClient
  beforeAll(async () => {
    client = await (CLIENTS[revision] as () => Promise<TestClient>)()
  })
  afterAll(() => client?.close())

  const names = async (kind: ListKind, key = 'name') =>
    (await client.list(kind)).entries.map((entry) => String(entry[key]))

  it('F5 lists own tools, then those of each server in the order of the configuration, by name', async () => {
    const listed = await names('tools')
    const servers = [...new Set(listed.map((name) => (name.includes('__') ? name.split('__')[0] : '')))]
    // Postern has no tools of its own to show without a database but those that need none.
    expect(servers.filter((server) => server !== '')).toEqual(ALIVE)
    for (const server of ALIVE) {
      const own = listed.filter((name) => name.startsWith(`${server}__`))
      expect(own).toContain(`${server}__test_simple_text`)
      expect(own).toEqual(own.toSorted())
    }
    expect(await names('tools')).toEqual(listed)
  })

  it('F5 calls the tool of each server under its prefixed name', async () => {
    for (const server of ALIVE) {
      expect(textOf(await client.call(`${server}__test_simple_text`))).toBe(
        'This is a simple text response for testing.',
      )
    }
    await expect(client.call('gone__test_simple_text')).rejects.toThrow('there is no tool')
  })

  it('F5 gets prompts, reads resources and completes at the server that has them', async () => {
    const prompts = await names('prompts')
    for (const server of ALIVE) expect(prompts).toContain(`${server}__test_simple_prompt`)
    expect(await client.prompt('mike__test_simple_prompt')).toMatchObject({ messages: [{ role: 'user' }] })
    const uris = await names('resources', 'uri')
    expect(uris.filter((uri) => uri === 'test://static-text')).toHaveLength(1)
    expect(await client.read('test://static-text')).toMatchObject({
      contents: [{ uri: 'test://static-text' }],
    })
    expect(await client.read('test://template/7/data')).toMatchObject({
      contents: [{ uri: 'test://template/7/data' }],
    })
    expect(
      await client.complete({
        ref: { type: 'ref/prompt', name: 'zulu__test_prompt_with_arguments' },
        argument: { name: 'arg1', value: '' },
      }),
    ).toHaveProperty('completion')
  })

  it('F5 tells of progress, and asks its client what a server asks', async () => {
    const progress: Params[] = []
    await client.call('process__test_tool_with_progress', {}, { onProgress: (one) => progress.push(one) })
    expect(progress.length).toBeGreaterThan(1)
    if (revision < '2025-06-18') return
    await client.call('zulu__test_elicitation', { message: 'Who?' })
    expect(client.told.asked.at(-1)).toMatchObject({
      method: 'elicitation/create',
      params: { message: expect.stringMatching(/^zulu: /) as string },
    })
  })
})

describe('F5, F10 servers that are away', () => {
  it('F10 are named in the lists of the others, which they hold up for no longer than a list may take', async () => {
    const client = await sessionClient('2025-11-25', httpTransport(target('mcp')))
    const startedAt = performance.now()
    await client.list('tools')
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    await client.close()
    const { body } = await rpc(gateway.url, TOKEN, 'tools/list')
    const { result } = body as { result: { _meta: Params; tools: Params[] } }
    expect(result.tools.length).toBeGreaterThan(10)
    const left = result._meta['postern/unavailable'] as { server: string; code: string }[]
    expect(left.map(({ server }) => server)).toEqual(['dead', 'silent'])
    expect(left[0]?.code).toBe('upstream_unavailable')
    expect(left[1]?.code).toMatch(/^upstream_(?:timeout|unavailable)$/)
  })

  it('F10 are told by name over REST, in the log, and by the call of one of their tools', async () => {
    const { status, body } = await ask(`${gateway.url}/mcp/tools`, TOKEN)
    expect(status).toBe(200)
    expect((body as { unavailable: { server: string }[] }).unavailable.map(({ server }) => server)).toEqual([
      'dead',
      'silent',
    ])
    const called = await ask(`${gateway.url}/mcp/tools/dead__anything`, TOKEN, { json: {} })
    expect(called).toMatchObject({
      status: 503,
      body: { error: 'unavailable', code: 'upstream_unavailable' },
    })
    expect((called.body as { message: string }).message).toContain('dead')
    await vi.waitFor(() => {
      const left = gateway.log().filter(({ msg }) => msg.startsWith('Left an MCP server out'))
      expect(new Set(left.map(({ server }) => server))).toEqual(new Set(['dead', 'silent']))
    })
  })
})
