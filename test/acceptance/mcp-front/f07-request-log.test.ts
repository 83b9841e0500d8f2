import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FixtureProcess, fixtureProcess } from '../../support/fixture-upstream.ts'
import { type Answer, ask, type Serving } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { type LogLine, logOf, openRoom, type Room } from './room.ts'

const token = 'f7-development-token-0123456789'
const other = 'f7-production-token-0123456789'

let room: Room
let fixture: FixtureProcess
let gateway: Serving

beforeAll(async () => {
  fixture = await fixtureProcess({ revision: '2024-11-05', transport: 'sse' })
  room = await openRoom()
  // The shape of the document, with the address of a server that is there.
  const config = {
    version: '1.0',
    proxy: {
      name: 'Development MCP Proxy',
      addr: '127.0.0.1:0',
      auth: { kind: 'bearer_token', tokens: { development: token, production: other } },
    },
    mcpServers: { database: { url: fixture.url, authTokens: ['development'] } },
  }
  await room.write('config.json', JSON.stringify(config))
  gateway = await room.serve(['-config', 'config.json', '-addr', '127.0.0.1:0'])
}, 60_000)
afterAll(async () => {
  await room?.close()
  await fixture?.stop()
})

const initialize = (path: string, shown: string): Promise<Answer> =>
  ask(`${gateway.url}${path}`, shown, {
    json: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    },
    headers: { accept: 'application/json, text/event-stream' },
  })

const idOf = ({ headers }: Answer): string => headers.get('x-request-id') ?? ''
const linesOf = (answer: Answer): readonly LogLine[] =>
  logOf(gateway).filter((line) => line['request_id'] === idOf(answer))

describe('F7 the request log', () => {
  it('F7 has one JSON line for an authenticated request, with the document’s fields and more', async () => {
    const answer = await initialize('/database/mcp', token)
    expect(answer.status).toBe(200)
    await soon(() => linesOf(answer)).toHaveLength(1)
    const [line] = linesOf(answer)
    expect(line).toMatchObject({
      level: 'INFO',
      msg: 'Authenticated request',
      token_name: 'development',
      server: 'database',
      method: 'POST',
      route: '/{server}/mcp',
      status: 200,
      duration_ms: expect.any(Number),
    })
    // RFC 3339, in UTC.
    expect(line?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('F7 has exactly one line for each of many requests, refused ones included', async () => {
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, () => initialize('/database/mcp', token)),
      initialize('/database/mcp', other),
      initialize('/mcp', token),
      ask(`${gateway.url}/mcp/tools`, token),
      ask(`${gateway.url}/database/mcp`, token, { method: 'PUT', json: {} }),
      ask(`${gateway.url}/nowhere/mcp`, token, { json: {} }),
    ])
    await soon(() => answers.map((answer) => linesOf(answer).length)).toEqual(answers.map(() => 1))
    for (const answer of answers) {
      expect(linesOf(answer)[0]).toMatchObject({ msg: 'Authenticated request', status: answer.status })
    }
    const refused = answers[20] as Answer
    expect(refused.status).toBe(403)
    expect(linesOf(refused)[0]).toMatchObject({ token_name: 'production', code: 'server_not_allowed' })
  })

  it('F7 names the server of a call to all servers as one, and of one over REST', async () => {
    const session = (await initialize('/mcp', token)).headers.get('mcp-session-id') ?? ''
    const call = (name: string, shown = token) =>
      ask(`${gateway.url}/mcp`, shown, {
        json: { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: {} } },
        headers: { accept: 'application/json, text/event-stream', 'mcp-session-id': session },
      })
    const rest = (name: string, shown = token) => ask(`${gateway.url}/mcp/tools/${name}`, shown, { json: {} })
    const used = [await call('database__test_simple_text'), await rest('database__test_simple_text')]
    const others = [
      await call('nowhere__tool'),
      await rest('nowhere__tool'),
      await rest('list_databases'),
      // It may not use the server, so its lines are not those of the server.
      await rest('database__test_simple_text', other),
    ]
    await soon(() => [...used, ...others].map((answer) => linesOf(answer).length)).toEqual([1, 1, 1, 1, 1, 1])
    expect(used.map(({ status }) => status)).toEqual([200, 200])
    for (const answer of used) expect(linesOf(answer)[0]).toMatchObject({ server: 'database' })
    for (const answer of others) expect(linesOf(answer)[0]).not.toHaveProperty('server')
  })

  it('F7 has a line for an event stream when it ends', async () => {
    const gone = new AbortController()
    const stream = await fetch(`${gateway.url}/database/sse`, {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
      signal: gone.signal,
    })
    expect(stream.status).toBe(200)
    const id = stream.headers.get('x-request-id')
    const lines = (): readonly LogLine[] => logOf(gateway).filter((line) => line['request_id'] === id)
    expect(lines()).toEqual([])
    gone.abort()
    await soon(lines).toMatchObject([
      { server: 'database', method: 'GET', route: '/{server}/sse', status: 200 },
    ])
  })

  it('F7 calls nobody authenticated who is not', async () => {
    const answer = await initialize('/database/mcp', 'f7-wrong-token-0123456789')
    expect(answer.status).toBe(401)
    await soon(() => linesOf(answer).filter(({ msg }) => msg === 'Request')).toHaveLength(1)
    expect(linesOf(answer).some(({ msg }) => msg === 'Authenticated request')).toBe(false)
    expect(linesOf(answer).every((line) => line['token_name'] === undefined)).toBe(true)
  })

  it('F3 names tokens in metrics, never their values', async () => {
    const add = 'token add --note prometheus --scope metrics:read --expiry 1d --config config.json --json'
    const added = await room.run(add.split(' '))
    const scraper = (JSON.parse(added.stdout) as { token: string }).token
    const { status, body } = await ask(`${gateway.url}/metrics`, scraper)
    expect(status).toBe(200)
    const text = String(body)
    expect(text).toMatch(/^postern_token_requests_total\{token_name="development",server="database"\} \d+$/m)
    expect(text).toMatch(
      /^postern_http_requests_total\{route="\/\{server\}\/mcp",method="POST",status="2xx"\} \d+$/m,
    )
    expect(text).toMatch(/^postern_upstream_up\{server="database"\} 1$/m)
    expect(text).not.toContain('nowhere')
    for (const secret of [token, other, scraper, fixture.url]) {
      expect(text).not.toContain(secret)
      expect(gateway.stderr()).not.toContain(secret)
    }
  })
})
