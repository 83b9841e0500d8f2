import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startFixture } from '../../../test/conformance/fixture/fixture.ts'
import { fixtureCommand } from '../../../test/support/fixture-upstream.ts'
import {
  type Answer,
  EventReader,
  type McpHarness,
  mcpHarness,
  stateless,
  statelessMeta,
} from '../../../test/support/mcp-harness.ts'
import { serverClient, type ServerClient } from '../../../test/support/server-client.ts'
import { servedUpstreams } from '../../../test/support/served-upstreams.ts'
import { soon } from '../../../test/support/soon.ts'
import type { Params } from '../../lib/json-rpc.ts'
import { PARKED_PER_CREDENTIAL } from './parked-calls.ts'

/** Over HTTP, where a server says which call it asks for. */
const web = await startFixture({ transport: 'http', revision: '2025-11-25' })
const served = servedUpstreams({
  fixture: fixtureCommand({ transport: 'stdio', revision: '2025-11-25' }),
  modern: fixtureCommand({ transport: 'stdio', revision: '2026-07-28' }),
  web: { url: web.url },
})
let mcp: McpHarness
let fixture: ServerClient
let modern: ServerClient
beforeAll(async () => {
  mcp = await mcpHarness({ backends: served.make })
  fixture = serverClient(mcp, 'fixture')
  modern = serverClient(mcp, 'modern')
})
afterAll(async () => {
  await mcp.close()
  await served.close()
  await web.close()
})

const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }

/** Body and headers of a request of a client that can be asked. */
function asked(
  method: string,
  params: Params = {},
  more: { id?: unknown; meta?: Params; name?: string; capabilities?: Params } = {},
): readonly [unknown, Record<string, string>] {
  const [body, headers] = stateless(method, params, more.id ?? 1)
  const { params: sent } = body as { params: Params }
  const _meta = {
    ...statelessMeta,
    'io.modelcontextprotocol/clientCapabilities': more.capabilities ?? CAPABILITIES,
    ...more.meta,
  }
  const name = more.name ?? params.name ?? params.uri
  return [
    { ...(body as object), params: { ...sent, _meta } },
    { ...headers, ...(typeof name === 'string' ? { 'mcp-name': name } : {}) },
  ]
}

const call = (name: string, args: Params = {}, more: Params = {}, id: unknown = 1) =>
  asked('tools/call', { name, arguments: args, ...more }, { id })

interface Asking {
  readonly inputRequests: Readonly<Record<string, { readonly method: string; readonly params: Params }>>
  readonly requestState: string
}

function asking({ json }: Answer): Asking {
  expect(json.result).toMatchObject({
    resultType: 'input_required',
    requestState: expect.any(String) as unknown,
  })
  return json.result as unknown as Asking
}

const WHO = { message: 'who are you?' }
const ANSWER = { action: 'accept', content: { username: 'me', email: 'me@example.org' } }

describe('a server for stateless clients', () => {
  it('is discovered with its own words, for this caller alone', async () => {
    const { json } = await fixture.post(...asked('server/discover'))
    expect(json.result).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      instructions: 'This server is here to be tested.',
      cacheScope: 'private',
    })
  })

  it('answers lists with how long they hold', async () => {
    for (const server of [fixture, modern]) {
      const { json } = await server.post(...asked('tools/list'))
      expect(json).toMatchObject({ result: { resultType: 'complete', cacheScope: 'private' } })
      expect(json.result?.ttlMs).toBeGreaterThanOrEqual(0)
    }
  })

  it.each(['ping', 'logging/setLevel', 'resources/subscribe', 'tasks/get', 'initialize', 'no/such'])(
    'has no method %s: 404 and -32601',
    async (method) => {
      const { status, json } = await fixture.post(...asked(method, { level: 'info', uri: 'test://x' }))
      expect([status, json.error?.code]).toEqual([404, -32601])
    },
  )

  it('wants the name of a prompt and the address of a resource in Mcp-Name', async () => {
    const wrong: readonly (readonly [string, Params])[] = [
      ['prompts/get', { name: 'test_simple_prompt' }],
      ['resources/read', { uri: 'test://static-text' }],
    ]
    for (const [method, params] of wrong) {
      const [body, headers] = asked(method, params, { name: 'another' })
      const answer = await fixture.post(body, headers)
      expect([answer.status, answer.json.error?.code]).toEqual([400, -32020])
      expect((await fixture.post(...asked(method, params))).status).toBe(200)
    }
  })

  it('refuses a log level that is none', async () => {
    const meta = { 'io.modelcontextprotocol/logLevel': 'loud' }
    const { json } = await fixture.post(...asked('tools/list', {}, { meta }))
    expect(json.error?.code).toBe(-32602)
  })

  it('checks the headers that a tool asks for', async () => {
    const [body, headers] = call('test_echo', { message: 'hello', region: 'eu' })
    const answers = await Promise.all([
      modern.post(body, { ...headers, 'mcp-param-region': 'eu' }),
      modern.post(body, { ...headers, 'mcp-param-region': 'us' }),
      modern.post(body, headers),
    ])
    expect(answers.map(({ status, json }) => [status, json.error?.code])).toEqual([
      [200, undefined],
      [400, -32020],
      [400, -32020],
    ])
  })
})

describe('what a server asks in a call', () => {
  it('is a result; the answer comes with the same call again', async () => {
    const { inputRequests, requestState } = asking(await fixture.post(...call('test_elicitation', WHO)))
    const [[key, question] = ['', undefined]] = Object.entries(inputRequests)
    expect(question).toMatchObject({ method: 'elicitation/create', params: WHO })
    const more = { inputResponses: { [key]: ANSWER, unasked: { roots: [] } }, requestState }
    const { json } = await fixture.post(...call('test_elicitation', WHO, more, 2))
    expect(json).toMatchObject({ id: 2, result: { resultType: 'complete' } })
    expect(JSON.stringify(json.result)).toContain('me@example.org')
  })

  it('is good for nobody else, for no other call, and once', async () => {
    const { inputRequests, requestState } = asking(await fixture.post(...call('test_elicitation', WHO)))
    const key = Object.keys(inputRequests)[0] ?? ''
    const more = { inputResponses: { [key]: ANSWER }, requestState }
    const wrong = [
      await fixture.post(...call('test_elicitation', { message: 'another' }, more)),
      await fixture.post(...call('test_sampling', WHO, more)),
      await fixture.post(...call('test_elicitation', WHO, more), 'another'),
      await modern.post(...call('test_elicitation', WHO, more)),
      await fixture.post(...call('test_elicitation', WHO, { ...more, requestState: `${requestState}x` })),
      await fixture.post(...call('test_elicitation', WHO, { ...more, requestState: 7 })),
    ]
    for (const { json } of wrong) expect(json.error).toMatchObject({ code: -32602 })
    const [body, headers] = call('test_elicitation', WHO, more)
    const both = await Promise.all([fixture.post(body, headers), fixture.post(body, headers)])
    const failed = both.flatMap(({ json }) => json.error?.code ?? [])
    expect(failed).toEqual([-32602])
  })

  it('is asked again when it is not answered', async () => {
    let waiting = asking(await fixture.post(...call('test_elicitation', WHO)))
    const key = Object.keys(waiting.inputRequests)[0] ?? ''
    for (const inputResponses of [{}, undefined, { other: {} }, { [key]: 'no object' }]) {
      const { requestState } = waiting
      waiting = asking(await fixture.post(...call('test_elicitation', WHO, { inputResponses, requestState })))
      expect(Object.keys(waiting.inputRequests)).toEqual([key])
    }
    const more = { inputResponses: { [key]: { action: 'decline' } }, requestState: waiting.requestState }
    const { json } = await fixture.post(...call('test_elicitation', WHO, more))
    expect(JSON.stringify(json.result)).toContain('decline')
  })

  it('is asked all at once when it is several things', async () => {
    const name = 'test_input_required_result_multiple_inputs'
    for (const server of [fixture, modern]) {
      const { inputRequests } = asking(await server.post(...call(name)))
      expect(
        Object.values(inputRequests)
          .map(({ method }) => method)
          .toSorted(),
      ).toEqual(['elicitation/create', 'roots/list', 'sampling/createMessage'])
    }
  })

  it('is not asked of a client that did not declare it', async () => {
    const request = asked('tools/call', { name: 'test_elicitation', arguments: WHO }, { capabilities: {} })
    expect((await fixture.post(...request)).json.result).toMatchObject({
      resultType: 'complete',
      isError: true,
    })
    const { status, json } = await modern.post(...request)
    expect([status, json.error?.code]).toEqual([400, -32021])
  })

  it('ends with the credential', async () => {
    const { inputRequests, requestState } = asking(
      await fixture.post(...call('test_elicitation', WHO), 'leaver'),
    )
    const key = Object.keys(inputRequests)[0] ?? ''
    mcp.regrant('leaver', { level: 'read-write' })
    const more = { inputResponses: { [key]: ANSWER }, requestState }
    const { json } = await fixture.post(...call('test_elicitation', WHO, more), 'leaver')
    expect(JSON.stringify(json)).toContain('credential.changed')
  })

  it('waits in bounded numbers', async () => {
    const server = serverClient(mcp, 'web')
    const [body, headers] = call('test_elicitation', WHO)
    const answers: Answer[] = []
    for (let at = 0; at < PARKED_PER_CREDENTIAL + 8; at += 8) {
      const some = Array.from({ length: 8 }, () => server.post(body, headers, 'greedy'))
      answers.push(...(await Promise.all(some)))
    }
    const parked = answers.filter(({ json }) => json.result?.resultType === 'input_required')
    expect(parked).toHaveLength(PARKED_PER_CREDENTIAL)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(8)
    expect((await server.post(body, headers)).json.result?.resultType).toBe('input_required')
    mcp.revoke('greedy')
  })
})

describe('a stream of a stateless client', () => {
  it('tells of progress under the token of the client, and ends with the answer', async () => {
    const meta = { progressToken: 'mine' }
    const request = asked('tools/call', { name: 'test_tool_with_progress', arguments: {} }, { meta, id: 'p' })
    const response = await fixture.stream(...request)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const events = new EventReader(response)
    const first = await events.next()
    expect(first?.id).toBeUndefined()
    expect(JSON.parse(first?.data ?? '')).toMatchObject({ params: { progressToken: 'mine' } })
    await events.json()
    await events.json()
    expect(await events.json()).toMatchObject({ id: 'p', result: { resultType: 'complete' } })
    expect(await events.next()).toBeUndefined()
  })

  it('has log messages only when they are asked for', async () => {
    const silent = await fixture.post(...call('test_logging_tool'))
    expect(silent.json.result).toMatchObject({ resultType: 'complete' })
    const meta = { 'io.modelcontextprotocol/logLevel': 'error' }
    const request = asked('tools/call', { name: 'test_logging_tool', arguments: {} }, { meta })
    const events = new EventReader(await fixture.stream(...request))
    expect(await events.json()).toMatchObject({ method: 'notifications/message', params: { level: 'error' } })
    expect(await events.json()).toMatchObject({ id: 1 })
  })

  it('that is closed cancels the call', async () => {
    const count = async (name: string): Promise<number> => {
      const { json } = await fixture.post(...call('test_counts'), 'canceller')
      const [content] = (json.result?.content ?? []) as { text: string }[]
      return (JSON.parse(content?.text ?? '{}') as { counts: Record<string, number> }).counts[name] ?? 0
    }
    const gone = new AbortController()
    const [body, headers] = call('test_slow')
    const slow = fetch(`${mcp.url}/fixture/mcp`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-canceller', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: gone.signal,
    }).catch(() => undefined)
    await soon(() => count('started')).toBe(1)
    gone.abort()
    await slow
    await soon(() => count('cancelled')).toBe(1)
  })
})

describe('subscriptions with a server', () => {
  const listen = async (notifications: unknown, id: unknown) => {
    const response = await fixture.stream(...asked('subscriptions/listen', { notifications }, { id }))
    return new EventReader(response)
  }

  it('say first what they will tell, then tell that and nothing else', async () => {
    const tools = await listen({ toolsListChanged: true }, 'tools')
    expect(await tools.json()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: {
        notifications: { toolsListChanged: true },
        _meta: { 'io.modelcontextprotocol/subscriptionId': 'tools' },
      },
    })
    const uri = 'test://watched-resource'
    const resource = await listen({ resourceSubscriptions: [uri] }, 2)
    expect(await resource.json()).toMatchObject({
      params: { notifications: { resourceSubscriptions: [uri] } },
    })
    await fixture.post(...call('test_touch_resource'))
    expect(await resource.json()).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { uri, _meta: { 'io.modelcontextprotocol/subscriptionId': 2 } },
    })
    await fixture.post(...call('test_trigger_tool_change'))
    expect(await tools.json()).toMatchObject({ method: 'notifications/tools/list_changed' })
    await tools.cancel()
    await resource.cancel()
  })

  it('are refused when nobody could tell what is wanted', async () => {
    for (const notifications of [
      undefined,
      [],
      'all',
      { resourceSubscriptions: 'x' },
      { resourceSubscriptions: [1] },
    ]) {
      const { json } = await fixture.post(...asked('subscriptions/listen', { notifications }))
      expect(json.error?.code).toBe(-32602)
    }
  })
})
