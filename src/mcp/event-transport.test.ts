import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  EventReader,
  initialize,
  type McpHarness,
  mcpHarness,
  request,
} from '../../test/support/mcp-harness.ts'
import { echoTool, testTool, text } from '../../test/support/tools.ts'
import { STREAM_BUFFER_BYTES } from './event-stream.ts'
import { soon } from '../../test/support/soon.ts'

const BIG = 'x'.repeat(256 * 1024)
/** A result that cannot be written as JSON: a defect of a tool, not of its caller. */
const brokenTool = testTool({
  name: 'broken',
  run: () => ({ outcome: 'done', content: [], structured: { count: 1n } }),
})
const bigTool = testTool({ name: 'big', run: () => text(BIG) })

describe('HTTP with SSE (2024-11-05)', () => {
  let mcp: McpHarness
  beforeEach(async () => {
    mcp = await mcpHarness({ tools: [echoTool, bigTool, brokenTool], limits: { sessionsPerCredential: 2 } })
  })
  afterEach(() => mcp.close())

  async function open(name = 'reader') {
    const response = await mcp.send('GET', '/sse', { accept: 'text/event-stream' }, name)
    const events = new EventReader(response)
    const first = await events.next()
    return { response, events, messageUrl: first?.data ?? '', event: first?.event }
  }

  const send = (messageUrl: string, body: unknown, name = 'reader') =>
    fetch(`${mcp.url}${messageUrl}`, {
      method: 'POST',
      headers: { authorization: `Bearer token-${name}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  it('says first where to post, takes messages with 202 and answers on the stream', async () => {
    const { response, events, messageUrl, event } = await open()
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(event).toBe('endpoint')
    expect(messageUrl).toMatch(/^\/message\?sessionId=[\w-]{32}$/)
    const accepted = await send(messageUrl, initialize('2024-11-05'))
    expect([accepted.status, await accepted.text()]).toEqual([202, ''])
    expect((await events.json()).result).toMatchObject({ protocolVersion: '2024-11-05' })
    await send(messageUrl, { jsonrpc: '2.0', method: 'notifications/initialized' })
    await send(messageUrl, request('tools/list', {}, 'list'))
    const list = await events.json()
    expect(list).toMatchObject({
      id: 'list',
      result: { tools: [{ name: 'big' }, { name: 'broken' }, { name: 'echo' }] },
    })
    const echo = (list.result?.tools as object[] | undefined)?.[2] ?? {}
    expect(Object.keys(echo).sort()).toEqual(['description', 'inputSchema', 'name'])
    await send(messageUrl, request('tools/call', { name: 'echo', arguments: { message: 'm' } }, 3))
    expect(await events.json()).toEqual({
      jsonrpc: '2.0',
      id: 3,
      result: { content: [{ type: 'text', text: 'm' }] },
    })
    await events.cancel()
  })

  it('speaks a later revision with a client that asks for one', async () => {
    const { events, messageUrl } = await open()
    await send(messageUrl, initialize('2025-06-18'))
    expect((await events.json()).result?.protocolVersion).toBe('2025-06-18')
    await send(messageUrl, request('tools/call', { name: 'echo', arguments: { message: 'm' } }))
    expect((await events.json()).result).toHaveProperty('structuredContent')
    await events.cancel()
  })

  it('has no session for another credential, an invented id, a closed stream or a streamable session', async () => {
    const { events, messageUrl } = await open()
    const streamable = await mcp.open()
    const attempts = [
      await send(messageUrl, request('ping'), 'other'),
      await send('/message?sessionId=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', request('ping')),
      await send('/message', request('ping')),
      await send(`/message?sessionId=${streamable}`, request('ping')),
    ]
    const answers = await Promise.all(attempts.map(async (one) => `${one.status} ${await one.text()}`))
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^404 /)
    const sse = new URL(messageUrl, mcp.url).searchParams.get('sessionId') ?? ''
    expect((await mcp.post(request('ping'), { 'mcp-session-id': sse })).status).toBe(404)
    await events.cancel()
    await soon(() => mcp.endpoint.counts().streams).toBe(0)
    expect((await send(messageUrl, request('ping'))).status).toBe(404)
  })

  it('survives a result that cannot be written, and says so on the stream', async () => {
    const { events, messageUrl } = await open()
    await send(messageUrl, initialize('2025-11-25'))
    await events.json()
    await send(messageUrl, request('tools/call', { name: 'broken' }, 'b'))
    expect(await events.json()).toMatchObject({ id: 'b', error: { code: -32603 } })
    expect(mcp.observations.some(({ kind }) => kind === 'fault')).toBe(true)
    const posted = await mcp.post(request('tools/call', { name: 'broken' }, 'b'), {
      'mcp-protocol-version': '2025-11-25',
    })
    expect([posted.status, posted.json.id, posted.json.error?.code]).toEqual([500, 'b', -32603])
    await events.cancel()
  })

  it('refuses what is no message at once', async () => {
    const { events, messageUrl } = await open()
    const wrong = await send(messageUrl, { jsonrpc: '2.0', id: null, method: 'ping' })
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { error: { code: -32600 } }])
    expect((await send(messageUrl, [request('ping')])).status).toBe(400)
    await events.cancel()
  })

  it('tells of another tool list, and ends at once with the credential', async () => {
    const { events, messageUrl } = await open('leaving')
    mcp.endpoint.toolsChanged()
    expect((await events.json()).method).toBe('notifications/tools/list_changed')
    mcp.revoke('leaving')
    expect(await events.next()).toBeUndefined()
    expect((await send(messageUrl, request('ping'), 'leaving')).status).toBe(401)
    expect(mcp.endpoint.counts()).toEqual({ sessions: 0, streams: 0 })
    expect(mcp.lifelines.size).toBe(0)
  })

  it('refuses a third stream when the credential may have two, and takes it when one has gone', async () => {
    const first = await open()
    await open()
    const third = await mcp.send('GET', '/sse', { accept: 'text/event-stream' })
    expect([third.status, third.headers.get('retry-after')]).toEqual([429, '1'])
    await first.events.cancel()
    await soon(() => mcp.endpoint.counts().streams).toBe(1)
    expect((await mcp.send('GET', '/sse', { accept: 'text/event-stream' })).status).toBe(200)
  })

  it('cuts off a client that never reads, and holds only a bounded amount for it', async () => {
    const { hostname, port } = new URL(mcp.url)
    const socket = connect({ port: Number(port), host: hostname })
    let received = ''
    const endpoint = new Promise<string>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1')
        const found = /data: (\/message\S+)/.exec(received)?.[1]
        if (found === undefined) return
        // From here on this client never reads again.
        socket.pause()
        resolve(found)
      })
    })
    socket.write(
      `GET /sse HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer token-reader\r\naccept: text/event-stream\r\n\r\n`,
    )
    const messageUrl = await endpoint
    // The kernel takes some megabytes by itself; after them the stream's own bound must come.
    const enough = 16 * 1024 * 1024 + STREAM_BUFFER_BYTES
    let status = 202
    let sent = 0
    while (status === 202 && sent < enough) {
      const answer = await send(messageUrl, request('tools/call', { name: 'big', arguments: {} }))
      status = answer.status
      sent += BIG.length
    }
    expect(status).toBe(404)
    expect(mcp.endpoint.counts()).toEqual({ sessions: 0, streams: 0 })
    socket.destroy()
  })

  it('serves only GET and POST where they belong', async () => {
    const sse = await send('/sse', request('ping'))
    expect([sse.status, sse.headers.get('allow')]).toEqual([405, 'GET'])
    expect((await mcp.send('GET', '/message')).status).toBe(405)
    expect((await mcp.send('GET', '/sse', { accept: 'application/json' })).status).toBe(406)
  })
})
