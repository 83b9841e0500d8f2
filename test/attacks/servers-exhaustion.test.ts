import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type PlainClient, plainSession, plainStateless } from '../support/plain-client.ts'
import { rawSessionMcp, type RawMcp, result } from '../support/upstreams/raw-mcp.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))
const GREEDY = 'a-token-of-somebody-who-takes-all-there-is'
const OTHER = 'a-token-of-somebody-who-wants-one-of-them'

let gateway: RunningGateway
let http: RawMcp
beforeAll(async () => {
  http = await rawSessionMcp((message, response) => {
    if (message.method !== 'initialize') return false
    response.setHeader('mcp-session-id', `s-${Math.random()}`)
    return result(response, message, {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'raw', version: '1' },
    })
  })
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          greedy: { value: GREEDY, level: 'read-write' },
          other: { value: OTHER, level: 'read-write' },
        },
      },
      mcpServers: {
        stdio: { command: process.execPath, args: [LAX], conversations: 6, concurrency: 8 },
        http: { url: http.url, transport: 'streamable', conversations: 6, concurrency: 8 },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await http.close()
})

describe.each(['stdio', 'http'])(
  'one credential leaves something of a server over %s to others',
  (server) => {
    test('conversations of sessions', async () => {
      const mine: (PlainClient | string)[] = []
      for (let count = 0; count < 12; count += 1) {
        const accept = plainSession(`${gateway.url}/${server}/mcp`, GREEDY, { experimental: { count } })
        mine.push(await accept.catch((error: unknown) => String(error)))
      }
      const theirs = await plainSession(`${gateway.url}/${server}/mcp`, OTHER).catch((error: unknown) =>
        String(error),
      )
      expect(theirs).toBeTypeOf('object')
    })

    test('conversations of single requests', async () => {
      for (let count = 0; count < 12; count += 1)
        await plainStateless(`${gateway.url}/${server}/mcp`, GREEDY, {
          experimental: { other: count },
        }).request('tools/list')
      const theirs = await plainStateless(`${gateway.url}/${server}/mcp`, OTHER).request('tools/list')
      expect(theirs).toMatchObject({ code: 'ok' })
    })
  },
)
