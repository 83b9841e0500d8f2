import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  EventReader,
  type McpHarness,
  mcpHarness,
  request,
  stateless,
  statelessMeta,
} from '../../test/support/mcp-harness.ts'
import { echoTool, testTool, text } from '../../test/support/tools.ts'
import { soon } from '../../test/support/soon.ts'

const mirrored = testTool({
  name: 'mirrored',
  inputSchema: {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      count: { type: 'integer', 'x-mcp-header': 'Count' },
      deep: { type: 'object', properties: { flag: { type: 'boolean', 'x-mcp-header': 'Flag' } } },
    },
  },
  run: (args) => text(JSON.stringify(args)),
})

const withoutKey = (key: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(statelessMeta).filter(([name]) => !name.endsWith(key)))

describe('the stateless revision', () => {
  let mcp: McpHarness
  beforeAll(async () => {
    mcp = await mcpHarness({ tools: [echoTool, mirrored] })
  })
  afterAll(() => mcp.close())

  it('discovers what is spoken here, for everybody alike', async () => {
    const answer = await mcp.post(...stateless('server/discover'))
    expect(answer.json.result).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
      capabilities: { tools: { listChanged: true } },
      cacheScope: 'public',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'postern', version: '0.0.0-test' } },
    })
    expect(answer.json.result?.ttlMs).toBeGreaterThan(0)
  })

  it('lists tools with a private caching hint and calls them, without a session', async () => {
    const list = await mcp.post(...stateless('tools/list'))
    expect(list.json.result).toMatchObject({
      resultType: 'complete',
      cacheScope: 'private',
      tools: [
        { name: 'echo', title: 'The echo tool', outputSchema: { type: 'object' } },
        { name: 'mirrored' },
      ],
    })
    const call = await mcp.post(...stateless('tools/call', { name: 'echo', arguments: { message: 'm' } }))
    expect(call.json.result).toEqual({
      resultType: 'complete',
      content: [{ type: 'text', text: 'm' }],
      structuredContent: { message: 'm' },
      _meta: {
        'io.modelcontextprotocol/serverInfo': expect.objectContaining({ name: 'postern' }) as unknown,
      },
    })
    expect(call.headers.has('mcp-session-id')).toBe(false)
  })

  it('takes a client that does not say what it is called', async () => {
    const [, headers] = stateless('server/discover')
    const body = request('server/discover', { _meta: withoutKey('clientInfo') })
    expect((await mcp.post(body, headers)).status).toBe(200)
  })

  it('ignores a session id, and gives none', async () => {
    const [body, headers] = stateless('tools/list')
    const answer = await mcp.post(body, { ...headers, 'mcp-session-id': 'invented' })
    expect([answer.status, answer.headers.has('mcp-session-id')]).toEqual([200, false])
  })

  it.each([
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'prompts/list',
    '__proto__',
    'constructor',
  ])('has no method %s: 404 and -32601', async (method) => {
    const answer = await mcp.post(...stateless(method, {}, 'an id'))
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([404, 'an id', -32601])
  })

  it.each([
    ['_meta', {}],
    ['the version', { _meta: withoutKey('protocolVersion') }],
    ['the capabilities', { _meta: withoutKey('clientCapabilities') }],
  ])('refuses a request without %s: 400 and -32602', async (_, params) => {
    const [, headers] = stateless('server/discover')
    const answer = await mcp.post(request('server/discover', params, 4), headers)
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([400, 4, -32602])
  })

  it('refuses a version nobody speaks: 400, -32022 and what is spoken', async () => {
    const [, headers] = stateless('server/discover')
    const _meta = { ...statelessMeta, 'io.modelcontextprotocol/protocolVersion': 'v999' }
    const answer = await mcp.post(request('server/discover', { _meta }), {
      ...headers,
      'mcp-protocol-version': 'v999',
    })
    expect([answer.status, answer.json.error?.code]).toEqual([400, -32022])
    expect(answer.json.error?.data).toMatchObject({ requested: 'v999' })
    expect(answer.json.error?.data?.supported).toContain('2026-07-28')
  })

  describe('headers that do not say what the body says: 400 and -32020', () => {
    it.each([
      ['another version', { 'mcp-protocol-version': '2025-11-25' }],
      ['an unknown version', { 'mcp-protocol-version': '2099-01-01' }],
      ['another method', { 'mcp-method': 'tools/list' }],
      ['another case of the method', { 'mcp-method': 'TOOLS/CALL' }],
      ['another name', { 'mcp-name': 'delete_everything' }],
      ['another case of the name', { 'mcp-name': 'ECHO' }],
      ['two names', { 'mcp-name': 'echo, echo' }],
      ['a Base64 name that is another one', { 'mcp-name': '=?base64?b3RoZXI=?=' }],
      ['Base64 that is broken', { 'mcp-name': '=?base64?ZWNobw?=' }],
      ['Base64 that is not UTF-8', { 'mcp-name': '=?base64?/w==?=' }],
    ])('%s', async (_, wrong) => {
      const [body, headers] = stateless('tools/call', { name: 'echo', arguments: { message: 'x' } }, 11)
      const answer = await mcp.post(body, { ...headers, ...wrong })
      expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([400, 11, -32020])
    })

    it.each(['mcp-protocol-version', 'mcp-method', 'mcp-name'])('no %s', async (name) => {
      const [body, headers] = stateless('tools/call', { name: 'echo', arguments: { message: 'x' } })
      const rest = Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name))
      const answer = await mcp.post(body, rest)
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32020])
    })

    it('but takes a name in Base64, and blanks around it', async () => {
      const [body, headers] = stateless('tools/call', { name: 'echo', arguments: { message: 'x' } })
      for (const name of ['=?base64?ZWNobw==?=', '  echo  ']) {
        expect((await mcp.post(body, { ...headers, 'mcp-name': name })).status).toBe(200)
      }
    })
  })

  describe('arguments mirrored into headers', () => {
    const call = (args: Record<string, unknown>, headers: Record<string, string>) => {
      const [body, standard] = stateless('tools/call', { name: 'mirrored', arguments: args })
      return mcp.post(body, { ...standard, ...headers })
    }

    it.each([
      ['equal text', { region: 'west' }, { 'mcp-param-region': 'west' }],
      ['Base64', { region: 'Zürich' }, { 'mcp-param-region': '=?base64?WsO8cmljaA==?=' }],
      ['an integer', { count: 42 }, { 'mcp-param-count': '42.0' }],
      ['a nested flag', { deep: { flag: true } }, { 'mcp-param-flag': 'true' }],
      ['nothing', {}, {}],
      ['null', { region: null }, {}],
      ['a header that the tool does not know', {}, { 'mcp-param-other': 'x' }],
    ])('takes %s', async (_, args, headers) => {
      expect((await call(args, headers)).status).toBe(200)
    })

    it.each([
      ['other text', { region: 'west' }, { 'mcp-param-region': 'east' }],
      ['no header', { region: 'west' }, {}],
      ['a header without an argument', {}, { 'mcp-param-region': 'west' }],
      ['a header for null', { region: null }, { 'mcp-param-region': 'west' }],
      ['another number', { count: 42 }, { 'mcp-param-count': '43' }],
      ['a number in hexadecimal', { count: 42 }, { 'mcp-param-count': '0x2a' }],
      ['a flag in capitals', { deep: { flag: true } }, { 'mcp-param-flag': 'TRUE' }],
      ['broken Base64', { region: 'west' }, { 'mcp-param-region': '=?base64?d2Vz?!?=' }],
    ])('refuses %s', async (_, args, headers) => {
      const answer = await call(args, headers)
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32020])
    })
  })

  it('has no batches, no responses, no GET and no DELETE', async () => {
    const [body, headers] = stateless('tools/list')
    const batch = await mcp.post([body], headers)
    expect([batch.status, batch.json.error?.code, 'id' in batch.json]).toEqual([400, -32600, false])
    const response = await mcp.post({ jsonrpc: '2.0', id: 1, result: {} }, headers)
    expect([response.status, response.json.error?.code]).toEqual([400, -32600])
    for (const method of ['GET', 'DELETE']) {
      const answer = await mcp.send(method, '/mcp', { ...headers, accept: 'text/event-stream' })
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
    }
  })

  it('acknowledges a notification, unless its header lies', async () => {
    const note = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }
    const headers = { 'mcp-protocol-version': '2026-07-28' }
    expect((await mcp.post(note, headers)).status).toBe(202)
    expect((await mcp.post(note, { ...headers, 'mcp-method': 'tools/call' })).status).toBe(400)
  })

  it('serves a body that names an older revision in _meta by that revision', async () => {
    const _meta = { ...statelessMeta, 'io.modelcontextprotocol/protocolVersion': '2025-11-25' }
    const answer = await mcp.post(request('tools/list', { _meta }), { 'mcp-protocol-version': '2025-11-25' })
    expect(answer.status).toBe(200)
    expect(answer.json.result).not.toHaveProperty('resultType')
  })

  describe('subscriptions/listen', () => {
    const listen = async (notifications: unknown, name: string, id: unknown = 'sub') => {
      const [body, headers] = stateless('subscriptions/listen', { notifications }, id)
      return await fetch(`${mcp.url}/mcp`, {
        method: 'POST',
        headers: { ...headers, authorization: `Bearer token-${name}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    }
    const tagged = { _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } }

    it('says first what it will tell, then tells of another grant and ends', async () => {
      const response = await listen({ toolsListChanged: true, promptsListChanged: true }, 'listener')
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      expect(response.headers.get('x-accel-buffering')).toBe('no')
      const events = new EventReader(response)
      expect(await events.json()).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { ...tagged, notifications: { toolsListChanged: true } },
      })
      mcp.regrant('listener', { level: 'admin' })
      expect(await events.json()).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/tools/list_changed',
        params: tagged,
      })
      expect(await events.json()).toEqual({
        jsonrpc: '2.0',
        id: 'sub',
        result: { resultType: 'complete', ...tagged },
      })
      expect(await events.next()).toBeUndefined()
    })

    it('tells nothing that was not asked for', async () => {
      const events = new EventReader(await listen({ promptsListChanged: true }, 'quiet'))
      expect((await events.json()).params).toEqual({ ...tagged, notifications: {} })
      mcp.endpoint.toolsChanged()
      mcp.revoke('quiet')
      expect((await events.json()).result).toMatchObject({ resultType: 'complete' })
      expect(await events.next()).toBeUndefined()
    })

    it('ends at once when the credential ends', async () => {
      const events = new EventReader(await listen({ toolsListChanged: true }, 'revoked'))
      await events.next()
      mcp.revoke('revoked')
      expect((await events.json()).id).toBe('sub')
      expect(await events.next()).toBeUndefined()
      expect((await listen({}, 'revoked')).status).toBe(401)
    })

    it('forgets a listener that went away', async () => {
      const events = new EventReader(await listen({ toolsListChanged: true }, 'leaver'))
      await events.next()
      const held = mcp.lifelines.size
      await events.cancel()
      await soon(() => mcp.lifelines.size).toBe(held - 1)
    })

    it('refuses what is no filter, and a client that takes no streams', async () => {
      const wrong = await listen('everything', 'reader')
      expect(await wrong.json()).toMatchObject({ error: { code: -32602 } })
      const [body, headers] = stateless('subscriptions/listen', { notifications: {} })
      expect((await mcp.post(body, { ...headers, accept: 'application/json' })).status).toBe(406)
    })
  })
})

it('bounds the streams of one credential', async () => {
  const mcp = await mcpHarness({ limits: { sessionsPerCredential: 3 } })
  const open: Response[] = []
  for (let count = 0; count < 4; count += 1) {
    const [body, headers] = stateless('subscriptions/listen', { notifications: {} }, count)
    open.push(
      await fetch(`${mcp.url}/mcp`, {
        method: 'POST',
        headers: { ...headers, authorization: 'Bearer token-reader', 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    )
  }
  expect(open.map(({ status }) => status)).toEqual([200, 200, 200, 429])
  expect(open[3]?.headers.get('retry-after')).toBe('1')
  await mcp.close()
})
