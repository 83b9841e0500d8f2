import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Fixture, startFixture } from '../../conformance/fixture/fixture.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type Answer, ask } from '../../support/postern.ts'

const TOKENS = {
  boss: 'a-token-of-the-boss-which-is-listed',
  clerk: 'a-token-of-the-clerk-which-is-not',
  narrow: 'a-token-that-is-bound-to-the-notes',
}

let fixture: Fixture
let gateway: RunningGateway
const token: Record<string, string> = { ...TOKENS, nobody: 'pst_no-such-token' }

beforeAll(async () => {
  fixture = await startFixture({ transport: 'http', revision: '2025-11-25' })
  gateway = await startGateway({
    admin: 'the-token-that-administers-here',
    configuration: {
      auth: {
        tokens: {
          admin: { value: 'the-token-that-administers-here', level: 'admin' },
          boss: { value: TOKENS.boss, level: 'read-write' },
          clerk: { value: TOKENS.clerk, level: 'read-write' },
          narrow: { value: TOKENS.narrow, level: 'read-write', servers: ['notes'] },
        },
      },
      mcpServers: {
        notes: { url: fixture.url },
        payroll: { url: fixture.url, authTokens: ['boss'] },
        vault: { url: fixture.url, authTokens: [] },
      },
    },
  })
  for (const [name, servers] of [
    ['issued', undefined],
    ['forPayroll', ['payroll']],
  ] as const) {
    const level = 'read-write'
    token[name] = (await gateway.issue({ note: name, level, ...(servers ? { servers } : {}) })).token
  }
})
afterAll(async () => {
  await gateway?.close()
  await fixture?.close()
})

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
}

const discover = {
  jsonrpc: '2.0',
  id: 1,
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
}

const stateless = {
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'server/discover',
}

/** Every way to a server, as far as whether it is open there shows. */
const WAYS: Readonly<
  Record<string, (server: string, token: string | null) => Promise<{ status: number; body: unknown }>>
> = {
  'a session': (server, shown) =>
    ask(`${gateway.url}/${server}/mcp`, shown, {
      json: initialize,
      headers: { accept: 'application/json, text/event-stream' },
    }),
  'no session': (server, shown) =>
    ask(`${gateway.url}/${server}/mcp`, shown, { json: discover, headers: stateless }),
  'an event stream': async (server, shown) => {
    const response = await fetch(`${gateway.url}/${server}/sse`, {
      headers: {
        accept: 'text/event-stream',
        ...(shown === null ? {} : { authorization: `Bearer ${shown}` }),
      },
      signal: AbortSignal.timeout(20_000),
    })
    if (response.status !== 200) return { status: response.status, body: await response.json() }
    await response.body?.cancel()
    return { status: 200, body: undefined }
  },
}

/** What each credential is answered at each server. */
const EXPECTED: readonly (readonly [string, Readonly<Record<string, number>>])[] = [
  ['boss', { notes: 200, payroll: 200, vault: 403 }],
  ['clerk', { notes: 200, payroll: 403, vault: 403 }],
  ['narrow', { notes: 200, payroll: 403, vault: 403 }],
  ['issued', { notes: 200, payroll: 403, vault: 403 }],
  ['forPayroll', { notes: 403, payroll: 200, vault: 403 }],
  ['nobody', { notes: 401, payroll: 401, vault: 401, nothing: 401 }],
]

describe.each(Object.keys(WAYS))('F4 over %s', (way) => {
  const go = WAYS[way] as (typeof WAYS)[string]

  it.each(EXPECTED)('F4 %s is answered %j', async (who, expected) => {
    const statuses: Record<string, number> = {}
    for (const server of Object.keys(expected)) {
      const { status, body } = await go(server, token[who] as string)
      statuses[server] = status
      if (status === 403) expect(JSON.stringify(body)).toContain('server_not_allowed')
    }
    expect(statuses).toEqual(expected)
  })

  it('F4 asks for a token before it says anything of a server', async () => {
    for (const server of ['notes', 'payroll', 'nothing']) {
      expect((await go(server, null)).status).toBe(401)
    }
  })

  it('F4 says of an unknown server only which ones this caller may use', async () => {
    const clerk = await go('nothing', TOKENS.clerk)
    expect(clerk.status).toBe(404)
    expect(JSON.stringify(clerk.body)).toContain('notes')
    expect(JSON.stringify(clerk.body)).not.toMatch(/payroll|vault/)
    const forPayroll = await go('nothing', token['forPayroll'] as string)
    expect(JSON.stringify(forPayroll.body)).toContain('payroll')
    expect(JSON.stringify(forPayroll.body)).not.toMatch(/notes|vault/)
  })
})

describe('F4 where all servers are one', () => {
  const tools = async (shown: string): Promise<Answer> => await ask(`${gateway.url}/mcp/tools`, shown)

  it.each([
    ['boss', ['notes', 'payroll']],
    ['clerk', ['notes']],
    ['narrow', ['notes']],
    ['issued', ['notes']],
    ['forPayroll', ['payroll']],
  ])('F4 %s is shown the tools of %j', async (who, servers) => {
    const { status, body } = await tools(token[who] as string)
    expect(status).toBe(200)
    const listed = (body as { tools: { server: string }[] }).tools.map(({ server }) => server)
    expect([...new Set(listed)].filter((server) => server !== 'postern')).toEqual(servers)
  })

  it('F4 a tool of a server that is not open is refused, and one of an unknown server unknown', async () => {
    const call = (name: string) => ask(`${gateway.url}/mcp/tools/${name}`, TOKENS.clerk, { json: {} })
    expect(await call('notes__test_simple_text')).toMatchObject({ status: 200 })
    expect(await call('payroll__test_simple_text')).toMatchObject({
      status: 403,
      body: { code: 'server_not_allowed', rule: 'server.authTokens' },
    })
    expect(await call('nothing__test_simple_text')).toMatchObject({
      status: 404,
      body: { code: 'unknown_tool' },
    })
  })

  it('F4 the record has each refusal with its rule', async () => {
    const { body } = await ask(
      `${gateway.url}/api/v1/admin/audit?target=payroll&outcome=refuse&limit=1000`,
      gateway.admin,
    )
    const rules = new Set((body as { entries: { rule: string }[] }).entries.map(({ rule }) => rule))
    expect([...rules].toSorted()).toEqual(['server', 'server.authTokens'])
  })
})

describe('C3 why a server is open or not', () => {
  it.each([
    ['config:boss', 'payroll', true, 'level:read-only'],
    ['config:clerk', 'payroll', false, 'server.authTokens'],
    ['config:narrow', 'payroll', false, 'server'],
    ['config:boss', 'vault', false, 'server.authTokens'],
    ['config:boss', 'nothing', false, 'server'],
  ])('C3 %s at %s: %s by %s, from the API and the command line alike', async (id, server, allowed, rule) => {
    const query = new URLSearchParams({ credential_id: id, server }).toString()
    const { body } = await ask(`${gateway.url}/api/v1/access/explain?${query}`, gateway.admin)
    expect(body).toMatchObject({ credential_id: id, server, allowed, rule })
    const said = await gateway.postern(['access', 'explain', '--token-id', id, '--server', server, '--json'])
    expect(JSON.parse(said.stdout)).toEqual(body)
    expect(said.code).toBe(allowed ? 0 : 1)
  })
})
