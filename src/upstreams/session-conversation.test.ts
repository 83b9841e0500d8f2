import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { soon } from '../../test/support/soon.ts'
import { stdioServers } from '../../test/support/upstreams.ts'
import {
  call,
  callerOf,
  callText,
  CLIENT,
  converse,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
  testInbox,
  textOf,
} from '../../test/support/upstreams/stdio-upstreams.ts'
import type { Params } from '../lib/json-rpc.ts'
import type { Answer, Ask, Conversation } from './conversation.ts'

const opened: TestUpstreams[] = []
function open(options = stdioUpstream('unruly'), more: Parameters<typeof openTestUpstreams>[1] = {}) {
  const upstreams = openTestUpstreams([options], more)
  opened.push(upstreams)
  return upstreams
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

const never = (): AbortSignal => new AbortController().signal
const callsOf = async (conversation: Conversation): Promise<readonly string[]> =>
  (JSON.parse(await callText(conversation, 'calls')) as readonly string[]).slice(3)
const send = (conversation: Conversation, method: string, params: Params): Promise<Answer> =>
  conversation.request({ method, params, signal: never() })

describe('what belongs to a request', () => {
  it('brings progress to the request it belongs to, without the token of this hop', async () => {
    const conversation = await converse(open(), 'unruly')
    const heard: [number, string, Params][] = []
    const progress = (which: number): Promise<Answer> =>
      call(
        conversation,
        'progress',
        { steps: 2 },
        { onNotification: (method, params) => heard.push([which, method, params]) },
      )
    await Promise.all([progress(1), progress(2)])
    expect(heard).toEqual(
      [1, 2].flatMap((which) => [1, 2].map((n) => [which, 'notifications/progress', { progress: n }])),
    )
  })

  it('asks for no progress that nobody hears', async () => {
    const conversation = await converse(open(), 'unruly')
    expect(await callText(conversation, 'meta')).toBe('{}')
  })

  it('hands on the trace in _meta, beside what is there', async () => {
    const conversation = await converse(open(), 'unruly')
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const answer = await conversation.request({
      method: 'tools/call',
      params: { name: 'meta', _meta: { 'example.com/own': 1 } },
      signal: never(),
      trace: { traceparent },
    })
    expect(JSON.parse(textOf(answer))).toEqual({ 'example.com/own': 1, traceparent })
  })

  it('cancels at the server what was given up here', async () => {
    const conversation = await converse(open(), 'unruly')
    const controller = new AbortController()
    const hanging = call(conversation, 'hang', {}, { signal: controller.signal })
    await callText(conversation, 'echo')
    controller.abort(new Error('no longer needed'))
    await expect(hanging).rejects.toThrow('no longer needed')
    expect(JSON.parse(await callText(conversation, 'cancelled'))).toEqual([
      { requestId: expect.any(Number) as number },
    ])
  })

  it('gives log messages to the running request, of the levels it wants', async () => {
    const conversation = await converse(open(), 'unruly')
    const heard: unknown[] = []
    await call(
      conversation,
      'log',
      { levels: ['debug', 'info', 'warning', 'emergency', 'no-level'] },
      { logLevel: 'warning', onNotification: (_, params) => heard.push(params['level']) },
    )
    expect(heard).toEqual(['warning', 'emergency'])
    expect(await callsOf(conversation)).toEqual(['logging/setLevel warning'])
  })

  it('gives log messages to the inbox when no request hears them', async () => {
    const inbox = testInbox()
    const conversation = await converse(open(), 'unruly', { inbox })
    await call(conversation, 'log', { levels: ['error'] })
    expect(inbox.notified).toEqual([
      { method: 'notifications/message', params: { level: 'error', data: 'error' } },
    ])
  })

  it('asks for the most telling level of all conversations, and gives each its own', async () => {
    const upstreams = open()
    const [first, second] = [testInbox(), testInbox()]
    const a = await converse(upstreams, 'unruly', { inbox: first })
    const b = await converse(upstreams, 'unruly', { inbox: second })
    await send(a, 'logging/setLevel', { level: 'info' })
    await send(b, 'logging/setLevel', { level: 'error' })
    expect(await callsOf(a)).toEqual(['logging/setLevel info'])
    await call(a, 'log', { levels: ['info', 'error'] })
    expect(first.notified.map(({ params }) => params['level'])).toEqual(['info', 'error'])
    expect(second.notified.map(({ params }) => params['level'])).toEqual(['error'])
    a.close()
    expect(await callsOf(b)).toEqual(['logging/setLevel info', 'logging/setLevel error'])
  })
})

describe('requests of the server', () => {
  const asking = { ...CLIENT, capabilities: { sampling: {}, elicitation: {}, roots: {} } }
  const answered =
    (text: string): Ask =>
    async () => ({ kind: 'result', result: { text } })

  it('go to the request that began last, and the answer comes back', async () => {
    const conversation = await converse(open(), 'unruly', { client: asking })
    const hanging = new AbortController()
    const older = call(conversation, 'hang', {}, { signal: hanging.signal, ask: answered('older') })
    older.catch(() => undefined)
    const answer = await callText(
      conversation,
      'ask',
      { method: 'sampling/createMessage', params: { messages: [] } },
      { ask: answered('newest') },
    )
    expect(answer).toBe('{"text":"newest"}')
    expect(await callText(conversation, 'ask', { method: 'roots/list' })).toBe('{"text":"older"}')
    hanging.abort(new Error('enough'))
  })

  it('go to the inbox when no request can ask', async () => {
    const inbox = testInbox(async () => ({ kind: 'error', error: { code: -1, message: 'user said no' } }))
    const conversation = await converse(open(), 'unruly', { client: asking, inbox })
    expect(
      await callText(conversation, 'ask', { method: 'elicitation/create', params: { message: 'why' } }),
    ).toBe('{"code":-1,"message":"user said no"}')
    expect(inbox.asked).toMatchObject([{ method: 'elicitation/create', params: { message: 'why' } }])
  })

  it.each([
    ['sampling/createMessage', {}],
    ['elicitation/create', {}],
    ['roots/list', {}],
    ['something/else', {}],
  ])(
    'are refused without bothering anybody where the client did not declare them: %s',
    async (method, params) => {
      const inbox = testInbox()
      const conversation = await converse(open(), 'unruly', { inbox })
      expect(await callText(conversation, 'ask', { method, params }, { ask: answered('never') })).toContain(
        '-32601',
      )
      expect(inbox.asked).toEqual([])
    },
  )

  it('are refused for a kind of elicitation that was not declared', async () => {
    const client = { ...CLIENT, capabilities: { elicitation: { form: {} } } }
    const conversation = await converse(open(), 'unruly', { client })
    const ask = (params: Params): Promise<string> =>
      callText(conversation, 'ask', { method: 'elicitation/create', params }, { ask: answered('yes') })
    expect(await ask({ mode: 'url', url: 'https://example.com' })).toContain('-32601')
    expect(await ask({ mode: 'form' })).toBe('{"text":"yes"}')
    expect(await ask({})).toBe('{"text":"yes"}')
  })

  it('are answered here when they are pings', async () => {
    const conversation = await converse(open(), 'unruly')
    expect(await callText(conversation, 'ask', { method: 'ping' })).toBe('{}')
  })

  it('can be taken back by the server', async () => {
    const inbox = testInbox(() => new Promise(() => undefined))
    const conversation = await converse(open(), 'unruly', { client: asking, inbox })
    // More than may wait at once: what was taken back does not count.
    for (let n = 0; n < 100; n += 1)
      expect(await callText(conversation, 'ask-and-take-back', { method: 'roots/list' })).toBe('taken back')
    expect(inbox.asked.filter(({ signal }) => signal.aborted)).toHaveLength(100)
  })

  it('get an error when the client is gone', async () => {
    const conversation = await converse(open(), 'unruly', { client: asking })
    expect(await callText(conversation, 'ask', { method: 'roots/list' })).toContain('-32603')
  })

  it('are over with the request they belong to', async () => {
    const conversation = await converse(open(), 'unruly', { client: asking })
    const controller = new AbortController()
    let asked: AbortSignal | undefined
    const asker = call(
      conversation,
      'ask',
      { method: 'roots/list' },
      {
        signal: controller.signal,
        ask: (_, __, signal) => {
          asked = signal
          return new Promise(() => undefined)
        },
      },
    )
    await soon(() => asked !== undefined).toBe(true)
    controller.abort(new Error('gave up'))
    await expect(asker).rejects.toThrow('gave up')
    expect(asked?.aborted).toBe(true)
  })
})

describe('listening for changes', () => {
  it('tells each conversation what it asked for, and says what the server can tell', async () => {
    const upstreams = open()
    const [some, none] = [testInbox(), testInbox()]
    const a = await converse(upstreams, 'unruly', { inbox: some })
    await converse(upstreams, 'unruly', { inbox: none })
    expect(
      await a.listen({
        toolsListChanged: true,
        promptsListChanged: false,
        resourceSubscriptions: ['test://one', 'test://two'],
      }),
    ).toEqual({ toolsListChanged: true, resourceSubscriptions: ['test://one', 'test://two'] })
    await call(a, 'changed')
    await call(a, 'update', { uri: 'test://one' })
    await call(a, 'update', { uri: 'test://three' })
    expect(some.notified.map(({ method, params }) => [method, params['uri']])).toEqual([
      ['notifications/tools/list_changed', undefined],
      ['notifications/resources/updated', 'test://one'],
    ])
    expect(none.notified).toEqual([])
  })

  it('subscribes to what is new and unsubscribes from what is gone', async () => {
    const conversation = await converse(open(), 'unruly')
    await conversation.listen({ resourceSubscriptions: ['test://one', 'test://two'] })
    await conversation.listen({ resourceSubscriptions: ['test://two', 'test://three'] })
    expect(await callsOf(conversation)).toEqual([
      'resources/subscribe',
      'resources/subscribe',
      'resources/subscribe',
      'resources/unsubscribe',
    ])
  })

  it('keeps the subscription that another conversation on the same process still needs', async () => {
    const upstreams = open()
    const inbox = testInbox()
    const a = await converse(upstreams, 'unruly')
    const b = await converse(upstreams, 'unruly', { inbox })
    const uri = 'test://one'
    await send(a, 'resources/subscribe', { uri })
    await send(b, 'resources/subscribe', { uri })
    await send(a, 'resources/unsubscribe', { uri })
    a.close()
    await call(b, 'update', { uri })
    expect(inbox.notified).toHaveLength(1)
    expect(await callsOf(b)).toEqual(['resources/subscribe'])
    await send(b, 'resources/unsubscribe', { uri })
    expect(await callsOf(b)).toEqual(['resources/subscribe', 'resources/unsubscribe'])
  })

  it('tells the registry that tools have changed, a flood as one', async () => {
    const clock = manualClock()
    const upstreams = open(stdioUpstream('unruly'), { clock })
    const told: string[] = []
    upstreams.upstreams.onChange((name) => told.push(name))
    const conversation = await converse(upstreams, 'unruly')
    await conversation.listen({ toolsListChanged: true })
    for (let n = 0; n < 20; n += 1) await call(conversation, 'changed')
    expect(told).toEqual(['unruly'])
    clock.advance(500)
    expect(told).toHaveLength(2)
    clock.advance(5_000)
    expect(told).toHaveLength(2)
  })
})

describe('a shared process', () => {
  it('does not tell one caller the log messages of another', async () => {
    const upstreams = open(stdioUpstream('unruly', { reach: { process: 'shared' } }))
    const [mine, theirs] = [testInbox(), testInbox()]
    const a = await converse(upstreams, 'unruly', { inbox: mine })
    const b = await converse(upstreams, 'unruly', { inbox: theirs, caller: callerOf('b') })
    const controller = new AbortController()
    const heard: unknown[] = []
    const hear = { onNotification: (method: string) => heard.push(method) }
    // Nobody can say whose a message is.
    const hanging = call(b, 'hang', {}, { ...hear, signal: controller.signal })
    hanging.catch(() => undefined)
    await call(a, 'log', { levels: ['error'] }, hear)
    expect(heard).toEqual([])
    controller.abort(new Error('enough'))
    await hanging.catch(() => undefined)
    // It may still be at work there, and tell of it.
    await call(a, 'log', { levels: ['error'] }, hear)
    expect(heard).toEqual([])
    expect([...mine.notified, ...theirs.notified]).toEqual([])
  })
})

describe('the server of the SDK', () => {
  it('F5 lists, calls, samples and tells progress as with its own client', async () => {
    const { command, args } = stdioServers.everything()
    const upstreams = open(stdioUpstream('everything', { reach: { command, args } }))
    const conversation = await converse(upstreams, 'everything', {
      client: { ...CLIENT, capabilities: { sampling: {}, roots: {}, elicitation: {} } },
      inbox: testInbox(async () => ({ kind: 'result', result: { roots: [] } })),
    })
    expect(conversation.about.revision).toBe('2025-11-25')
    const list = await send(conversation, 'tools/list', {})
    const names =
      list.kind === 'result'
        ? (list.result['tools'] as { readonly name: string }[]).map(({ name }) => name)
        : []
    expect(names).toContain('echo')
    expect(await callText(conversation, 'echo', { message: 'hello' })).toBe('Echo: hello')
    const steps: unknown[] = []
    await call(
      conversation,
      'trigger-long-running-operation',
      { duration: 0.2, steps: 2 },
      {
        onNotification: (method, params) =>
          method === 'notifications/progress' && steps.push(params['progress']),
      },
    )
    expect(steps).toEqual([1, 2])
    const sampled = await callText(
      conversation,
      'trigger-sampling-request',
      { prompt: 'p', maxTokens: 5 },
      {
        ask: async (method) => ({
          kind: 'result',
          result: { role: 'assistant', model: method, content: { type: 'text', text: 'sampled text' } },
        }),
      },
    )
    expect(sampled).toContain('sampled text')
  })
})
