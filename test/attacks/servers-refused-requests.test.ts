import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type Outcome, post } from '../support/plain-client.ts'
import { rawSessionMcp, type RawMcp } from '../support/upstreams/raw-mcp.ts'

const MALLORY = 'a-token-of-somebody-who-wants-no-one-to-work'
const ALICE = 'a-token-of-somebody-who-wants-to-work-now'

let gateway: RunningGateway
let http: RawMcp
beforeAll(async () => {
  // As application firewalls answer what one client says of itself.
  http = await rawSessionMcp(
    (message, response) => {
      const status = /refuse me with (\d+)/.exec(JSON.stringify(message.params))?.[1]
      if (status === undefined) return false
      if (status === '000') response.socket?.destroy()
      else response.writeHead(Number(status), { 'content-type': 'text/html' }).end('blocked')
      return true
    },
    { session: 'one' },
  )
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          mallory: { value: MALLORY, level: 'read-only' },
          alice: { value: ALICE, level: 'read-write' },
        },
      },
      mcpServers: Object.fromEntries(
        ['401', '403', '503', '000'].map((name) => [
          `http-${name}`,
          { url: http.url, transport: 'streamable' },
        ]),
      ),
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await http.close()
})

const initialize = (server: string, token: string, name: string): Promise<Outcome> =>
  post(
    `${gateway.url}/${server}/mcp`,
    { authorization: `Bearer ${token}`, accept: 'application/json' },
    {
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name, version: '1' } },
    },
  )

test.each(['401', '403', '503', '000'])(
  'a request that its server answers with %s closes the server to nobody else',
  async (status) => {
    for (let count = 0; count < 3; count += 1) {
      expect(await initialize(`http-${status}`, MALLORY, `refuse me with ${status}`)).toMatchObject({
        code: 'upstream_unavailable',
      })
      expect(await initialize(`http-${status}`, ALICE, 'alice')).toMatchObject({ status: 200, code: 'ok' })
    }
  },
)
