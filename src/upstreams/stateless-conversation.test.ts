import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { soon } from '../../test/support/soon.ts'
import { httpUpstream } from '../../test/support/upstreams/http-upstreams.ts'
import {
  event,
  events,
  failure,
  type RawMcp,
  type RawMessage,
  rawStatelessMcp,
  result,
  type Script,
} from '../../test/support/upstreams/raw-mcp.ts'
import {
  call,
  CLIENT,
  converse,
  openTestUpstreams,
  testInbox,
} from '../../test/support/upstreams/stdio-upstreams.ts'
import type { ServerResponse } from 'node:http'
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/clock.ts'
import type { Params } from '../lib/json-rpc.ts'
import type { AskAnswer, Conversation, Inbox, OutgoingRequest } from './conversation.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Stage {
  readonly server: RawMcp
  readonly conversation: Conversation
}

async function begin(
  script: Script,
  more: { readonly capabilities?: Params; readonly inbox?: Inbox; readonly clock?: Clock } = {},
): Promise<Stage> {
  const server = await rawStatelessMcp(script)
  const upstreams = openTestUpstreams(
    [httpUpstream('raw', { url: server.url, transport: 'stateless' })],
    more.clock ? { clock: more.clock } : {},
  )
  closing.push(
    () => server.close(),
    () => upstreams.close(),
  )
  const conversation = await converse(upstreams, 'raw', {
    client: { ...CLIENT, capabilities: more.capabilities ?? {} },
    ...(more.inbox ? { inbox: more.inbox } : {}),
  })
  return { server, conversation }
}

const ask = (
  conversation: Conversation,
  method: string,
  params: Params = {},
  more: Partial<OutgoingRequest> = {},
) => conversation.request({ method, params, signal: new AbortController().signal, ...more })

const faultCode = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing failed',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  )

const VERSION = 'io.modelcontextprotocol/protocolVersion'
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel'
const metaOf = (message: RawMessage | undefined): Params => message?.params['_meta'] as Params

const given = (value: unknown): AskAnswer => ({ kind: 'result', result: { value } })

describe('a request to a stateless server', () => {
  it('says who asks in every message, and in the headers what it is', async () => {
    const { server, conversation } = await begin(
      (message, response) =>
        message.method === 'tools/call' &&
        result(response, message, {
          resultType: 'complete',
          content: [],
          ttlMs: 5,
          _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'raw' }, 'com.example/a': 1 },
        }),
    )
    const answer = await call(
      conversation,
      'tool',
      { a: 1 },
      {
        params: { name: 'tool', arguments: { a: 1 }, _meta: { 'com.example/b': 2, [VERSION]: 'forged' } },
        logLevel: 'info',
        trace: { traceparent: '00-a-b-01' },
      },
    )
    expect(answer).toEqual({
      kind: 'result',
      result: { content: [], ttlMs: 5, _meta: { 'com.example/a': 1 } },
    })
    const sent = server.messages.at(-1)
    expect(metaOf(sent)).toEqual({
      'com.example/b': 2,
      [VERSION]: '2026-07-28',
      'io.modelcontextprotocol/clientInfo': CLIENT.clientInfo,
      [CAPABILITIES]: {},
      [LOG_LEVEL]: 'info',
      traceparent: '00-a-b-01',
    })
    expect(sent?.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'tool',
      traceparent: '00-a-b-01',
    })
    expect(sent?.headers['mcp-session-id']).toBeUndefined()
  })

  it('declares what can be asked only where somebody can be asked', async () => {
    const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {}, extensions: { 'a/b': {} } }
    const { server, conversation } = await begin(
      (message, response) => message.method === 'tools/call' && result(response, message, {}),
      { capabilities },
    )
    await call(conversation, 'a')
    expect(metaOf(server.messages.at(-1))[CAPABILITIES]).toEqual({ extensions: { 'a/b': {} } })
    await call(conversation, 'a', {}, { ask: () => Promise.reject(new Error('nobody')) })
    expect(metaOf(server.messages.at(-1))[CAPABILITIES]).toEqual(capabilities)
  })

  it('hears progress and log messages of its own, and is told no token', async () => {
    const { conversation } = await begin((message, response) => {
      if (message.method !== 'tools/call') return false
      const stream = events(response)
      const { progressToken } = metaOf(message)
      const tell = (method: string, params: Params): void =>
        void stream.write(event({ jsonrpc: '2.0', method, params }))
      tell('notifications/progress', { progressToken, progress: 1, _meta: { 'com.example/a': 1 } })
      tell('notifications/progress', { progressToken: 'another', progress: 2 })
      tell('notifications/message', { level: 'debug', data: 'too low' })
      tell('notifications/message', { level: 'error', data: 'heard' })
      tell('notifications/tools/list_changed', {})
      stream.end(event({ jsonrpc: '2.0', id: message.id, result: {} }))
      return true
    })
    const heard: [string, Params][] = []
    await call(conversation, 'a', {}, { logLevel: 'info', onNotification: (...one) => heard.push(one) })
    expect(heard).toEqual([
      ['notifications/progress', { progress: 1, _meta: { 'com.example/a': 1 } }],
      ['notifications/message', { level: 'error', data: 'heard' }],
    ])
  })

  it('is cancelled by ending its response', async () => {
    let closed = false
    const { conversation } = await begin((message, response) => {
      if (message.method !== 'tools/call') return false
      events(response).on('close', () => {
        closed = true
      })
      return true
    })
    const controller = new AbortController()
    const running = call(conversation, 'a', {}, { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 30)
    await expect(running).rejects.toThrow('enough')
    await soon(() => closed).toBe(true)
  })

  it.each([
    ['a type that nobody knows', { resultType: 'task' }],
    ['a type that is no text', { resultType: 7 }],
    ['a request for input without anything', { resultType: 'input_required' }],
    ['inputs that are no object', { resultType: 'input_required', inputRequests: [1] }],
    [
      'an input that is none',
      { resultType: 'input_required', inputRequests: { a: { method: 'tools/call' } } },
    ],
    [
      'an input that was not declared',
      {
        resultType: 'input_required',
        inputRequests: { a: { method: 'sampling/createMessage', params: {} } },
      },
    ],
    ['a state that is no text', { resultType: 'input_required', requestState: 1 }],
    [
      'too many inputs',
      {
        resultType: 'input_required',
        inputRequests: Object.fromEntries(
          Array.from({ length: 65 }, (_, i) => [i, { method: 'roots/list' }]),
        ),
      },
    ],
  ])('refuses a result with %s', async (_name, value) => {
    const { conversation } = await begin(
      (message, response) => message.method === 'tools/call' && result(response, message, value),
      { capabilities: { roots: {} } },
    )
    const asked = call(conversation, 'a', {}, { ask: () => Promise.resolve(given(1)) })
    expect(await faultCode(asked)).toBe('upstream_invalid')
  })

  it('asks for input only where the revision has it', async () => {
    const { conversation } = await begin(
      (message, response) =>
        message.method === 'tools/list' &&
        result(response, message, { resultType: 'input_required', requestState: 's' }),
    )
    expect(await faultCode(ask(conversation, 'tools/list'))).toBe('upstream_invalid')
  })
})

describe('a stateless server that asks for input', () => {
  const capabilities = { roots: {}, elicitation: { form: {} }, sampling: {} }

  it('is given it with the state as it was, round after round, under new ids', async () => {
    const { server, conversation } = await begin(
      (message, response) => {
        if (message.method !== 'tools/call') return false
        const { inputResponses, requestState } = message.params
        if (requestState === undefined) {
          return result(response, message, {
            resultType: 'input_required',
            inputRequests: {
              who: { method: 'elicitation/create', params: { message: 'Who?' } },
              where: { method: 'roots/list' },
            },
            requestState: 'one\u0000=',
          })
        }
        if (requestState === 'one\u0000=') {
          return result(response, message, { resultType: 'input_required', requestState: 'two' })
        }
        return result(response, message, { state: requestState, responses: inputResponses ?? 'none' })
      },
      { capabilities },
    )
    const asked: [string, Params][] = []
    const answer = await call(
      conversation,
      'a',
      { x: 1 },
      {
        ask(method, params) {
          asked.push([method, params])
          return Promise.resolve(given(method))
        },
      },
    )
    expect(answer).toEqual({ kind: 'result', result: { state: 'two', responses: 'none' } })
    expect(asked).toEqual([
      ['elicitation/create', { message: 'Who?' }],
      ['roots/list', {}],
    ])
    const calls = server.messages.filter(({ method }) => method === 'tools/call')
    expect(new Set(calls.map(({ id }) => id)).size).toBe(3)
    expect(calls[1]?.params).toMatchObject({
      name: 'a',
      arguments: { x: 1 },
      requestState: 'one\u0000=',
      inputResponses: { who: { value: 'elicitation/create' }, where: { value: 'roots/list' } },
    })
    expect(calls[2]?.params['inputResponses']).toBeUndefined()
  })

  it('puts all its questions at once', async () => {
    const { conversation } = await begin(
      (message, response) => {
        if (message.method !== 'tools/call') return false
        const first = message.params['inputResponses'] === undefined
        const inputRequests = { a: { method: 'roots/list' }, b: { method: 'sampling/createMessage' } }
        return result(
          response,
          message,
          first ? { resultType: 'input_required', inputRequests } : { done: true },
        )
      },
      { capabilities },
    )
    const waiting: (() => void)[] = []
    const answer = call(
      conversation,
      'a',
      {},
      {
        ask: () => new Promise((resolve) => waiting.push(() => resolve(given(1)))),
      },
    )
    await soon(() => waiting.length).toBe(2)
    for (const go of waiting) go()
    expect(await answer).toEqual({ kind: 'result', result: { done: true } })
  })

  const needy: Script = (message, response) =>
    message.method === 'tools/call' &&
    result(response, message, {
      resultType: 'input_required',
      inputRequests: { a: { method: 'roots/list' }, b: { method: 'sampling/createMessage' } },
    })

  it('fails with the error of the client, which has no other way to it', async () => {
    const { server, conversation } = await begin(needy, { capabilities })
    const answer = await call(
      conversation,
      'a',
      {},
      {
        ask: (method) =>
          Promise.resolve(
            method === 'roots/list'
              ? given(1)
              : { kind: 'error', error: { code: -1, message: 'User said no' } },
          ),
      },
    )
    expect(answer).toEqual({ kind: 'error', error: { code: -1, message: 'User said no' } })
    expect(server.messages.filter(({ method }) => method === 'tools/call').length).toBe(1)
  })

  it('fails when there is nobody to ask', async () => {
    const { conversation } = await begin(needy, { capabilities })
    expect(await faultCode(call(conversation, 'a'))).toBe('upstream_invalid')
  })

  it('takes the other questions back when one cannot be put', async () => {
    const { conversation } = await begin(needy, { capabilities })
    let other: AbortSignal | undefined
    const answer = call(
      conversation,
      'a',
      {},
      {
        ask(method, _params, signal) {
          if (method === 'roots/list') return Promise.reject(new Fault('upstream_unavailable', 'gone'))
          other = signal
          return new Promise(() => undefined)
        },
      },
    )
    expect(await faultCode(answer)).toBe('upstream_unavailable')
    expect(other?.aborted).toBe(true)
  })

  it('comes to an end', async () => {
    const { server, conversation } = await begin(needy, { capabilities })
    const answer = call(conversation, 'a', {}, { ask: () => Promise.resolve(given(1)) })
    expect(await faultCode(answer)).toBe('upstream_invalid')
    expect(server.messages.filter(({ method }) => method === 'tools/call').length).toBe(32)
  })
})

describe('what a stateless server has no requests for', () => {
  it('answers a ping when the server answers', async () => {
    let well = true
    const { conversation } = await begin((message, response) =>
      well ? false : failure(response, message, { code: -32603, message: 'ill' }),
    )
    expect(await ask(conversation, 'ping')).toEqual({ kind: 'result', result: {} })
    well = false
    expect(await ask(conversation, 'ping')).toMatchObject({ kind: 'error', error: { code: -32603 } })
  })

  it('keeps the log level and sends it with each request', async () => {
    const inbox = testInbox()
    const { server, conversation } = await begin(
      (message, response) => {
        if (message.method !== 'tools/call') return false
        const stream = events(response)
        stream.write(
          event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'error', data: 'x' } }),
        )
        stream.end(event({ jsonrpc: '2.0', id: message.id, result: {} }))
        return true
      },
      { inbox },
    )
    await call(conversation, 'a')
    expect(metaOf(server.messages.at(-1))[LOG_LEVEL]).toBeUndefined()
    expect(inbox.notified).toEqual([])
    expect(await ask(conversation, 'logging/setLevel', { level: 'loud' })).toMatchObject({
      error: { code: -32602 },
    })
    expect(await ask(conversation, 'logging/setLevel', { level: 'warning' })).toMatchObject({
      kind: 'result',
    })
    await call(conversation, 'a')
    expect(metaOf(server.messages.at(-1))[LOG_LEVEL]).toBe('warning')
    expect(inbox.notified).toEqual([
      { method: 'notifications/message', params: { level: 'error', data: 'x' } },
    ])
    await call(conversation, 'a', {}, { logLevel: 'debug' })
    expect(metaOf(server.messages.at(-1))[LOG_LEVEL]).toBe('debug')
  })

  it('says what the server cannot do as the server would', async () => {
    const { conversation } = await begin(
      (message, response) =>
        message.method === 'server/discover' &&
        result(response, message, { supportedVersions: ['2026-07-28'], capabilities: {} }),
    )
    for (const [method, params] of [
      ['logging/setLevel', { level: 'info' }],
      ['resources/subscribe', { uri: 'a:b' }],
      ['tools/call', { name: 'x' }],
    ] as const) {
      expect(await ask(conversation, method, params)).toMatchObject({
        kind: 'error',
        error: { code: -32601 },
      })
    }
  })
})

describe('arguments in headers', () => {
  const tools = [
    {
      name: 'regional',
      inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
    },
    {
      name: 'broken',
      inputSchema: { type: 'object', properties: { region: { type: 'object', 'x-mcp-header': 'Region' } } },
    },
    { name: 'plain', inputSchema: { type: 'object' } },
  ]
  const regional: Script = (message, response, request) => {
    if (message.method === 'tools/list') {
      const second = message.params['cursor'] === 'two'
      return result(response, message, second ? { tools } : { tools: [], nextCursor: 'two' })
    }
    if (message.method !== 'tools/call') return false
    return request.headers['mcp-param-region'] === 'eu'
      ? result(response, message, { fine: true })
      : failure(response, message, { code: -32020, message: 'Header mismatch' }, 400)
  }

  it('are learned from the list; tools that break the rules are left out of it', async () => {
    const { server, conversation } = await begin(regional)
    const listed = await ask(conversation, 'tools/list', { cursor: 'two' })
    expect(listed).toMatchObject({ result: { tools: [{ name: 'regional' }, { name: 'plain' }] } })
    expect(await call(conversation, 'regional', { region: 'eu' })).toEqual({
      kind: 'result',
      result: { fine: true },
    })
    expect(server.messages.filter(({ method }) => method === 'tools/call').length).toBe(1)
  })

  it('are learned when the server misses them, once', async () => {
    const { server, conversation } = await begin(regional)
    expect(await call(conversation, 'regional', { region: 'eu' })).toEqual({
      kind: 'result',
      result: { fine: true },
    })
    expect(server.messages.map(({ method }) => method).slice(1)).toEqual([
      'tools/call',
      'tools/list',
      'tools/list',
      'tools/call',
    ])
    expect(await call(conversation, 'regional', { region: 'us' })).toMatchObject({ error: { code: -32020 } })
  })
})

describe('listening to a stateless server', () => {
  function listening(options: { readonly grant?: (wanted: Params) => Params } = {}) {
    const streams: { readonly id: unknown; readonly response: ServerResponse; readonly wanted: Params }[] = []
    const script: Script = (message, response) => {
      if (message.method !== 'subscriptions/listen') return false
      const wanted = message.params['notifications'] as Params
      streams.push({ id: message.id, response: events(response), wanted })
      tell(streams.length - 1, 'notifications/subscriptions/acknowledged', {
        notifications: options.grant?.(wanted) ?? wanted,
      })
      return true
    }
    const tell = (at: number, method: string, params: Params = {}): void => {
      const stream = streams[at]
      const _meta = { 'io.modelcontextprotocol/subscriptionId': stream?.id }
      stream?.response.write(event({ jsonrpc: '2.0', method, params: { ...params, _meta } }))
    }
    return { streams, script, tell }
  }

  it('tells what was agreed, and nothing else', async () => {
    const inbox = testInbox()
    const { streams, script, tell } = listening({
      grant: (wanted) => ({ ...wanted, promptsListChanged: false, resourcesListChanged: true }),
    })
    const { conversation } = await begin(script, { inbox })
    const granted = await conversation.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ['a:b'],
    })
    expect(granted).toEqual({ toolsListChanged: true, resourceSubscriptions: ['a:b'] })
    tell(0, 'notifications/tools/list_changed')
    tell(0, 'notifications/prompts/list_changed')
    tell(0, 'notifications/resources/list_changed')
    tell(0, 'notifications/resources/updated', { uri: 'c:d' })
    tell(0, 'notifications/resources/updated', { uri: 'a:b/part' })
    await soon(() => inbox.notified).toEqual([
      { method: 'notifications/tools/list_changed', params: {} },
      { method: 'notifications/resources/updated', params: { uri: 'a:b/part' } },
    ])
    expect(await conversation.listen({})).toEqual({})
    await soon(() => streams[0]?.response.closed).toBe(true)
  })

  it('hears what comes in one piece with the acknowledgement', async () => {
    const inbox = testInbox()
    const { conversation } = await begin(
      (message, response) => {
        if (message.method !== 'subscriptions/listen') return false
        const stream = events(response)
        const one = (method: string, params: Params): string => event({ jsonrpc: '2.0', method, params })
        stream.write(
          one('notifications/subscriptions/acknowledged', { notifications: { toolsListChanged: true } }) +
            one('notifications/tools/list_changed', {}),
        )
        return true
      },
      { inbox },
    )
    await conversation.listen({ toolsListChanged: true })
    await soon(() => inbox.notified.length).toBe(1)
  })

  it('has one stream for everything that is wanted, however it was asked for', async () => {
    const { streams, script } = listening({
      grant: (wanted) => ({ ...wanted, resourceSubscriptions: ['a:1', 'a:2', 'a:3'] }),
    })
    const { conversation } = await begin(script)
    await conversation.listen({ toolsListChanged: true, resourceSubscriptions: ['a:1'] })
    const answers = await Promise.all(
      ['a:2', 'a:3', 'a:4'].map((uri) => ask(conversation, 'resources/subscribe', { uri })),
    )
    expect(answers.map(({ kind }) => kind)).toEqual(['result', 'result', 'error'])
    await ask(conversation, 'resources/unsubscribe', { uri: 'a:2' })
    expect(streams.at(-1)?.wanted).toEqual({ toolsListChanged: true, resourceSubscriptions: ['a:1', 'a:3'] })
    await soon(() => streams.filter(({ response }) => !response.closed).length).toBe(1)
    expect(await conversation.listen({})).toEqual({})
    expect(streams.at(-1)?.wanted).toEqual({ resourceSubscriptions: ['a:3'] })
  })

  it('listens again when the stream broke, and tells everything as changed', async () => {
    const inbox = testInbox()
    const clock = manualClock()
    const { streams, script } = listening()
    const { conversation } = await begin(script, { inbox, clock })
    await conversation.listen({ toolsListChanged: true, resourceSubscriptions: ['a:b'] })
    for (const [at, delayMs] of [1_500, 2_800, 5_500].entries()) {
      const waiting = clock.waiting
      streams[at]?.response.destroy()
      await soon(() => clock.waiting).toBeGreaterThan(waiting)
      clock.advance(delayMs / 3)
      expect(streams.length).toBe(at + 1)
      clock.advance(delayMs)
      await soon(() => streams.length).toBe(at + 2)
      await soon(() => inbox.notified.length).toBe(2 * (at + 1))
    }
    expect(inbox.notified.slice(0, 2)).toEqual([
      { method: 'notifications/tools/list_changed', params: {} },
      { method: 'notifications/resources/updated', params: { uri: 'a:b' } },
    ])
    conversation.close()
    await soon(() => streams.every(({ response }) => response.closed)).toBe(true)
    clock.advance(600_000)
    expect(streams.length).toBe(4)
  })

  it('says that nothing will be told by a server that cannot', async () => {
    const { conversation } = await begin(() => false)
    expect(await conversation.listen({ toolsListChanged: true })).toEqual({})
  })

  it('gives up a server that does not acknowledge', async () => {
    const clock = manualClock()
    let closed = false
    const { server, conversation } = await begin(
      (message, response) => {
        if (message.method !== 'subscriptions/listen') return false
        events(response).on('close', () => {
          closed = true
        })
        return true
      },
      { clock },
    )
    const listening = conversation.listen({ toolsListChanged: true })
    const outcome = faultCode(listening)
    await soon(() => server.messages.at(-1)?.method).toBe('subscriptions/listen')
    clock.advance(20_000)
    expect(await outcome).toBe('upstream_timeout')
    await soon(() => closed).toBe(true)
  })
})
