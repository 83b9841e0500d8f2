import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { fixtureCommand } from '../../../test/support/fixture-upstream.ts'
import {
  EventReader,
  initialize,
  type McpHarness,
  mcpHarness,
  request,
} from '../../../test/support/mcp-harness.ts'
import { servedUpstreams } from '../../../test/support/served-upstreams.ts'
import { BOTH, serverClient, type ServerClient, toolCall } from '../../../test/support/server-client.ts'
import { httpTransport, sessionClient } from '../../../test/support/session-client.ts'
import { soon } from '../../../test/support/soon.ts'

const FIXTURE = fixtureCommand({ transport: 'stdio', revision: '2025-11-25' })
const served = servedUpstreams({
  fixture: FIXTURE,
  other: FIXTURE,
  unruly: {
    command: process.execPath,
    args: [fileURLToPath(new URL('../../../test/support/upstreams/unruly-server.ts', import.meta.url))],
  },
  broken: { command: process.execPath, args: ['-e', 'process.exit(3)'] },
})
let mcp: McpHarness
let fixture: ServerClient
beforeAll(async () => {
  mcp = await mcpHarness({ backends: served.make })
  mcp.regrant('stranger', { servers: [] })
  fixture = serverClient(mcp, 'fixture')
})
afterAll(async () => {
  await mcp.close()
  await served.close()
})

const conversations = (): number => served.upstreams().find('fixture')?.status().conversations ?? -1

const ELICITATION = { elicitation: {} }

describe('addresses of servers', () => {
  it('of unknown names are 404, whatever is sent', async () => {
    const nowhere = serverClient(mcp, 'nowhere')
    for (const body of [request('tools/list'), '{broken']) {
      const answer = await nowhere.post(body)
      expect([answer.status, answer.json.error?.code]).toEqual([404, 404])
      expect(answer.json.error?.data).toMatchObject({ code: 'not_found', rule: 'server' })
    }
    expect((await nowhere.get()).status).toBe(404)
    expect((await mcp.send('GET', '/nowhere/sse')).status).toBe(404)
  })

  it('name to nobody what they may not use', async () => {
    const answer = await serverClient(mcp, 'nowhere').post(request('tools/list'), {}, 'stranger')
    expect(answer.status).toBe(404)
    expect(answer.text).not.toMatch(/fixture|other|broken/)
  })

  it('that are not for a caller are 403, whatever is sent', async () => {
    for (const body of [request('tools/list'), '{broken']) {
      const answer = await fixture.post(body, {}, 'stranger')
      expect([answer.status, answer.json.error?.code]).toEqual([403, 403])
      expect(answer.json.error?.data).toMatchObject({ code: 'server_not_allowed' })
    }
  })

  it('work with a slash at their end', async () => {
    const response = await fetch(`${mcp.url}/fixture/mcp/`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-reader', 'content-type': 'application/json' },
      body: JSON.stringify(request('ping')),
    })
    expect(await response.json()).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
  })

  it('are in the log by their pattern, with the server beside it', async () => {
    await fixture.post(request('ping'))
    await serverClient(mcp, 'made-up').post(request('ping'))
    const lines = () =>
      mcp.observations.flatMap((seen) =>
        seen.kind === 'request' ? [[seen.route, seen.server, seen.status]] : [],
      )
    await soon(() => lines()).toContainEqual(['/{server}/mcp', 'fixture', 200])
    await soon(() => lines()).toContainEqual(['/{server}/mcp', undefined, 404])
  })
})

describe('sessions with a server', () => {
  it('are unknown at another server, at the address of all, and to another credential', async () => {
    const session = await fixture.open('2025-11-25')
    expect((await fixture.post(request('tools/list'), session)).status).toBe(200)
    expect((await serverClient(mcp, 'other').post(request('tools/list'), session)).status).toBe(404)
    expect((await mcp.post(request('tools/list'), session)).status).toBe(404)
    expect((await fixture.post(request('tools/list'), session, 'another')).status).toBe(404)
  })

  it('end with DELETE, and with them what was held for them', async () => {
    const before = conversations()
    const session = await fixture.open('2025-11-25')
    expect(conversations()).toBe(before + 1)
    const gone = await mcp.send('DELETE', '/fixture/mcp', session)
    expect(gone.status).toBe(204)
    await soon(conversations).toBe(before)
    expect((await fixture.post(request('ping'), session)).status).toBe(404)
  })

  it('end with their credential, and with them what was held for them', async () => {
    const before = conversations()
    await fixture.open('2025-11-25', {}, 'leaver')
    expect(conversations()).toBe(before + 1)
    mcp.revoke('leaver')
    await soon(conversations).toBe(before)
  })

  it('are answered in the revision that was asked for', async () => {
    for (const version of ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']) {
      const answer = await fixture.post(
        request('initialize', {
          protocolVersion: version,
          capabilities: {},
          clientInfo: { name: 'c', version: '1' },
        }),
      )
      expect(answer.json.result).toMatchObject({
        protocolVersion: version,
        serverInfo: { name: expect.any(String) as unknown },
      })
      const info = answer.json.result?.serverInfo as Record<string, unknown>
      expect('icons' in info).toBe(version >= '2025-11-25' && 'icons' in info)
    }
  })

  it('are not opened for a server that cannot be reached: 503, with the reason', async () => {
    const broken = serverClient(mcp, 'broken')
    const before = mcp.endpoint.counts().sessions
    const answer = await broken.post(
      request('initialize', {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'c', version: '1' },
      }),
    )
    expect(answer.status).toBe(503)
    expect(answer.json).toMatchObject({
      id: 1,
      error: { code: -32603, data: { code: 'upstream_unavailable' } },
    })
    expect(answer.json.error?.message).toContain('broken')
    expect(answer.headers.has('mcp-session-id')).toBe(false)
    expect(mcp.endpoint.counts().sessions).toBe(before)
  })
})

describe('requests without a session', () => {
  it('are answered as to a client that can be asked nothing', async () => {
    const list = await fixture.post(request('tools/list'))
    expect(list.json.result).toMatchObject({ tools: expect.arrayContaining([expect.anything()]) as unknown })
    const call = await fixture.post(toolCall('test_simple_text'))
    expect(call.json.result).toMatchObject({ content: [{ type: 'text' }] })
    const asking = await fixture.post(toolCall('test_elicitation', { message: 'who?' }))
    expect(asking.json.result).toMatchObject({ isError: true })
  })

  it('in batches are answered in 2025-03-26, and in no other revision', async () => {
    const batch = [request('ping', {}, 'a'), toolCall('test_simple_text', {}, 'b')]
    const answer = await fixture.post(batch, { 'mcp-protocol-version': '2025-03-26' })
    expect(answer.json).toMatchObject([
      { id: 'a', result: {} },
      { id: 'b', result: { content: [{}] } },
    ])
    expect((await fixture.post(batch, { 'mcp-protocol-version': '2025-06-18' })).status).toBe(400)
  })

  it('of methods that do not exist are -32601', async () => {
    for (const method of [
      'tasks/list',
      'nothing',
      'constructor',
      'subscriptions/listen',
      'server/discover',
    ]) {
      expect((await fixture.post(request(method))).json.error?.code).toBe(-32601)
    }
  })
})

describe('replies', () => {
  it('are JSON until something is said before the answer', async () => {
    const session = await fixture.open('2025-11-25')
    const plain = await fixture.stream(toolCall('test_simple_text'), session)
    expect(plain.headers.get('content-type')).toBe('application/json')
    await plain.text()
    const told = await fixture.stream(
      toolCall('test_tool_with_progress', {}, 7, { progressToken: 'mine' }),
      session,
    )
    expect(told.headers.get('content-type')).toContain('text/event-stream')
    const events = new EventReader(told)
    expect(await events.next()).toMatchObject({ data: '' })
    expect(await events.json()).toMatchObject({
      method: 'notifications/progress',
      params: { progressToken: 'mine', progress: 0 },
    })
    await events.json()
    await events.json()
    expect(await events.json()).toMatchObject({ id: 7, result: {} })
    expect(await events.next()).toBeUndefined()
  })

  it('are JSON for a client that does not name streams', async () => {
    const session = await fixture.open('2025-11-25')
    for (const accept of ['*/*', 'application/json']) {
      const call = toolCall('test_tool_with_progress', {}, 7, { progressToken: 1 })
      const answer = await fixture.post(call, { ...session, accept })
      expect(answer.json).toMatchObject({ id: 7, result: {} })
    }
  })

  it('have no event without data before 2025-11-25', async () => {
    const session = await fixture.open('2025-06-18')
    const call = toolCall('test_tool_with_progress', {}, 7, { progressToken: 1 })
    const events = new EventReader(await fixture.stream(call, session))
    const first = await events.next()
    expect(first?.data).toContain('notifications/progress')
    expect(first?.id).toMatch(/^\w+\.\w+$/)
    await events.cancel()
  })
})

describe('a broken stream', () => {
  it('is resumed from the last event, and the call goes on meanwhile', async () => {
    const session = await fixture.open('2025-11-25', ELICITATION)
    const connection = new AbortController()
    const call = toolCall('test_elicitation', { message: 'who are you?' }, 'asked')
    const events = new EventReader(await fixture.stream(call, session, connection.signal))
    const prime = await events.next()
    const question = await events.json()
    expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'who are you?' } })
    connection.abort()

    const again = new EventReader(await fixture.get({ ...session, 'last-event-id': prime?.id ?? '' }))
    await again.next()
    expect(await again.json()).toEqual(question)
    const answer = { action: 'accept', content: { username: 'me', email: 'me@example.org' } }
    const taken = await fixture.post({ jsonrpc: '2.0', id: question.id, result: answer }, session)
    expect(taken.status).toBe(202)
    const result = await again.json()
    expect(result.id).toBe('asked')
    expect(JSON.stringify(result.result)).toContain('me@example.org')
    expect(await again.next()).toBeUndefined()
  })

  it('can be asked for again when the answer was sent already', async () => {
    const session = await fixture.open('2025-06-18')
    const call = toolCall('test_tool_with_progress', {}, 'told', { progressToken: 1 })
    const events = new EventReader(await fixture.stream(call, session))
    const first = await events.next()
    while ((await events.next()) !== undefined);
    const again = new EventReader(await fixture.get({ ...session, 'last-event-id': first?.id ?? '' }))
    expect(await again.json()).toMatchObject({ id: 'told', result: {} })
    expect(await again.next()).toBeUndefined()
  })

  it('is not resumed from an event that never was, or of another session', async () => {
    const session = await fixture.open('2025-11-25')
    for (const id of ['zz.1', 'nonsense', '', '0', '../1']) {
      expect((await fixture.get({ ...session, 'last-event-id': id })).status).toBe(400)
    }
    const other = await fixture.open('2025-06-18')
    const call = toolCall('test_tool_with_progress', {}, 1, { progressToken: 1 })
    const events = new EventReader(await fixture.stream(call, other))
    const id = (await events.next())?.id ?? ''
    await events.cancel()
    expect((await fixture.get({ ...session, 'last-event-id': id })).status).toBe(400)
  })
})

describe('a client that does not come back', () => {
  it('within a minute has given up its call', async () => {
    const clock = manualClock()
    const upstreams = servedUpstreams({ fixture: FIXTURE })
    const other = await mcpHarness({ backends: upstreams.make, clock })
    const client = serverClient(other, 'fixture')
    const session = await client.open('2025-11-25', ELICITATION)
    const connection = new AbortController()
    const call = toolCall('test_elicitation', { message: 'who are you?' }, 'asked')
    const events = new EventReader(await client.stream(call, session, connection.signal))
    const prime = await events.next()
    await events.next()
    connection.abort()
    const running = () => upstreams.upstreams().find('fixture')?.status().running
    await soon(() => other.endpoint.counts().streams).toBe(0)
    clock.advance(45_000)
    expect(running()).toBe(1)
    clock.advance(45_000)
    await soon(running).toBe(0)
    expect((await client.get({ ...session, 'last-event-id': prime?.id ?? '' })).status).toBe(400)
    expect((await client.post(toolCall('test_simple_text'), session)).status).toBe(200)
    await other.close()
    await upstreams.close()
  })
})

describe('the transport of 2024-11-05', () => {
  it('has one session on its stream, which begins with initialize', async () => {
    const stream = await mcp.send('GET', '/fixture/sse', { accept: 'text/event-stream' })
    const events = new EventReader(stream)
    const endpoint = await events.next()
    expect(endpoint).toMatchObject({ event: 'endpoint' })
    expect(endpoint?.data).toMatch(/^\/fixture\/message\?sessionId=/)
    const post = async (body: unknown, name = 'reader', at = endpoint?.data ?? ''): Promise<number> => {
      const response = await fetch(`${mcp.url}${at}`, {
        method: 'POST',
        headers: { authorization: `Bearer token-${name}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      await response.text()
      return response.status
    }
    expect(await post(request('tools/list', {}, 'early'))).toBe(202)
    expect(await events.json()).toMatchObject({ id: 'early', error: { code: -32600 } })
    await post(initialize('2024-11-05'))
    expect(await events.json()).toMatchObject({ id: 1, result: { protocolVersion: '2024-11-05' } })
    await post(initialize('2024-11-05'))
    expect(await events.json()).toMatchObject({ id: 1, error: { code: -32600 } })
    await post(toolCall('test_audio_content', {}, 'sound'))
    expect(await events.json()).toMatchObject({
      id: 'sound',
      result: { content: [{ type: 'resource', resource: { mimeType: 'audio/wav' } }] },
    })
    expect(await post(request('ping'), 'another')).toBe(404)
    const elsewhere = (endpoint?.data ?? '').replace('/fixture/', '/other/')
    expect(await post(request('ping'), 'reader', elsewhere)).toBe(404)
    await events.cancel()
    await soon(() => post(request('ping'))).toBe(404)
  })
})

describe('questions of the server', () => {
  it('are answered by nobody else', async () => {
    const session = await fixture.open('2025-11-25', ELICITATION)
    const call = toolCall('test_elicitation', { message: 'who?' }, 'asked')
    const events = new EventReader(await fixture.stream(call, session))
    await events.next()
    const { id } = await events.json()
    expect(String(id)).toMatch(/^[\w-]{22}$/)
    const wrong = { jsonrpc: '2.0', id, result: { action: 'accept', content: { username: 'thief' } } }
    expect((await fixture.post(wrong, session, 'another')).status).toBe(404)
    const own = await fixture.open('2025-11-25', ELICITATION)
    expect((await fixture.post(wrong, own)).status).toBe(202)
    expect((await fixture.post(wrong)).status).toBe(202)
    const right = { jsonrpc: '2.0', id, result: { action: 'decline' } }
    await fixture.post(right, session)
    const answer = JSON.stringify(await events.json())
    expect(answer).toContain('decline')
    expect(answer).not.toContain('thief')
    // Answered once, it is over.
    expect((await fixture.post(right, session)).status).toBe(202)
  })

  it('go where the server speaks first when the reply is no stream', async () => {
    const session = await fixture.open('2025-11-25', ELICITATION)
    const news = new EventReader(await fixture.get(session))
    await news.next()
    const call = fixture.post(toolCall('test_elicitation', { message: 'who?' }), session)
    const { id, method } = await news.json()
    expect(method).toBe('elicitation/create')
    await fixture.post({ jsonrpc: '2.0', id, error: { code: -1, message: 'not now' } }, session)
    expect((await call).json.result).toMatchObject({ isError: true })
    await news.cancel()
  })

  it('wait for the stream where the server speaks first', async () => {
    const session = await fixture.open('2025-11-25', ELICITATION)
    const call = fixture.post(toolCall('test_elicitation', { message: 'who?' }), session)
    const news = new EventReader(await fixture.get(session))
    await news.next()
    const { id } = await news.json()
    await fixture.post({ jsonrpc: '2.0', id, result: { action: 'cancel' } }, session)
    expect(JSON.stringify((await call).json.result)).toContain('cancel')
    await news.cancel()
  })

  it('are taken back when their call is cancelled', async () => {
    const session = await fixture.open('2025-11-25', ELICITATION)
    const call = toolCall('test_elicitation', { message: 'who?' }, 'mine')
    const events = new EventReader(await fixture.stream(call, session))
    await events.next()
    const { id } = await events.json()
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine' } }
    await fixture.post(cancel, session)
    const rest: unknown[] = []
    for (let event = await events.next(); event; event = await events.next())
      rest.push(JSON.parse(event.data))
    expect(rest.length === 0 || JSON.stringify(rest).includes(String(id))).toBe(true)
    expect(JSON.stringify(rest)).not.toContain('"mine"')
  })
})

describe('a server that ends', () => {
  it('in the middle of a call is 503; the next call of the same session begins anew', async () => {
    const unruly = serverClient(mcp, 'unruly')
    const session = await unruly.open('2025-11-25')
    const news = new EventReader(await unruly.get(session))
    await news.next()
    const hanging = unruly.post(toolCall('hang'), { ...session, accept: BOTH })
    await soon(() => served.upstreams().find('unruly')?.status().running).toBe(1)
    const crashed = await unruly.post(toolCall('crash', {}, 2), session)
    for (const answer of [crashed, await hanging]) {
      expect([answer.status, answer.json.error?.code]).toEqual([503, -32603])
      expect(answer.json.error?.data).toMatchObject({ code: 'upstream_unavailable' })
    }
    const next = async () => (await unruly.post(toolCall('echo', { a: 1 }), session)).json.result
    await soon(next).toEqual({ content: [{ type: 'text', text: '{"a":1}' }] })
    // Its lists may be others now.
    expect(await news.json()).toMatchObject({ method: 'notifications/tools/list_changed' })
    await news.cancel()
  })

  it('tells SDK clients why, in words', async () => {
    const client = new Client({ name: 'c', version: '1' })
    const target = { url: `${mcp.url}/unruly/mcp`, headers: { authorization: 'Bearer token-sdk' } }
    await client.connect(httpTransport(target))
    await expect(client.callTool({ name: 'crash' })).rejects.toThrow(/MCP server .*unruly.*/)
    await client.close()
    await expect(
      sessionClient('2025-11-25', httpTransport({ ...target, url: `${mcp.url}/broken/mcp` })),
    ).rejects.toThrow(/broken/)
  })
})
