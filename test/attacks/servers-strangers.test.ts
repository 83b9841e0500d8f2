import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { openStream, plainSession, post } from '../support/plain-client.ts'
import { rawSessionMcp, type RawMcp, result } from '../support/upstreams/raw-mcp.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))
const ALICE = 'a-token-of-alice-of-the-tests-of-strangers'
const MALLORY = 'a-token-of-mallory-of-the-tests-of-strangers'

let gateway: RunningGateway
let http: RawMcp
beforeAll(async () => {
  const tasks = [{ taskId: 'of-alice', status: 'completed' }]
  http = await rawSessionMcp((message, response) => {
    switch (message.method) {
      case 'initialize':
        response.setHeader('mcp-session-id', `s-${Math.random()}`)
        return result(response, message, {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
          serverInfo: { name: 'raw', version: '1' },
        })
      case 'tasks/list':
        return result(response, message, { tasks })
      case 'tasks/result':
        return result(response, message, { content: [{ type: 'text', text: 'the salary of alice' }] })
      default:
        return false
    }
  })
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          alice: { value: ALICE, level: 'read-write' },
          mallory: { value: MALLORY, level: 'read-write' },
        },
      },
      mcpServers: {
        shared: { command: process.execPath, args: [LAX], process: 'shared' },
        http: { url: http.url, transport: 'streamable' },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await http.close()
})

const quiet = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a server that keeps its tasks for whoever calls it, which is Postern for all', () => {
  test('shows nobody those of others: in a shared process', async () => {
    const alice = await plainSession(`${gateway.url}/shared/mcp`, ALICE)
    const made = await alice.call('open', { salary: 1 }, { params: { task: { ttl: 60_000 } } })
    const mallory = await plainSession(`${gateway.url}/shared/mcp`, MALLORY)
    const listed = await mallory.request('tasks/list')
    expect(listed).toMatchObject({ code: 'rpc:-32601' })
    // Whoever does not pass the wish on gets the answer instead.
    expect(made.text).toMatch(/^ran open/)
  })

  test.each(['application/json', 'application/json, text/event-stream'])(
    'over HTTP, accepting %s',
    async (accept) => {
      const base = { authorization: `Bearer ${MALLORY}`, accept, 'mcp-protocol-version': '2025-11-25' }
      const params = {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'm', version: '1' },
      }
      const opened = await post(`${gateway.url}/http/mcp`, base, {
        jsonrpc: '2.0',
        id: 0,
        method: 'initialize',
        params,
      })
      expect(opened.code).toBe('ok')
      expect(opened.raw).not.toContain('"tasks"')
      const session = { ...base, 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
      for (const [method, more] of [
        ['tasks/list', {}],
        ['tasks/result', { taskId: 'of-alice' }],
        ['tasks/get', { taskId: 'of-alice' }],
        ['tasks/cancel', { taskId: 'of-alice' }],
      ] as const) {
        const answer = await post(`${gateway.url}/http/mcp`, session, {
          jsonrpc: '2.0',
          id: 1,
          method,
          params: more,
        })
        expect(answer, method).toMatchObject({ code: 'rpc:-32601' })
        expect(answer.raw).not.toContain('alice')
      }
    },
  )
})

describe('a shared process', () => {
  test('tells nobody of resources that only others subscribed to', async () => {
    const alice = await plainSession(`${gateway.url}/shared/mcp`, ALICE)
    const mallory = await plainSession(`${gateway.url}/shared/mcp`, MALLORY)
    const hers = await openStream(`${gateway.url}/shared/mcp`, alice.headers)
    const heard = await openStream(`${gateway.url}/shared/mcp`, mallory.headers)
    await alice.request('resources/subscribe', { uri: 'file:///home/alice/diagnosis.txt' })
    for (const uri of ['', 'f', 'file:///', 'file:///home/alice'])
      await mallory.request('resources/subscribe', { uri })
    await alice.call('touch', { uri: 'file:///home/alice/diagnosis.txt' })
    await expect.poll(() => hers.text()).toContain('diagnosis')
    await mallory.request('ping')
    await quiet(50)
    expect(heard.text()).not.toContain('diagnosis')
    hers.close()
    heard.close()
  })

  test('shows nobody the log messages of a call that somebody else began', async () => {
    const alice = await plainSession(`${gateway.url}/shared/mcp`, ALICE)
    const mallory = await plainSession(`${gateway.url}/shared/mcp`, MALLORY)
    await mallory.request('logging/setLevel', { level: 'debug' })
    // Alice's call is answered, and what it began tells of itself while only Mallory has a call running.
    await alice.call('work', { what: 'diagnosis of alice', ms: 300 })
    const mine = await mallory.call('wait', { ms: 600 })
    expect(mine.raw).not.toContain('diagnosis')
  })
})
