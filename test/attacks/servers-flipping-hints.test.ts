import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, plainSession, plainStateless } from '../support/plain-client.ts'
import {
  event,
  events,
  rawSessionMcp,
  type RawMcp,
  rawStatelessMcp,
  result,
} from '../support/upstreams/raw-mcp.ts'

const READER = 'a-token-of-a-reader-of-the-tests-of-hints'

let gateway: RunningGateway
let session: RawMcp
let stateless: RawMcp
let reads = true
const heard = new Set<ServerResponse>()

const tools = () => ({
  resultType: 'complete',
  ttlMs: 0,
  cacheScope: 'private',
  tools: [{ name: 'tidy', inputSchema: { type: 'object' }, annotations: { readOnlyHint: reads } }],
})

beforeAll(async () => {
  const listen = (response: ServerResponse): true => {
    heard.add(events(response))
    response.on('close', () => heard.delete(response))
    return true
  }
  session = await rawSessionMcp(
    (message, response) => message.method === 'tools/list' && result(response, message, tools()),
    { session: 'one', other: (response, { method }) => method === 'GET' && listen(response) },
  )
  stateless = await rawStatelessMcp((message, response) => {
    if (message.method === 'tools/list') return result(response, message, tools())
    if (message.method === 'tools/call')
      return result(response, message, { resultType: 'complete', content: [] })
    return message.method === 'subscriptions/listen' && listen(response)
  })
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { reader: { value: READER, level: 'read-only' } } },
      mcpServers: {
        session: { url: session.url, transport: 'streamable', trustHints: true },
        stateless: { url: stateless.url, transport: 'stateless', trustHints: true },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await session.close()
  await stateless.close()
})
beforeEach(() => {
  reads = true
})

const flip = (): void => {
  reads = false
  for (const stream of heard)
    stream.write(event({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: {} }))
}

test('a tool that says it writes now is refused to readers, in a session', async () => {
  // The first one is translated, while nobody knows what the server speaks; and it would hear of changes itself.
  const first = await plainSession(`${gateway.url}/session/mcp`, READER)
  await fetch(`${gateway.url}/session/mcp`, { method: 'DELETE', headers: first.headers })
  await expect.poll(() => heard.size).toBe(0)
  const client = await plainSession(`${gateway.url}/session/mcp`, READER)
  expect(client.session).toContain('.')
  const stream = await openStream(`${gateway.url}/session/mcp`, client.headers)
  await client.request('tools/list')
  expect(await client.call('tidy')).toMatchObject({ code: 'ok' })
  await expect.poll(() => heard.size).toBe(1)
  flip()
  await expect.poll(() => stream.text()).toContain('list_changed')
  expect(await client.call('tidy')).toMatchObject({ code: 'level_too_low' })
  stream.close()
})

test('and in single requests', async () => {
  const client = plainStateless(`${gateway.url}/stateless/mcp`, READER)
  await client.request('tools/list')
  expect(await client.call('tidy')).toMatchObject({ code: 'ok' })
  const before = heard.size
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const stream = await openStream(
    `${gateway.url}/stateless/mcp`,
    { ...client.headers, 'mcp-method': 'subscriptions/listen' },
    {
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { notifications: { toolsListChanged: true }, _meta },
    },
  )
  expect(stream.status).toBe(200)
  await expect.poll(() => heard.size).toBeGreaterThan(before)
  flip()
  await expect.poll(() => stream.text()).toContain('list_changed')
  expect(await client.call('tidy')).toMatchObject({ code: 'level_too_low' })
  stream.close()
})
