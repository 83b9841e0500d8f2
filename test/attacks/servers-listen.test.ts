import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, type OpenStream, plainStateless } from '../support/plain-client.ts'
import {
  event,
  events,
  rawSessionMcp,
  type RawMcp,
  rawStatelessMcp,
  result,
} from '../support/upstreams/raw-mcp.ts'
import type { ServerResponse } from 'node:http'

const READER = 'a-token-of-a-reader-of-the-tests-of-listening'
const ADMIN = 'a-token-of-an-admin-of-the-tests-of-listening'
const SECRET = 'file:///salaries'

let gateway: RunningGateway
let session: RawMcp
let stateless: RawMcp
const open: ServerResponse[] = []

beforeAll(async () => {
  session = await rawSessionMcp((message, response) => {
    if (message.method === 'tools/list')
      return result(response, message, { tools: [{ name: 'peek', inputSchema: { type: 'object' } }] })
    return false
  })
  stateless = await rawStatelessMcp((message, response) => {
    if (message.method === 'tools/list')
      return result(response, message, {
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
        tools: [{ name: 'peek', inputSchema: { type: 'object' } }],
      })
    if (message.method !== 'subscriptions/listen') return false
    const _meta = { 'io.modelcontextprotocol/subscriptionId': message.id }
    const { notifications } = message.params
    events(response).write(
      event({
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications, _meta },
      }),
    )
    for (const uri of (notifications as { resourceSubscriptions?: string[] }).resourceSubscriptions ?? [])
      response.write(
        event({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri, _meta } }),
      )
    open.push(response)
    return true
  })
  // A server for administrators, with one tool that others may call.
  const rules = { level: 'admin', tools: { peek: { level: 'read-only' } } }
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: { reader: { value: READER, level: 'read-only' }, admin: { value: ADMIN, level: 'admin' } },
      },
      limits: { sessions: 40, sessionsPerCredential: 8 },
      mcpServers: {
        session: { url: session.url, ...rules },
        stateless: { url: stateless.url, ...rules },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await session.close()
  await stateless.close()
})

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'm', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

function listen(
  path: string,
  token: string,
  notifications: object,
  accept = 'application/json, text/event-stream',
): Promise<OpenStream> {
  return openStream(
    `${gateway.url}${path}`,
    {
      authorization: `Bearer ${token}`,
      accept,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
    },
    { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications, _meta: META } },
  )
}

describe.each(['session', 'stateless'])('resources of a %s server that is for administrators', (server) => {
  test.each(['application/json, text/event-stream', 'text/event-stream'])(
    'are not listened to by a reader (%s)',
    async (accept) => {
      const reader = plainStateless(`${gateway.url}/${server}/mcp`, READER)
      expect((await reader.request('tools/list')).result).toMatchObject({ tools: [{ name: 'peek' }] })
      expect(await reader.request('resources/list')).toMatchObject({ code: 'level_too_low' })
      const before = session.messages.length
      for (const path of [`/${server}/mcp`, '/mcp']) {
        const stream = await listen(
          path,
          READER,
          { toolsListChanged: true, resourceSubscriptions: [SECRET] },
          accept,
        )
        await new Promise((resolve) => setTimeout(resolve, 150))
        const told = stream.text()
        stream.close()
        expect(told, path).not.toContain('resources/updated')
        expect(JSON.stringify(stream.messages().map(({ params }) => params ?? {})), path).not.toContain(
          SECRET,
        )
      }
      expect(session.messages.slice(before).map(({ method }) => method)).not.toContain('resources/subscribe')
    },
  )
})

test('streams of one credential do not take those of others', async () => {
  const mine: OpenStream[] = []
  try {
    await plainStateless(`${gateway.url}/stateless/mcp`, READER).request('tools/list')
    for (let count = 0; count < 60; count += 1)
      mine.push(await listen('/stateless/mcp', READER, { toolsListChanged: true }))
    expect(mine.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(8)
    const other = await listen('/stateless/mcp', ADMIN, { toolsListChanged: true })
    mine.push(other)
    expect(other.status).toBe(200)
  } finally {
    for (const one of mine) one.close()
  }
})
