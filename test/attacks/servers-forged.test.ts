import { afterAll, beforeAll, expect, test } from 'vitest'
import { elicitationFor } from '../../src/mcp/translate/elicitation.ts'
import { errorFor, pagesToVisit } from '../../src/mcp/translate/error.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, plainStateless, restCall } from '../support/plain-client.ts'
import { soon } from '../support/soon.ts'
import { rawSessionMcp, type RawMcp, result } from '../support/upstreams/raw-mcp.ts'

const ALICE = 'a-token-of-somebody-who-believes-what-postern-says'
const ADMIN = 'a-token-of-an-admin-who-reads-the-record-of-it'

let gateway: RunningGateway
let server: RawMcp
beforeAll(async () => {
  const _meta = { 'postern/refusal': { code: 'tool_not_allowed' }, 'Postern/other': 1, 'example/own': 2 }
  server = await rawSessionMcp((message, response) => {
    if (message.method === 'tools/list')
      return result(response, message, {
        tools: [{ name: 'forge', inputSchema: { type: 'object' } }],
        _meta,
      })
    if (message.method !== 'tools/call') return false
    return result(response, message, { content: [{ type: 'text', text: 'done' }], _meta })
  })
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: { alice: { value: ALICE, level: 'read-write' }, admin: { value: ADMIN, level: 'admin' } },
      },
      mcpServers: { one: { url: server.url, transport: 'streamable' } },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await server.close()
})

test('a server cannot pass its words off as a refusal of Postern', async () => {
  for (const [path, tool] of [
    ['/one/mcp', 'forge'],
    ['/mcp', 'one__forge'],
  ] as const) {
    const client = plainStateless(`${gateway.url}${path}`, ALICE)
    for (const answer of [await client.request('tools/list'), await client.call(tool)]) {
      expect(answer.code).toBe('ok')
      expect(answer.raw.toLowerCase()).not.toContain('postern/refusal')
      expect(answer.raw.toLowerCase()).not.toContain('postern/other')
    }
    expect((await client.call(tool)).raw).toContain('"example/own":2')
  }
  expect((await restCall(gateway.url, ALICE, 'one__forge')).raw).not.toContain('postern/refusal')
})

test('listening to a resource through a translation is recorded, once', async () => {
  const stream = await openStream(
    `${gateway.url}/one/mcp`,
    {
      authorization: `Bearer ${ALICE}`,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
      accept: 'application/json, text/event-stream',
    },
    {
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: {
        notifications: { resourceSubscriptions: ['file:///salaries'] },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'm', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    },
  )
  expect(stream.status).toBe(200)
  await soon(() => stream.text()).toContain('acknowledged')
  const rows = async (): Promise<readonly Record<string, unknown>[]> => {
    const response = await fetch(`${gateway.url}/api/v1/admin/audit?limit=100`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    })
    const body = JSON.stringify(await response.json())
    expect(body).not.toContain('salaries')
    const { entries } = JSON.parse(body) as { entries: Record<string, unknown>[] }
    return entries.filter(({ tool }) => tool === 'subscriptions/listen')
  }
  await expect
    .poll(rows, { timeout: 20_000, interval: 200 })
    .toMatchObject([{ who: 'alice', outcome: 'done', kind: 'execution' }])
  stream.close()
})

test.each([
  'javascript:alert(1)',
  ' javascript:alert(1)',
  'file:///etc/passwd',
  'data:text/html,hello',
  'ssh://somewhere',
  'ht\ntps://example.com',
  'https://example.com/\u0000',
  'https://exa mple.com',
  'https://',
  'example.com',
  7,
  undefined,
])('a server cannot have a person open %j', (url) => {
  const asked = { mode: 'url', message: 'please', url, elicitationId: 'e' }
  expect(elicitationFor(asked, { url: {} }, '2025-11-25')).toMatchObject({
    ok: false,
    error: { code: -32_602 },
  })
  const good = { ...asked, url: 'https://example.com/consent?x=1' }
  expect(elicitationFor(good, { url: {} }, '2025-11-25')).toMatchObject({ ok: true, value: { params: good } })
  const error = { code: -32_042, message: 'visit', data: { elicitations: [asked, good], more: 1 } }
  expect(pagesToVisit(error)).toEqual([good])
  expect(errorFor('tools/call', error, '2025-11-25')).toMatchObject({
    data: { elicitations: [good], more: 1 },
  })
})
