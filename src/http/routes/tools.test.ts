import { beforeEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { callerOf, controlParts, plainTools } from '../../../test/support/http-parts.ts'
import { sdkServer, type SdkTool } from '../../../test/support/sdk-server.ts'
import type { Caller } from '../../identity/caller.ts'

const PNG = 'iVBORw0KGgo='

const TOOLS: readonly SdkTool[] = [
  { name: 'picture', run: () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }) },
  {
    name: 'measure',
    run: () => ({ content: [{ type: 'text', text: '{"cm":4}' }], structuredContent: { cm: 4 } }),
  },
  {
    name: 'chart',
    run: () => ({
      content: [
        { type: 'text', text: 'a chart' },
        { type: 'image', data: PNG, mimeType: 'image/png' },
      ],
      structuredContent: { points: 3 },
    }),
  },
  { name: 'fail', run: () => ({ content: [{ type: 'text', text: 'no such page' }], isError: true }) },
  {
    name: 'ask',
    run: async (_args, server) => {
      await server.elicitInput({ message: 'Sure?', requestedSchema: { type: 'object', properties: {} } })
      return { content: [] }
    },
  },
]

let parts: ReturnType<typeof controlParts>

beforeEach(() => {
  parts = controlParts(manualClock(), plainTools, [
    { name: 'wiki', make: () => sdkServer({ name: 'wiki', tools: TOOLS }) },
    { name: 'other', make: () => sdkServer({ name: 'other', tools: [{ name: 'now' }] }) },
  ])
})

async function ask(
  path: string,
  json?: unknown,
  caller: Caller = callerOf('read-write'),
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> }> {
  const response = await parts.app.request(
    path,
    json === undefined
      ? {}
      : { method: 'POST', body: JSON.stringify(json), headers: { 'content-type': 'application/json' } },
    {
      caller,
      requestId: 'req-1',
      remoteAddress: '192.0.2.1',
      baseUrl: 'https://gate.example.org',
      begin() {
        throw new Error('no reply of this test is that long')
      },
      credentialShown: true,
      signal: new AbortController().signal,
      note: () => undefined,
    },
  )
  const body = (await response.json()) as Record<string, unknown>
  return { status: response.status, headers: response.headers, body }
}

const call = (tool: string, args: unknown = {}) => ask(`/mcp/tools/${tool}`, args)

describe('the result of a server, over REST', () => {
  it('is its structure alone where the content is only its text', async () => {
    expect(await call('wiki__measure')).toMatchObject({ status: 200, body: { cm: 4 } })
  })

  it('has its content where there is more, and the structure beside it', async () => {
    expect((await call('wiki__picture')).body).toEqual({
      content: [{ type: 'image', data: PNG, mimeType: 'image/png' }],
    })
    expect((await call('wiki__chart')).body).toMatchObject({
      content: [{ type: 'text' }, { type: 'image', data: PNG }],
      structured_content: { points: 3 },
    })
  })

  it('says when the tool says that it failed', async () => {
    expect(await call('wiki__fail')).toMatchObject({
      status: 200,
      body: { content: [{ type: 'text', text: 'no such page' }], is_error: true },
    })
  })

  it('is a refusal in the words of the server where it answers with an error', async () => {
    expect(await call('wiki__nothing')).toMatchObject({
      status: 400,
      body: {
        code: 'invalid_arguments',
        rule: 'upstream',
        message: expect.stringContaining('nothing') as string,
      },
    })
    // The server asks its client something, and there is nobody who could answer.
    const answer = await call('wiki__ask')
    expect([answer.status, answer.body['code']]).toEqual([422, 'tool_failed'])
  })

  it('is a fault with a clear sentence where the server is away', async () => {
    parts.upstreams.set('wiki', 'dead')
    const answer = await call('wiki__measure')
    expect(answer).toMatchObject({
      status: 503,
      body: { error: 'unavailable', code: 'upstream_unavailable', message: 'The MCP server is away.' },
    })
    expect(answer.headers.get('retry-after')).toBe('1')
  })

  it('keeps one conversation for the calls of a credential, with the servers it calls and no others', async () => {
    await call('wiki__measure')
    await call('wiki__measure')
    expect([parts.upstreams.begun('wiki'), parts.upstreams.begun('other')]).toEqual([1, 0])
  })
})

describe('the list of all tools, over REST', () => {
  it('has those of servers behind the own ones', async () => {
    const { body } = await ask('/mcp/tools')
    const tools = body['tools'] as { name: string; server: string; title: string }[]
    expect(tools.map(({ name, server }) => [name, server]).slice(-7)).toEqual([
      ['scoped', 'postern'],
      ['wiki__ask', 'wiki'],
      ['wiki__chart', 'wiki'],
      ['wiki__fail', 'wiki'],
      ['wiki__measure', 'wiki'],
      ['wiki__picture', 'wiki'],
      ['other__now', 'other'],
    ])
    expect(tools.at(-1)).toEqual({
      name: 'other__now',
      title: 'now',
      description: 'now of other',
      level: 'read-write',
      scopes: [],
      input_schema: { type: 'object' },
      annotations: {},
      server: 'other',
    })
    expect(body).not.toHaveProperty('unavailable')
  })

  it('names the servers that are away', async () => {
    parts.upstreams.set('other', 'dead')
    const { status, body } = await ask('/mcp/tools')
    expect(status).toBe(200)
    expect(body['unavailable']).toEqual([
      { server: 'other', code: 'upstream_unavailable', message: 'The MCP server is away.' },
    ])
  })

  it('shows a caller nothing that it may not call', async () => {
    const { body } = await ask('/mcp/tools', undefined, callerOf('read-write', { servers: ['other'] }))
    expect(JSON.stringify(body)).toContain('other__now')
    expect(JSON.stringify(body)).not.toContain('wiki')
    expect((await ask('/mcp/tools', undefined, callerOf('read-only'))).body['tools']).toHaveLength(
      plainTools.filter(({ rule }) => rule.level === 'read-only').length,
    )
  })
})
