import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type PlainClient, plainSession, plainStateless } from '../support/plain-client.ts'

const DEEP = fileURLToPath(new URL('../support/upstreams/deep-server.ts', import.meta.url))
const TOKEN = 'a-token-of-the-tests-of-deep-servers'
const CAPABILITIES = { elicitation: { form: {} } }

let http: ChildProcess
let gateway: RunningGateway

beforeAll(async () => {
  http = spawn(process.execPath, [DEEP, '--http'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(http.stdout as NonNullable<typeof http.stdout>, 'data')) as [Buffer]
  const url = `http://127.0.0.1:${port.toString().trim()}/`
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      mcpServers: {
        piped: { command: process.execPath, args: [DEEP], timeout: '5s' },
        web: { url, transport: 'streamable', timeout: '5s' },
      },
    },
    admin: TOKEN,
  })
})
afterAll(async () => {
  await gateway?.close()
  http?.kill()
})

const clients: readonly [string, (server: string) => Promise<PlainClient>][] = [
  ['2025-11-25', (server) => plainSession(`${gateway.url}/${server}/mcp`, TOKEN, CAPABILITIES)],
  [
    '2026-07-28',
    (server) => Promise.resolve(plainStateless(`${gateway.url}/${server}/mcp`, TOKEN, CAPABILITIES)),
  ],
]

/**
 * The parser of JSON takes any depth and the writer does not: an exception in the reader of a stream, where nobody waits
 * for a promise, would end the gateway for everybody.
 */
describe.each(clients)('a server whose messages nest 100,000 deep, for a client of %s', (_, connect) => {
  it.each(['progress', 'log', 'change', 'question'])('does not end Postern with a %s', async (kind) => {
    const client = await connect('piped')
    const outcome = await client.call('deep', { in: kind }, { params: { _meta: { progressToken: 1 } } })
    expect([outcome.code, outcome.text]).toEqual(['ok', 'done'])
    expect(outcome.raw).not.toContain('{"a":{"a":')
  })

  it('gets an error in place of such a list', async () => {
    const client = await connect('web')
    expect((await client.call('deep')).code).toBe('ok')
    expect(await client.request('tools/list')).toMatchObject({ code: 'upstream_invalid' })
    // The connection serves others still.
    expect((await client.call('deep')).code).toBe('ok')
  })
})
