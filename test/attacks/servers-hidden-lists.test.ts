import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { plainSession } from '../support/plain-client.ts'
import { event, events, rawSessionMcp, type RawMcp } from '../support/upstreams/raw-mcp.ts'

const TOKEN = 'a-token-of-the-tests-of-hidden-lists'
const TOOLS = ['open', 'secret'].map((name) => ({ name, inputSchema: { type: 'object' } }))

let gateway: RunningGateway
let server: RawMcp
/** How the server writes its list, which is a list to whoever reads it. */
let shape = ''

beforeAll(async () => {
  server = await rawSessionMcp(
    (message, response) => {
      if (message.method !== 'tools/list') return false
      const answer = { jsonrpc: '2.0', id: message.id, result: { tools: TOOLS } }
      const text = JSON.stringify(answer)
      events(response).end(
        {
          plain: event(answer),
          'an array': event([answer]),
          'a byte order mark': `\uFEFF${event(answer)}`,
          'carriage returns': `data: ${text}\r\r`,
          'many lines': `data: ${text.replace(',"result"', '\ndata: ,"result"')}\n\n`,
          'no blank': `data:${text}\n\n`,
          escapes: `data: ${text.replaceAll('tools', String.raw`\u0074ools`)}\n\n`,
          'something broken': `data: ${text}}\n\n`,
          'two keys': `data: ${text.replace('"result":{', '"result":{"tools":[],')}\n\n`,
        }[shape],
      )
      return true
    },
    { session: 'one' },
  )
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      mcpServers: {
        lists: { url: server.url, transport: 'streamable', toolFilter: { mode: 'deny', tools: ['secret'] } },
      },
    },
  })
  // The first one is translated, while nobody knows what the server speaks.
  await plainSession(`${gateway.url}/lists/mcp`, TOKEN)
})
afterAll(async () => {
  await gateway.close()
  await server.close()
})

test.each([
  'plain',
  'an array',
  'a byte order mark',
  'carriage returns',
  'many lines',
  'no blank',
  'escapes',
  'something broken',
  'two keys',
])('no list shows a filtered tool, written with %s', async (how) => {
  shape = how
  const client = await plainSession(`${gateway.url}/lists/mcp`, TOKEN)
  expect(client.session).toContain('.')
  const { raw } = await client.request('tools/list')
  expect(raw).not.toContain('secret')
})
