import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type Outcome, plainSession, post } from '../../support/plain-client.ts'
import { ask } from '../../support/postern.ts'
import { type UnrulyHttp, unrulyHttp } from '../../support/unruly-http.ts'
import { UNRULY } from '../../support/upstreams/stdio-upstreams.ts'
import { type Call, connectWay, WAY_NAMES, type WayName, WAYS } from '../../support/ways.ts'

const word = (what: string): string => `${what}-${randomBytes(16).toString('hex')}`

/** What clients show to Postern: none of it may reach a server. */
const clients = { token: word('client-token'), cookie: word('client-cookie'), key: word('client-key') }
const admin = word('admin-token')
/** Postern's own, which no server may see. */
const own = { environment: word('own-environment'), model: word('own-model-key') }
/** What servers are shown by Postern: nobody else may see it. */
const servers = {
  header: word('server-header'),
  environment: word('server-environment'),
  clientSecret: word('server-client-secret'),
  accessToken: word('server-access-token'),
  query: word('server-query'),
}

/** The token endpoint of the servers' authorization server. */
async function tokenEndpoint(): Promise<{ url: string; asked: string[]; close(): Promise<void> }> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      asked.push(JSON.stringify([request.headers, body]))
      const token = { access_token: servers.accessToken, token_type: 'Bearer', expires_in: 3_600 }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(token))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    asked,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const HTTP_WAYS = WAY_NAMES.filter((way) => WAYS[way].server !== 'stdio')
const OAUTH_WAYS = [
  'streamable-direct',
  'stateless-session',
  'sse-session',
] as const satisfies readonly WayName[]

let gateway: RunningGateway
let endpoint: Awaited<ReturnType<typeof tokenEndpoint>>
const http = new Map<WayName, UnrulyHttp>()
const calls = new Map<WayName, Call>()
/** What everybody was told by Postern while it was busy. */
const replies: string[] = []
let log = ''
let audit = ''
const files = new Map<string, string>()

const isOauth = (way: WayName): boolean => OAUTH_WAYS.some((one) => one === way)

beforeAll(async () => {
  endpoint = await tokenEndpoint()
  await Promise.all(
    HTTP_WAYS.map(async (way) => {
      const { server } = WAYS[way]
      if (server !== 'stdio') http.set(way, await unrulyHttp(server))
    }),
  )
  const stdio = { command: process.execPath, args: [UNRULY], env: { API_KEY: servers.environment } }
  const reach = (way: WayName): object => {
    const running = http.get(way)
    if (!running) return stdio
    const url = `${running.url}?key=${servers.query}`
    return isOauth(way)
      ? {
          url,
          clientCredentials: {
            tokenUrl: endpoint.url,
            clientId: 'postern',
            clientSecret: servers.clientSecret,
          },
        }
      : { url, headers: { Authorization: `Bearer ${servers.header}`, 'X-Api-Key': '$env:SERVER_HEADER' } }
  }
  gateway = await startGateway({
    admin,
    env: {
      POSTERN_LOG_LEVEL: 'debug',
      SERVER_HEADER: servers.header,
      SOME_PASSWORD: own.environment,
      MODEL_KEY: own.model,
    },
    configuration: {
      auth: {
        tokens: {
          root: { value: admin, level: 'admin' },
          client: { value: clients.token, level: 'read-write' },
        },
      },
      model: { baseUrl: 'http://127.0.0.1:1/v1', apiKey: '$env:MODEL_KEY', model: 'none' },
      mcpServers: Object.fromEntries(WAY_NAMES.map((way) => [way, { ...reach(way), timeout: '2s' }])),
    },
  })
  await busy()
}, 90_000)
afterAll(async () => {
  await gateway?.close()
  await Promise.all([...http.values()].map((one) => one.stop()))
  await endpoint?.close()
})

const keep = (outcome: Outcome): Outcome => {
  replies.push(outcome.raw, outcome.text)
  return outcome
}

/** Everything that a server can be brought to say of a request, and every way in which it fails. */
async function busy(): Promise<void> {
  await Promise.all(
    WAY_NAMES.map(async (way) => {
      const call = await connectWay(gateway.url, clients.token, way)
      calls.set(way, call)
      expect(keep(await call('echo', { text: way })).code, way).toBe('ok')
      // On the stream of a session an error can only be an answer, which is for the caller.
      const unanswered = WAYS[way].server === 'sse' ? ['page'] : ['indiscreet', 'page', 'garbage']
      for (const tool of http.has(way) ? unanswered : []) keep(await call(tool))
      // Its standard error and its babble repeat what it was given.
      if (!http.has(way)) keep(await call('blab'))
    }),
  )
  // A client that shows more than it has to.
  const more = {
    cookie: `session=${clients.cookie}`,
    'x-api-key': clients.key,
    'proxy-authorization': clients.key,
  }
  for (const way of ['streamable-direct', 'stateless-direct', 'streamable-stateless'] as const) {
    const client = await plainSession(`${gateway.url}/${way}/mcp`, clients.token)
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } }
    keep(await post(`${gateway.url}/${way}/mcp`, { ...client.headers, ...more }, message))
  }
  for (const path of [
    '/api/v1/admin/servers',
    ...WAY_NAMES.map((way) => `/api/v1/admin/servers/${way}`),
    '/api/v1/openapi.json',
    '/metrics',
  ])
    replies.push(JSON.stringify((await ask(`${gateway.url}${path}`, admin)).body))
  for (const args of [
    ['config', 'check'],
    ['config', 'check', '--json'],
    ['server', 'list', '--json'],
  ]) {
    const said = await gateway.postern(args)
    replies.push(said.stdout, said.stderr)
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  audit = JSON.stringify((await ask(`${gateway.url}/api/v1/admin/audit?limit=1000`, admin)).body)
  const data = join(gateway.dir, '.postern')
  for (const name of await readdir(data)) files.set(name, await readFile(join(data, name), 'latin1'))
  log = gateway.serving.stderr() + gateway.serving.stdout()
}

const leaks = (place: string, secrets: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(secrets).flatMap(([name, value]) =>
    [value, Buffer.from(value).toString('base64').slice(0, 24), encodeURIComponent(value)].some((one) =>
      place.includes(one),
    )
      ? [name]
      : [],
  )

describe('F11 what a server is shown', () => {
  it.each(HTTP_WAYS)('F11 is nothing that the client showed, and nothing of Postern’s own (%s)', (way) => {
    const received = http.get(way)?.received() ?? ''
    expect(received).toContain(String.raw`\"name\":\"echo\"`)
    expect(leaks(received, { ...clients, admin, ...own })).toEqual([])
  })

  it.each(HTTP_WAYS.filter((way) => !isOauth(way)))('F11 is its own credential, each time (%s)', (way) => {
    const seen = http.get(way)?.seen ?? []
    expect(seen.length).toBeGreaterThan(2)
    for (const { headers, url } of seen) {
      expect(headers['authorization']).toBe(`Bearer ${servers.header}`)
      expect(headers['x-api-key']).toBe(servers.header)
      if (WAYS[way].server !== 'sse') expect(url).toContain(`key=${servers.query}`)
    }
  })

  it.each(OAUTH_WAYS)('F11 is a token that Postern fetched for it, each time (%s)', (way) => {
    for (const { headers } of http.get(way)?.seen ?? [])
      expect(headers['authorization']).toBe(`Bearer ${servers.accessToken}`)
  })

  it('F11 the token endpoint is shown the client secret, and nothing of clients', () => {
    expect(endpoint.asked.length).toBeGreaterThanOrEqual(OAUTH_WAYS.length)
    expect(leaks(endpoint.asked.join('\n'), { ...clients, admin, ...own })).toEqual([])
  })

  it.each(['stdio-session', 'stdio-stateless'] as const)('F11 is its own environment (%s)', async (way) => {
    const { text } = (await calls.get(way)?.('environment')) ?? { text: '' }
    expect(JSON.parse(text)).toMatchObject({ API_KEY: servers.environment })
    expect(leaks(text, { ...clients, admin, ...own, header: servers.header })).toEqual([])
    expect(Object.keys(JSON.parse(text) as object).filter((name) => name.startsWith('POSTERN_'))).toEqual([])
  })
})

describe('F11 what a server is shown is seen by nobody else', () => {
  it('F11 not in what Postern answers, also when the server repeats it in an error', () => {
    expect(replies.length).toBeGreaterThan(40)
    expect(replies.join('\n')).toContain('upstream_invalid')
    expect(leaks(replies.join('\n'), servers)).toEqual([])
  })

  it('F11 not in the log, also when the server prints it', () => {
    expect(log).toContain('"level":"DEBUG"')
    expect(log).toContain('[API_KEY]')
    expect(leaks(log, { ...servers, ...clients, admin, ...own })).toEqual([])
  })

  it('F11 not in the record', () => {
    expect(audit).toContain('streamable-direct')
    expect(leaks(audit, { ...servers, ...clients, admin, ...own })).toEqual([])
  })

  it('F11 not in any file of the data directory', () => {
    expect([...files.keys()]).toEqual(expect.arrayContaining(['postern.db', 'running.json']))
    for (const [name, text] of files)
      expect(leaks(text, { ...servers, ...clients, admin, ...own }), name).toEqual([])
  })

  it('F11 what a server says of itself in its own answer is for its caller, and for nobody’s log', async () => {
    for (const way of ['streamable-stateless', 'streamable-direct'] as const) {
      const { code, text } = (await calls.get(way)?.('tells-in-error')) ?? { code: '', text: '' }
      expect(code).toBe('rpc:-32000')
      expect(text).not.toContain(clients.token)
    }
    const after = gateway.serving.stderr()
    expect(leaks(after, { ...servers, ...clients, admin, ...own })).toEqual([])
    const record = JSON.stringify((await ask(`${gateway.url}/api/v1/admin/audit?limit=1000`, admin)).body)
    expect(leaks(record, { ...servers, ...clients, admin, ...own })).toEqual([])
  })
})
