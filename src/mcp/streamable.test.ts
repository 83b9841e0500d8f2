import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { initialize, type McpHarness, mcpHarness, request } from '../../test/support/mcp-harness.ts'
import { echoTool } from '../../test/support/tools.ts'

const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']

describe('streamable HTTP of the revisions with sessions', () => {
  let mcp: McpHarness
  beforeAll(async () => {
    mcp = await mcpHarness()
  })
  afterAll(() => mcp.close())

  it.each(VERSIONS)('initializes with %s and issues a session', async (version) => {
    const answer = await mcp.post(initialize(version))
    expect(answer.status).toBe(200)
    expect(answer.json.result).toMatchObject({
      protocolVersion: version,
      capabilities: { tools: { listChanged: true } },
      serverInfo: { name: 'postern', version: '0.0.0-test' },
    })
    expect(answer.headers.get('mcp-session-id')).toMatch(/^[\x21-\x7E]{32}$/)
    const info = answer.json.result?.serverInfo as Record<string, unknown>
    expect('title' in info).toBe(version >= '2025-06-18')
  })

  it.each(['1999-01-01', '2026-07-28', 'nonsense'])(
    'answers initialize with %s by the latest revision that has sessions',
    async (version) => {
      const answer = await mcp.post(initialize(version))
      expect(answer.json.result?.protocolVersion).toBe('2025-11-25')
    },
  )

  it('refuses initialize without a version', async () => {
    const answer = await mcp.post(request('initialize', {}))
    expect(answer.json.error?.code).toBe(-32602)
    expect(answer.headers.has('mcp-session-id')).toBe(false)
  })

  it('lists and calls tools without initialize, session or Accept header', async () => {
    const list = await mcp.post(request('tools/list', {}))
    expect(list.headers.get('content-type')).toBe('application/json')
    expect(list.json.result?.tools).toMatchObject([{ name: 'echo' }])
    const call = await mcp.post(request('tools/call', { name: 'echo', arguments: { message: 'hello' } }, 'a'))
    expect(call.json).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: { content: [{ type: 'text', text: 'hello' }] },
    })
  })

  it.each(VERSIONS)('tells a %s client of a tool only what that revision knows', async (version) => {
    const session = await mcp.open(version)
    const headers = { 'mcp-session-id': session }
    const list = await mcp.post(request('tools/list'), headers)
    const [tool] = (list.json.result?.tools ?? []) as [Record<string, unknown>]
    const basic = ['name', 'description', 'inputSchema']
    const expected =
      version >= '2025-06-18'
        ? [...basic, 'title', 'outputSchema', 'annotations']
        : version >= '2025-03-26'
          ? [...basic, 'annotations']
          : basic
    expect(Object.keys(tool).sort()).toEqual(expected.sort())
    const call = await mcp.post(request('tools/call', { name: 'echo', arguments: { message: 'x' } }), headers)
    expect('structuredContent' in (call.json.result ?? {})).toBe(version >= '2025-06-18')
  })

  it('answers ping, and acknowledges notifications and responses with 202 and no body', async () => {
    expect((await mcp.post(request('ping'))).json.result).toEqual({})
    for (const body of [
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', id: 7, result: {} },
      { jsonrpc: '2.0', id: 7, error: { code: 1, message: 'x' } },
    ]) {
      const answer = await mcp.post(body)
      expect([answer.status, answer.text]).toEqual([202, ''])
    }
  })

  it.each([
    'resources/list',
    'prompts/list',
    'logging/setLevel',
    'completion/complete',
    'server/discover',
    'subscriptions/listen',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ])('knows no method %s', async (method) => {
    const answer = await mcp.post(request(method, {}, 9))
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([200, 9, -32601])
  })

  it('answers on a stream of one event only to a client that takes nothing but streams', async () => {
    const streamed = await mcp.post(request('ping'), { accept: 'text/event-stream' })
    expect(streamed.headers.get('content-type')).toBe('text/event-stream')
    expect(streamed.text).toBe('event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n')
    for (const accept of ['application/json, text/event-stream', '*/*', 'text/html']) {
      const answer = await mcp.post(request('ping'), { accept })
      expect(answer.headers.get('content-type')).toBe('application/json')
    }
  })

  describe('MCP-Protocol-Version', () => {
    it.each(['2099-01-01', 'v1', '2025-11-25, 2025-11-25'])('refuses %s with 400', async (version) => {
      const answer = await mcp.post(request('ping', undefined, 5), { 'mcp-protocol-version': version })
      expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([400, 5, -32022])
      expect(answer.json.error?.data?.requested).toBe(version)
      expect(answer.json.error?.data?.supported).toContain('2025-11-25')
    })

    it('refuses another version than the session was opened with', async () => {
      const session = await mcp.open('2025-06-18')
      const answer = await mcp.post(request('ping'), {
        'mcp-session-id': session,
        'mcp-protocol-version': '2025-11-25',
      })
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32600])
    })

    it('decides what a request without a session is told', async () => {
      const modern = await mcp.post(request('tools/list'), { 'mcp-protocol-version': '2025-11-25' })
      expect(modern.json.result?.tools).toMatchObject([{ outputSchema: echoTool.outputSchema }])
    })
  })

  describe('messages that are none', () => {
    it.each([
      ['a null id', { jsonrpc: '2.0', id: null, method: 'ping' }, -32600],
      ['a fractional id', { jsonrpc: '2.0', id: 1.5, method: 'ping' }, -32600],
      ['an id beyond exact integers', { jsonrpc: '2.0', id: 2 ** 60, method: 'ping' }, -32600],
      ['an object for an id', { jsonrpc: '2.0', id: {}, method: 'ping' }, -32600],
      ['an id of a megabyte', { jsonrpc: '2.0', id: 'x'.repeat(1_000_000), method: 'ping' }, -32600],
      ['a method of a megabyte', { jsonrpc: '2.0', id: 1, method: 'x'.repeat(1_000_000) }, -32600],
      ['an empty method', { jsonrpc: '2.0', id: 1, method: '' }, -32600],
      ['no version', { id: 1, method: 'ping' }, -32600],
      ['JSON-RPC 1.0', { jsonrpc: '1.0', id: 1, method: 'ping' }, -32600],
      ['a number', 7, -32600],
      ['null', null, -32600],
      ['a list of parameters', { jsonrpc: '2.0', id: 1, method: 'ping', params: [1] }, -32602],
      ['text for parameters', { jsonrpc: '2.0', id: 1, method: 'ping', params: 'x' }, -32602],
    ])('refuses %s', async (_, body, code) => {
      const answer = await mcp.post(JSON.stringify(body))
      expect([answer.status, answer.json.error?.code]).toEqual([400, code])
      expect(answer.text.length).toBeLessThan(400)
    })

    it('refuses what is not JSON as a parse error', async () => {
      const answer = await mcp.post('{"jsonrpc":"2.0",')
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32700])
    })

    it.each([
      ['no name', { arguments: {} }],
      ['a number for a name', { name: 3 }],
      ['a name of a megabyte', { name: 'x'.repeat(1_000_000) }],
      ['a list of arguments', { name: 'echo', arguments: [] }],
      ['null for arguments', { name: 'echo', arguments: null }],
    ])('refuses a call with %s', async (_, params) => {
      const answer = await mcp.post(request('tools/call', params))
      expect([answer.status, answer.json.error?.code]).toEqual([200, -32602])
    })
  })

  describe('batches', () => {
    it('are answered in 2025-03-26, and when no version is named', async () => {
      const batch = [
        request('ping', undefined, 1),
        { jsonrpc: '2.0', method: 'notifications/initialized' },
        request('tools/call', { name: 'echo', arguments: { message: 'b' } }, 'two'),
        request('nope', undefined, 3),
        { jsonrpc: '2.0', id: null, method: 'ping' },
        initialize('2025-03-26'),
      ]
      const session = await mcp.open('2025-03-26')
      for (const headers of [{}, { 'mcp-session-id': session }]) {
        const answer = await mcp.post(batch, headers)
        expect(answer.json).toMatchObject([
          { id: 1, result: {} },
          { id: 'two', result: { content: [{ text: 'b' }] } },
          { id: 3, error: { code: -32601 } },
          { id: null, error: { code: -32600 } },
          { id: 1, error: { code: -32600 } },
        ])
        expect(answer.headers.has('mcp-session-id')).toBe(false)
      }
    })

    it('of notifications alone are acknowledged', async () => {
      const answer = await mcp.post([{ jsonrpc: '2.0', method: 'notifications/initialized' }])
      expect([answer.status, answer.text]).toEqual([202, ''])
    })

    it.each(['2024-11-05', '2025-06-18', '2025-11-25'])('are refused in %s', async (version) => {
      const answer = await mcp.post([request('ping')], { 'mcp-session-id': await mcp.open(version) })
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32600])
    })

    it.each([0, 101, 10_000])('of %i messages are refused', async (length) => {
      const answer = await mcp.post(Array.from({ length }, (_, id) => request('ping', undefined, id)))
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32600])
    })
  })

  it('serves only POST, GET and DELETE', async () => {
    const answer = await mcp.send('PUT', '/mcp')
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, GET, DELETE'])
    expect((await mcp.send('GET', '/mcp', { accept: 'text/event-stream' })).status).toBe(405)
    expect((await mcp.send('DELETE', '/mcp')).status).toBe(400)
  })

  it.each(['/mcp', '/mcp/', '/mcp/v1', '/mcp/v1/', '/_mcp'])('answers at %s', async (path) => {
    const response = await fetch(`${mcp.url}${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-reader', 'content-type': 'application/json' },
      body: JSON.stringify(request('tools/list', {})),
    })
    expect(await response.json()).toMatchObject({ result: { tools: [{ name: 'echo' }] } })
  })
})
