import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { descendants } from '../support/children.ts'
import { type RunningGateway, servingPid, startGateway } from '../support/gateway.ts'
import { restCall } from '../support/plain-client.ts'
import { ask } from '../support/postern.ts'
import { soon } from '../support/soon.ts'
import { isAlive, UNRULY } from '../support/upstreams/stdio-upstreams.ts'
import { type Bystander, watch } from './bystander.ts'

const TOKEN = 'a-token-of-the-tests-of-lost-servers'
const CONNECT_TIMEOUT_MS = 2_000

/** What each address does with whoever connects, and what callers and operators are told of it. */
const LOST: Readonly<Record<string, { readonly code: RegExp; readonly problem: RegExp }>> = {
  refuses: { code: /^503 upstream_unavailable$/, problem: /ECONNREFUSED|refused/ },
  // Connections are accepted, and nothing is ever said.
  mute: { code: /^50[34] upstream_(?:unavailable|timeout)$/, problem: /did not|in time|within/ },
  'half-a-head': { code: /^50[234] upstream_\w+$/, problem: /./ },
  hangs_up: { code: /^503 upstream_unavailable$/, problem: /./ },
  'no-http': { code: /^502 upstream_invalid$|^503 upstream_unavailable$/, problem: /./ },
  'no-tls': { code: /^503 upstream_unavailable$/, problem: /TLS|SSL|certificate/i },
  redirects: { code: /^502 upstream_invalid$/, problem: /redirect/ },
  'no-mcp': { code: /^502 upstream_invalid$/, problem: /url/ },
  forbids: { code: /^503 upstream_unavailable$/, problem: /401|credential/ },
  'dies-at-once': { code: /^503 upstream_unavailable$/, problem: /exit code 3/ },
  'no-command': { code: /^503 upstream_unavailable$/, problem: /ENOENT/ },
}

let gateway: RunningGateway
let bystander: Bystander
const closers: (() => Promise<void>)[] = []

/** A TCP server that treats each connection as told. */
async function listen(treat: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    treat(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

async function serveHttp(status: number, headers: Record<string, string>, body: string): Promise<string> {
  const server = createHttpServer((_request, response) => response.writeHead(status, headers).end(body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
}

let redirectedTo = 0

beforeAll(async () => {
  const at = (port: number): string => `http://127.0.0.1:${port}/mcp`
  const free = await listen(() => {})
  await closers.pop()?.()
  const target = await listen((socket) => {
    redirectedTo += 1
    socket.destroy()
  })
  const urls: Readonly<Record<string, string>> = {
    refuses: at(free),
    mute: at(await listen(() => {})),
    'half-a-head': at(await listen((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-ty'))),
    hangs_up: at(await listen((socket) => socket.once('data', () => socket.destroy()))),
    'no-http': at(await listen((socket) => socket.end('SSH-2.0-something\r\n\r\n'))),
    'no-tls': `https://127.0.0.1:${await listen((socket) => socket.end('this is no handshake'))}/mcp`,
    redirects: await serveHttp(307, { location: at(target) }, ''),
    'no-mcp': await serveHttp(200, { 'content-type': 'text/html' }, '<html>a-page-of-somebody</html>'),
    forbids: await serveHttp(401, { 'www-authenticate': 'Bearer' }, '{"error":"a-word-of-the-server"}'),
  }
  gateway = await startGateway({
    admin: TOKEN,
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'admin' } } },
      aggregate: { listTimeout: '1s' },
      mcpServers: {
        calm: { command: process.execPath, args: [UNRULY] },
        ...Object.fromEntries(
          Object.entries(urls).map(([name, url]) => [
            name,
            { url, connectTimeout: CONNECT_TIMEOUT_MS, timeout: 2_000 },
          ]),
        ),
        'dies-at-once': { command: process.execPath, args: [UNRULY, '--exit'] },
        'no-command': { command: '/no/such/program' },
      },
    },
  })
  bystander = watch(gateway.url, TOKEN, {
    path: '/mcp/tools/calm__echo',
    json: { text: 'still here' },
    right: /^200 .*still here/,
  })
  await bystander.answered(5)
})
afterAll(async () => {
  await gateway?.close()
  for (const close of closers) await close()
})

interface Shown {
  readonly name: string
  readonly state: string
  readonly problem: string | null
  readonly retry_at: string | null
  readonly restarts: number
}

const shown = async (): Promise<readonly Shown[]> => {
  const { body } = await ask(`${gateway.url}/api/v1/admin/servers`, TOKEN)
  return (body as { servers: Shown[] }).servers
}

describe('F10 a server that cannot be reached', () => {
  it('the caller is told in time, the operator is told why', async () => {
    const all = Object.keys(LOST).map(
      async (name) => [name, await restCall(gateway.url, TOKEN, `${name}__anything`)] as const,
    )
    for (const [name, { status, code, text, ms, raw, retryAfter }] of await Promise.all(all)) {
      expect(`${status} ${code}`, name).toMatch(LOST[name]?.code ?? /^$/)
      expect(text, name).toContain(name)
      // `hangs_up` and its like are told at once; silence after the time that connecting has.
      expect(ms, name).toBeLessThan(CONNECT_TIMEOUT_MS + 5_000)
      expect(raw, name).not.toMatch(/a-page-of-somebody|a-word-of-the-server|127\.0\.0\.1:\d/)
      if (retryAfter !== null) expect(Number(retryAfter), name).toBeGreaterThan(0)
    }
    const servers = await shown()
    for (const [name, { problem }] of Object.entries(LOST)) {
      const one = servers.find((server) => server.name === name)
      expect(one?.state, name).toBe('failing')
      expect(one?.problem, name).toMatch(problem)
      expect(one?.problem, name).not.toMatch(/a-page-of-somebody|a-word-of-the-server/)
    }
    // A redirect may lead anywhere, and would take the server's credentials along.
    expect(redirectedTo).toBe(0)
  })

  it('is left alone for longer and longer, and answered for at once meanwhile', async () => {
    const waits: number[] = []
    for (let n = 0; n < 4; n += 1) {
      await soon(
        async () => (await shown()).find(({ name }) => name === 'refuses')?.retry_at ?? '9',
      ).toSatisfy((at: string) => Date.parse(at) < Date.now() || at === '9')
      await restCall(gateway.url, TOKEN, 'refuses__anything')
      const at = (await shown()).find(({ name }) => name === 'refuses')?.retry_at
      waits.push(Date.parse(at ?? '') - Date.now())
      const refused = await restCall(gateway.url, TOKEN, 'refuses__anything')
      expect(refused.code).toBe('upstream_unavailable')
      expect(Number(refused.retryAfter)).toBeGreaterThan(0)
    }
    expect(waits.at(-1)).toBeGreaterThan(2 * (waits[0] ?? 0))
  })

  it('one that dies each time it is started is not started by every request', async () => {
    // One line for each time that it died; the lines of requests name the server, too.
    const deaths = (): number =>
      gateway.log().filter(({ server, msg }) => server === 'dies-at-once' && msg !== 'Authenticated request')
        .length
    const before = deaths()
    expect(before).toBeGreaterThan(0)
    const until = performance.now() + 1_500
    let asked = 0
    while (performance.now() < until) {
      expect((await restCall(gateway.url, TOKEN, 'dies-at-once__anything')).status).toBe(503)
      asked += 1
    }
    expect(deaths() - before).toBeLessThanOrEqual(5)
    expect(asked).toBeGreaterThan(2 * (deaths() - before))
  })

  it('does not keep the others from being listed', async () => {
    const startedAt = performance.now()
    const { status, body } = await ask(`${gateway.url}/mcp/tools`, TOKEN)
    expect(status).toBe(200)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    const { tools, unavailable } = body as { tools: { name: string }[]; unavailable: { server: string }[] }
    expect(tools.some(({ name }) => name === 'calm__echo')).toBe(true)
    expect(unavailable.map(({ server }) => server).toSorted()).toEqual(Object.keys(LOST).toSorted())
  })

  it('everybody else was answered all the time, and never waited as long', async () => {
    const { failures, slowestMs, answers } = await bystander.stop()
    expect(failures).toEqual([])
    expect(answers).toBeGreaterThan(20)
    expect(slowestMs).toBeLessThan(CONNECT_TIMEOUT_MS)
  })

  it('nothing is left running when Postern stops', async () => {
    const before = descendants(servingPid(gateway.serving))
    expect((await gateway.serving.stop()).code).toBe(0)
    await soon(() => before.filter(isAlive)).toEqual([])
  })
})
