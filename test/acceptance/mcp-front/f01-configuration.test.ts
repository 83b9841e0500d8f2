import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knock, openRoom, type Room, shapeText } from './room.ts'

const DEV_TOKEN = 'my-secure-dev-token'
const ENV = { DEV_TOKEN, DATABASE_URL: 'postgresql://localhost/devdb' }

let room: Room

beforeAll(async () => {
  room = await openRoom(
    'config.dev.json',
    'tokens-by-server.json',
    'service-auths.json',
    'transports.json',
    'tool-filters.json',
    'mcp-proxy.json',
    'oauth.json',
  )
})

afterAll(async () => {
  await room?.close()
})

describe('F1 the development example', () => {
  it('F1 starts unchanged with -config, and lets its tokens in and nobody else', async () => {
    // The port of the document may be taken on this machine; the file stays as it is.
    const gateway = await room.serve(['-config', 'config.dev.json', '-addr', '127.0.0.1:0'], ENV)
    const initialize = (token: string | null) => knock(gateway.url, token)
    const answer = await initialize(DEV_TOKEN)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      result: { protocolVersion: '2025-11-25', serverInfo: { name: 'Development MCP Proxy' } },
    })
    expect((await initialize('test-token-456')).status).toBe(200)
    // The default of a token whose variable is set does not count.
    for (const other of ['dev-token-123', 'my-secure-dev-token2', '$env:DEV_TOKEN|dev-token-123'])
      expect((await initialize(other)).status).toBe(401)
    expect((await initialize(null)).status).toBe(401)

    // The document's own requests: the endpoint of all servers, and that of one.
    const listen = async (path: string, token: string): Promise<number> => {
      const events = await fetch(`${gateway.url}${path}`, {
        headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
        signal: AbortSignal.timeout(20_000),
      })
      await events.body?.cancel()
      if (events.ok) expect(events.headers.get('content-type')).toMatch(/^text\/event-stream/)
      return events.status
    }
    for (const path of ['/sse', '/database/sse', '/files/sse']) {
      expect(await listen(path, DEV_TOKEN)).toBe(200)
      expect(await listen(path, 'dev-token-123')).toBe(401)
    }
    expect(await listen('/database/sse', 'test-token-456')).toBe(200)
    expect(await listen('/files/sse', 'test-token-456')).toBe(403)
    expect(await listen('/nothing/sse', DEV_TOKEN)).toBe(404)
    expect(await readFile(room.path('config.dev.json'), 'utf8')).toBe(await shapeText('config.dev.json'))
  })

  it('F1 is understood as it was meant', async () => {
    const { code, stdout } = await room.run(['config', 'check', '--config', 'config.dev.json', '--json'], ENV)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      dialect: 'mcp-front',
      address: ':8080',
      base_url: 'http://localhost:8080',
      authentication: true,
      tokens: ['dev', 'test'],
      mcp_servers: [
        { name: 'database', target: 'http://postgres-mcp:3000/sse', tokens: ['dev', 'test'] },
        { name: 'files', transport: 'stdio', target: 'node', tokens: ['dev'] },
      ],
    })
  })

  it('F1 allows comments, and a comma too many', async () => {
    const text = (await shapeText('config.dev.json'))
      .replace('"version"', '// how it began\n  "version"')
      .replace('"authTokens": ["dev"]', '"authTokens": ["dev"], /* nobody else */')
    await room.write('commented.json', text)
    expect((await room.run(['config', 'check', '--config', 'commented.json'], ENV)).code).toBe(0)
  })
})

describe('F1 the other published shapes', () => {
  it.each<[string, Record<string, string>, string]>([
    [
      'tokens-by-server.json',
      { STOCK_TOKEN: 'the-token-of-the-stock', STOCK_DATABASE_URL: 'x', STOCK_KEY: 'k' },
      'the-token-of-the-stock',
    ],
    [
      'service-auths.json',
      { ORDERS_TOKEN: 'the-token-of-the-orders', LEGACY_PASSWORD: 'p' },
      'the-token-of-the-orders',
    ],
    [
      'transports.json',
      { DEV_TOKEN: 'transports-own-token', EVENTS_KEY: 'k', STREAMABLE_URL: 'https://s.example.com/mcp' },
      'transports-own-token',
    ],
    ['tool-filters.json', {}, 'tool-filters-dev-token'],
    ['mcp-proxy.json', { GITHUB_TOKEN: 'g' }, 'mcp-proxy-default-0001'],
  ])('F1 %s starts, and its tokens authenticate', async (name, env, token) => {
    const gateway = await room.serve(
      ['-config', name, '-addr', '127.0.0.1:0', '-data-dir', `data-${name}`],
      env,
    )
    expect((await knock(gateway.url, token)).status).toBe(200)
    expect((await knock(gateway.url, `${token}x`)).status).toBe(401)
    await gateway.stop()
    for (const value of Object.values(env).filter((secret) => secret.length > 1))
      expect(gateway.stderr() + gateway.stdout()).not.toContain(value)
  })

  it('F1 what needs signing in is refused with what is not there yet', async () => {
    const { code, stderr } = await room.run(['-config', 'oauth.json'], { GOOGLE_CLIENT_SECRET: 'hunter2' })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /proxy\.auth\.kind {2}is not available in this version: Postern does not sign people in yet/,
    )
    expect(stderr).not.toContain('hunter2')
  })
})
