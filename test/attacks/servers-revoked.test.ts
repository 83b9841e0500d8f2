import { fileURLToPath } from 'node:url'
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type IssuedToken, type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, plainEvents, plainSession, plainStateless, restCall } from '../support/plain-client.ts'
import { ask } from '../support/postern.ts'
import { event, events, rawSessionMcp, type RawMcp, rawStatelessMcp } from '../support/upstreams/raw-mcp.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))

let gateway: RunningGateway
let session: RawMcp
let stateless: RawMcp
const flowing = new Set<ServerResponse>()

/** A stream that says something all the time. */
const flow = (response: ServerResponse): true => {
  flowing.add(events(response))
  const timer = setInterval(
    () =>
      response.write(
        event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } }),
      ),
    10,
  )
  response.on('close', () => {
    clearInterval(timer)
    flowing.delete(response)
  })
  return true
}

beforeAll(async () => {
  session = await rawSessionMcp((message, response) => message.method === 'tools/call' && flow(response), {
    session: 'one',
    other: (response, { method }) => method === 'GET' && flow(response),
  })
  stateless = await rawStatelessMcp(
    ({ method }, response) =>
      (method === 'tools/call' || method === 'subscriptions/listen') && flow(response),
  )
  gateway = await startGateway({
    configuration: {
      mcpServers: {
        session: { url: session.url, transport: 'streamable' },
        stateless: { url: stateless.url, transport: 'stateless' },
        stdio: { command: process.execPath, args: [LAX] },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await session.close()
  await stateless.close()
})

test('nothing outlives its credential by more than a tenth of a second', async () => {
  const { id, token }: IssuedToken = await gateway.issue({ note: 'short', level: 'read-write' })
  const at = (server: string) => `${gateway.url}/${server}/mcp`
  const ends: Promise<[string, number]>[] = []
  const until = (what: string, end: Promise<unknown>): void => {
    ends.push(end.then(() => [what, performance.now()]))
  }

  await plainSession(at('session'), token)
  const direct = await plainSession(at('session'), token)
  expect(direct.session).toContain('.')
  until('a call of a direct session', direct.call('slow'))
  until('the stream of a direct session', (await openStream(at('session'), direct.headers)).ended)
  const single = plainStateless(at('stateless'), token)
  await single.request('tools/list')
  until('a direct call', single.call('slow'))
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const params = { notifications: { toolsListChanged: true }, _meta }
  for (const path of ['stateless/mcp', 'stdio/mcp', 'mcp']) {
    const stream = await openStream(
      `${gateway.url}/${path}`,
      { ...single.headers, 'mcp-method': 'subscriptions/listen' },
      { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params },
    )
    expect(stream.status).toBe(200)
    until(`listening at ${path}`, stream.ended)
  }
  const stdio = await plainSession(at('stdio'), token)
  until('a call over stdio', stdio.call('wait', { ms: 20_000 }))
  until('the stream of a session over stdio', (await openStream(at('stdio'), stdio.headers)).ended)
  const older = await plainEvents(`${gateway.url}/stdio/sse`, token)
  until('the stream of 2024-11-05', older.stream.ended)
  const all = await plainSession(`${gateway.url}/mcp`, token)
  until('a call among all servers', all.call('stdio__wait', { ms: 20_000 }))
  until('the stream among all servers', (await openStream(`${gateway.url}/mcp`, all.headers)).ended)
  until('a call over REST', restCall(gateway.url, token, 'stdio__wait', { ms: 20_000 }))
  const show = async (server: string): Promise<Record<string, unknown>> =>
    (await ask(`${gateway.url}/api/v1/admin/servers/${server}`, gateway.admin)).body as Record<
      string,
      unknown
    >
  await expect.poll(async () => (await show('stdio'))['running']).toBe(3)
  expect((await show('stdio'))['processes']).toBeGreaterThan(0)

  const revoked = await ask(`${gateway.url}/api/v1/admin/tokens/${id}`, gateway.admin, { method: 'DELETE' })
  expect(revoked.status).toBe(200)
  const then = performance.now()
  const late = (await Promise.all(ends)).filter(([, endedAt]) => endedAt - then > 100)
  expect(late).toEqual([])
  // The servers hear of it as soon as their sockets are read.
  await expect.poll(() => flowing.size).toBe(0)
  for (const server of ['stdio', 'session', 'stateless'])
    expect(await show(server)).toMatchObject({ conversations: 0, running: 0, processes: 0 })
})
