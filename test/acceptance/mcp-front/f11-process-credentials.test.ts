import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type Answer, ask } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'

const word = (what: string): string => `${what}${randomBytes(12).toString('hex')}`
const tokens = { admin: word('admin'), alice: word('alice'), bob: word('bob') }
const values = { alice: word('keyofalice'), changed: word('changed'), bob: word('keyofbob') }

/** A server of the MCP project with a tool that tells its environment. */
const EVERYTHING = fileURLToPath(
  new URL('../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js', import.meta.url),
)

let gateway: RunningGateway

beforeAll(async () => {
  const options = { level: 'read-only', userCredential: { env: 'OWN_KEY', required: true } }
  gateway = await startGateway({
    admin: tokens.admin,
    configuration: {
      auth: {
        tokens: {
          root: { value: tokens.admin, level: 'admin' },
          alice: { value: tokens.alice },
          bob: { value: tokens.bob },
        },
      },
      mcpServers: { everything: { command: process.execPath, args: [EVERYTHING, 'stdio'], ...options } },
    },
  })
}, 60_000)
afterAll(() => gateway?.close())

const put = (token: string, value: string): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/servers/everything/credential`, token, { method: 'PUT', json: { value } })

const HEADERS = { accept: 'application/json, text/event-stream' }

async function session(token: string): Promise<(name: string) => Promise<string>> {
  const endpoint = `${gateway.url}/everything/mcp`
  const begun = await ask(endpoint, token, {
    json: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    },
    headers: HEADERS,
  })
  const headers = {
    ...HEADERS,
    'mcp-session-id': begun.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-06-18',
  }
  return async (name) => {
    const json = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: {} } }
    return JSON.stringify((await ask(endpoint, token, { json, headers })).body)
  }
}

const processes = async (): Promise<number> => {
  const { body } = await ask(`${gateway.url}/api/v1/admin/servers/everything`, tokens.admin)
  return (body as { processes: number }).processes
}

describe('F11 a credential in the environment of one’s own process', () => {
  it('is in that process and in no other, and ends it when it is changed or removed', async () => {
    await put(tokens.alice, values.alice)
    await put(tokens.bob, values.bob)
    const [alice, bob] = [await session(tokens.alice), await session(tokens.bob)]
    const [ofAlice, ofBob] = [await alice('get-env'), await bob('get-env')]
    expect(ofAlice).toContain(values.alice)
    expect(ofAlice).not.toContain(values.bob)
    expect(ofBob).toContain(values.bob)
    expect(ofBob).not.toContain(values.alice)
    for (const token of Object.values(tokens)) expect(ofAlice + ofBob).not.toContain(token)
    expect(await processes()).toBe(2)

    await put(tokens.alice, values.changed)
    expect(await alice('get-env')).not.toContain(values.alice)
    const again = await session(tokens.alice)
    expect(await again('get-env')).toContain(values.changed)
    expect(await bob('get-env')).toContain(values.bob)

    await ask(`${gateway.url}/api/v1/servers/everything/credential`, tokens.alice, { method: 'DELETE' })
    await soon(processes).toBe(1)
    expect(await again('get-env')).not.toContain(values.changed)
    expect(await bob('get-env')).toContain(values.bob)
  })
})
