import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isObject, type Params } from '../../src/lib/json-rpc.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import {
  openStream,
  plainEvents,
  type PlainClient,
  plainSession,
  plainStateless,
  post,
} from '../support/plain-client.ts'
import { UNRULY } from '../support/upstreams/stdio-upstreams.ts'
import { rawSessionMcp, type RawMcp } from '../support/upstreams/raw-mcp.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))
const ALICE = 'a-token-of-alice-of-the-tests-of-callers'
const MALLORY = 'a-token-of-mallory-of-the-tests-of-callers'

let gateway: RunningGateway
let http: RawMcp
beforeAll(async () => {
  http = await rawSessionMcp(() => false, { session: 'the-only-one' })
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          alice: { value: ALICE, level: 'read-write' },
          mallory: { value: MALLORY, level: 'read-write' },
        },
      },
      mcpServers: {
        stdio: { command: process.execPath, args: [LAX] },
        asks: { command: process.execPath, args: [UNRULY] },
        http: { url: http.url, transport: 'streamable' },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await http.close()
})

const as = (token: string, client: PlainClient): Record<string, string> => ({
  ...client.headers,
  authorization: `Bearer ${token}`,
})

describe.each(['stdio', 'http', 'http again', 'all'])('a session that somebody else opened: %s', (which) => {
  const [server = ''] = which.split(' ')
  const url = (): string => `${gateway.url}${server === 'all' ? '' : `/${server}`}/mcp`
  test('is not there, to whatever is asked of it', async () => {
    const hers = await plainSession(url(), ALICE)
    const stolen = as(MALLORY, hers)
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }
    expect((await post(url(), stolen, list)).status).toBe(404)
    expect((await post(url(), stolen, { jsonrpc: '2.0', id: 'x', result: {} })).status).toBe(404)
    expect((await openStream(url(), stolen)).status).toBe(404)
    expect((await openStream(url(), { ...stolen, 'last-event-id': '0.0' })).status).toBe(404)
    const ended = await fetch(url(), { method: 'DELETE', headers: stolen })
    expect(ended.status).toBe(404)
    // Nor is hers known at another place.
    const elsewhere = `${gateway.url}${server === 'stdio' ? '' : '/stdio'}/mcp`
    expect((await post(elsewhere, hers.headers, list)).status).toBe(404)
    expect((await hers.request('tools/list')).status).toBe(200)
  })
})

test('the address of somebody else’s stream of 2024-11-05 takes no messages', async () => {
  const hers = await plainEvents(`${gateway.url}/stdio/sse`, ALICE)
  const path = /data: ?(\S+)/.exec(hers.stream.text())?.[1] ?? ''
  const stolen = await post(
    new URL(path, gateway.url).href,
    { authorization: `Bearer ${MALLORY}` },
    { jsonrpc: '2.0', id: 1, method: 'tools/list' },
  )
  expect(stolen.status).toBe(404)
  hers.stream.close()
})

test('the requestState of somebody else’s call is none, and hers goes on', async () => {
  const url = `${gateway.url}/asks/mcp`
  const capabilities = { roots: {} }
  const [alice, mallory] = [
    plainStateless(url, ALICE, capabilities),
    plainStateless(url, MALLORY, capabilities),
  ]
  const args = { method: 'roots/list' }
  const asked = await alice.call('ask', args)
  const { requestState, inputRequests } = asked.result ?? {}
  expect(requestState).toBeTypeOf('string')
  const keys = Object.keys(isObject(inputRequests) ? inputRequests : {})
  const inputResponses: Params = Object.fromEntries(keys.map((key) => [key, { roots: [] }]))
  const again = { params: { requestState, inputResponses } }
  expect((await mallory.call('ask', args, again)).code).toBe('invalid_request')
  // Bound to what was asked, and to the place.
  expect((await alice.call('ask', { method: 'sampling/createMessage' }, again)).code).toBe('invalid_request')
  expect(
    (await plainStateless(`${gateway.url}/mcp`, ALICE, capabilities).call('asks__ask', args, again)).code,
  ).toBe('invalid_request')
  expect((await alice.call('ask', args, again)).code).toBe('ok')
  expect((await alice.call('ask', args, again)).code).toBe('invalid_request')
})

test('names do not lead to another server', async () => {
  const client = await plainSession(`${gateway.url}/mcp`, ALICE)
  for (const name of [
    'stdio__',
    '__open',
    'STDIO__open',
    'stdio__\u0000open',
    'stdio__open\u0000',
    'stdio__open ',
    'stdio__ open',
    'stdio__open\n',
    '__proto__',
    'constructor',
    'stdio__constructor',
  ])
    expect((await client.call(name)).raw, name).not.toContain('ran open')
  for (const path of [
    '/STDIO/mcp',
    '/stdio./mcp',
    '/%73tdio/mcp',
    '/stdio%2Fmcp',
    '/__proto__/mcp',
    '/constructor/mcp',
    '/stdio/../asks/mcp',
    '//stdio/mcp',
  ])
    expect(
      (
        await post(`${gateway.url}${path}`, as(ALICE, client), {
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/list',
        })
      ).status,
      path,
    ).toBeGreaterThanOrEqual(400)
})
