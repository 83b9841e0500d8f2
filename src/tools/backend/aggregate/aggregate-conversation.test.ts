import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { describe, expect, it, vi } from 'vitest'
import {
  asking,
  type BackendsHarness,
  CLIENT,
  openBackends,
  someone,
  type TestInbox,
  testInbox,
} from '../../../../test/support/backends.ts'
import { type SdkServerSpec, sdkServer } from '../../../../test/support/sdk-server.ts'
import type { Caller } from '../../../identity/caller.ts'
import type { Params } from '../../../lib/json-rpc.ts'
import type { UpstreamRules } from '../../../upstreams/options.ts'
import type { GuardedAnswer, GuardedConversation } from '../backend.ts'

const caller = someone()

const eventually = (expected: () => void): Promise<void> =>
  vi.waitFor(expected, { timeout: 10_000, interval: 5 })

interface Room extends BackendsHarness {
  readonly heard: { readonly server: string; readonly method: string; readonly params: unknown }[]
  readonly servers: Map<string, Server>
}

/** `wiki` before `files`, both with something of everything, and `plain` with tools only. */
function open(
  rules: Readonly<Record<string, Partial<UpstreamRules>>> = {},
  more: readonly SdkServerSpec[] = [],
): Room {
  const heard: { server: string; method: string; params: unknown }[] = []
  const servers = new Map<string, Server>()
  const specs: readonly SdkServerSpec[] = [
    {
      name: 'wiki',
      instructions: 'Search first.',
      tools: [{ name: 'search', title: 'Search' }, { name: 'edit' }],
      toolsPerPage: 1,
      prompts: ['summary'],
      resources: { 'wiki://home': 'home', 'shared://both': 'of wiki' },
      templates: ['wiki://page/{name}'],
    },
    {
      name: 'files',
      tools: [{ name: 'read' }, { name: 'echo' }],
      prompts: ['summary'],
      resources: { 'file:///a': 'a', 'shared://both': 'of files' },
    },
    { name: 'plain', tools: [{ name: 'now' }] },
    ...more,
  ]
  const harness = openBackends(
    specs.map((spec) => ({
      name: spec.name,
      ...(rules[spec.name] === undefined ? {} : { rules: rules[spec.name] as Partial<UpstreamRules> }),
      make: () =>
        sdkServer({
          ...spec,
          heard: (method, params) => void heard.push({ server: spec.name, method, params }),
          made: (server) => void servers.set(spec.name, server),
        }),
    })),
  )
  return Object.assign(harness, { heard, servers })
}

async function converse(
  { backends }: BackendsHarness,
  inbox: TestInbox = testInbox(),
  as = caller,
): Promise<GuardedConversation> {
  const begun = await backends.aggregate().open(as, CLIENT, inbox, AbortSignal.timeout(5_000))
  if (!begun.ok) throw new Error(begun.error.message)
  return begun.value
}

const resultOf = (answer: GuardedAnswer): Params => {
  if (answer.kind !== 'result') throw new Error(JSON.stringify(answer))
  return answer.result
}

const ask = async (conversation: GuardedConversation, method: string, params: Params = {}, as = caller) =>
  await conversation.request(asking(as, method, params))

async function names(
  conversation: GuardedConversation,
  method = 'tools/list',
  as: Caller = caller,
): Promise<unknown[]> {
  const [items] = Object.values(resultOf(await ask(conversation, method, {}, as)))
  return (items as Params[]).map(({ name, uri, uriTemplate }) => uriTemplate ?? uri ?? name)
}

describe('all servers as one', () => {
  it('can what any of them can, and passes their instructions on under their names', async () => {
    const conversation = await converse(open())
    expect(conversation.about).toMatchObject({
      serverInfo: { name: 'postern' },
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        logging: {},
      },
      instructions: 'Server wiki:\nSearch first.',
    })
  })

  it('lists own tools first, then servers in the order of the configuration, tools by name', async () => {
    const conversation = await converse(open())
    expect(await names(conversation)).toEqual([
      'echo',
      'wiki__edit',
      'wiki__search',
      'files__echo',
      'files__read',
      'plain__now',
    ])
    const { tools } = resultOf(await ask(conversation, 'tools/list'))
    expect((tools as Params[])[2]).toEqual({
      name: 'wiki__search',
      title: 'Search',
      description: 'search of wiki',
      inputSchema: { type: 'object' },
    })
    expect(await names(conversation, 'prompts/list')).toEqual(['wiki__summary', 'files__summary'])
  })

  it('F6 lists and calls only what the caller may', async () => {
    const room = open({
      wiki: { toolFilter: { mode: 'deny', tools: ['edit'] } },
      files: { authTokens: ['other'] },
      plain: { level: 'admin' },
    })
    const conversation = await converse(room)
    expect(await names(conversation)).toEqual(['echo', 'wiki__search'])
    const call = (name: string) => ask(conversation, 'tools/call', { name })
    expect(await call('wiki__edit')).toMatchObject({ refusal: { code: 'tool_not_allowed' } })
    expect(await call('files__read')).toMatchObject({ refusal: { code: 'server_not_allowed' } })
    expect(await call('plain__now')).toMatchObject({ refusal: { code: 'level_too_low' } })
    expect(room.heard.filter(({ method }) => method === 'tools/call')).toEqual([])
    expect(room.audit.map(({ action, target, rule }) => [action, target, rule])).toEqual([
      ['edit', 'wiki', 'server.toolFilter'],
      ['read', 'files', 'server.authTokens'],
      ['now', 'plain', 'level'],
    ])
    expect(JSON.stringify(resultOf(await ask(conversation, 'tools/list')))).not.toContain('files')
  })

  it('calls a tool under its own name, and records it once', async () => {
    const room = open()
    const conversation = await converse(room)
    const answer = await ask(conversation, 'tools/call', { name: 'files__echo', arguments: { a: 1 } })
    expect(resultOf(answer)).toEqual({ content: [{ type: 'text', text: 'files ran echo with {"a":1}' }] })
    expect(room.audit).toMatchObject([
      { kind: 'execution', action: 'echo', target: 'files', outcome: 'done' },
    ])
  })

  it('calls own tools through the pipeline, and knows no others', async () => {
    const room = open()
    const conversation = await converse(room)
    expect(await ask(conversation, 'tools/call', { name: 'echo', arguments: { message: 'hello' } })).toEqual({
      kind: 'result',
      result: { content: [{ type: 'text', text: 'hello' }], structuredContent: { message: 'hello' } },
    })
    expect(await ask(conversation, 'tools/call', { name: 'echo', arguments: {} })).toMatchObject({
      refusal: { code: 'invalid_arguments' },
    })
    for (const name of ['nothing', 'gone__read', 'wiki__', '__search', 'wiki_search']) {
      expect(await ask(conversation, 'tools/call', { name })).toMatchObject({
        refusal: { code: 'unknown_tool' },
      })
    }
    expect(room.audit.at(-1)).toMatchObject({ kind: 'decision', outcome: 'refuse', rule: 'tool' })
  })

  it('stops an own tool that takes longer than a call may', async () => {
    const room = open()
    const admin = someone({ level: 'admin' })
    const conversation = await converse(room, testInbox(), admin)
    const answer = ask(conversation, 'tools/call', { name: 'endless' }, admin)
    await eventually(() => {
      expect(room.audit).toMatchObject([{ kind: 'decision', outcome: 'allow', action: 'endless' }])
    })
    room.clock.advance(30_000)
    expect(await answer).toMatchObject({
      kind: 'refused',
      refusal: { code: 'cancelled', rule: 'limits.requestTimeout' },
    })
    expect(room.clock.waiting).toBe(0)
  })

  it('routes prompts and completions by their names', async () => {
    const room = open()
    const conversation = await converse(room)
    expect(await ask(conversation, 'prompts/get', { name: 'files__summary' })).toMatchObject({
      result: { messages: [{ content: { text: 'summary of files' } }] },
    })
    expect(
      await ask(conversation, 'completion/complete', {
        ref: { type: 'ref/prompt', name: 'files__summary' },
        argument: { name: 'who', value: 'a' },
      }),
    ).toMatchObject({ result: { completion: { values: ['files'] } } })
    expect(room.heard.at(-1)?.params).toMatchObject({ ref: { type: 'ref/prompt', name: 'summary' } })
    await names(conversation, 'resources/templates/list')
    expect(
      await ask(conversation, 'completion/complete', {
        ref: { type: 'ref/resource', uri: 'wiki://page/{name}' },
        argument: { name: 'name', value: 'a' },
      }),
    ).toMatchObject({ result: { completion: { values: ['wiki'] } } })
    expect(await ask(conversation, 'prompts/get', { name: 'summary' })).toMatchObject({
      kind: 'error',
      error: { code: -32602 },
    })
  })

  it('lists each address once, and reads it from the first server that lists it', async () => {
    const room = open()
    const conversation = await converse(room)
    expect(await names(conversation, 'resources/list')).toEqual(['shared://both', 'wiki://home', 'file:///a'])
    expect(await names(conversation, 'resources/templates/list')).toEqual(['wiki://page/{name}'])
    for (const [uri, text, server] of [
      ['shared://both', 'of wiki', 'wiki'],
      ['file:///a', 'a', 'files'],
    ]) {
      room.heard.length = 0
      expect(await ask(conversation, 'resources/read', { uri })).toMatchObject({
        result: { contents: [{ text }] },
      })
      expect(room.heard.map(({ server: asked }) => asked)).toEqual([server])
    }
  })

  it('asks one server after the other for an address that none has listed', async () => {
    const room = open()
    const conversation = await converse(room)
    const read = (uri: string) => ask(conversation, 'resources/read', { uri })
    expect(await read('file:///a')).toMatchObject({ kind: 'result' })
    expect(room.heard.map(({ server }) => server)).toEqual(['wiki', 'files'])
    await read('file:///a')
    expect(room.heard.map(({ server }) => server)).toEqual(['wiki', 'files', 'files'])
    expect(await read('none://here')).toMatchObject({ kind: 'error', error: { code: -32002 } })
    room.upstreams.set('wiki', 'dead')
    room.upstreams.crash('wiki')
    await expect(read('none://here')).rejects.toMatchObject({ code: 'upstream_unavailable' })
  })

  it('subscribes with the server that has the address, and passes its updates on', async () => {
    const room = open()
    const inbox = testInbox()
    const conversation = await converse(room, inbox)
    expect(await ask(conversation, 'resources/subscribe', { uri: 'file:///a' })).toMatchObject({
      kind: 'result',
    })
    expect(room.heard.filter(({ method }) => method === 'resources/subscribe')).toMatchObject([
      { server: 'files', params: { uri: 'file:///a' } },
    ])
    await room.servers.get('files')?.sendResourceUpdated({ uri: 'file:///a' })
    await eventually(() => {
      expect(inbox.heard).toContainEqual({
        method: 'notifications/resources/updated',
        params: { uri: 'file:///a' },
      })
    })
  })

  it('asks a server that came back for what its client wants to hear', async () => {
    const room = open()
    const inbox = testInbox()
    const conversation = await converse(room, inbox)
    await ask(conversation, 'logging/setLevel', { level: 'warning' })
    await ask(conversation, 'resources/subscribe', { uri: 'file:///a' })
    room.heard.length = 0
    room.upstreams.set('files', 'dead')
    room.upstreams.crash('files')
    room.clock.advance(1_000)
    await eventually(() => {
      expect(room.upstreams.begun('files')).toBe(2)
    })
    room.upstreams.set('files', 'up')
    await eventually(() => {
      room.clock.advance(2_000)
      expect(room.heard.map(({ method }) => method)).toEqual(['logging/setLevel', 'resources/subscribe'])
    })
    expect(room.heard.every(({ server }) => server === 'files')).toBe(true)
    expect(inbox.heard.map(({ method }) => method)).toContain('notifications/tools/list_changed')
    expect(inbox.ends).toEqual([])
    conversation.close()
    expect(room.clock.waiting).toBe(0)
  })

  it('sets the log level of every server, and says which one a log message is from', async () => {
    const room = open()
    const inbox = testInbox()
    const conversation = await converse(room, inbox)
    expect(await ask(conversation, 'logging/setLevel', { level: 'debug' })).toEqual({
      kind: 'result',
      result: {},
    })
    expect(room.heard.map(({ server, method }) => [server, method])).toEqual([
      ['wiki', 'logging/setLevel'],
      ['files', 'logging/setLevel'],
      ['plain', 'logging/setLevel'],
    ])
    await room.servers.get('wiki')?.sendLoggingMessage({ level: 'error', logger: 'disk', data: 'full' })
    await room.servers.get('plain')?.sendLoggingMessage({ level: 'error', data: 'late' })
    await eventually(() => {
      expect(inbox.heard.map(({ params }) => params['logger'])).toEqual(['wiki/disk', 'plain'])
    })
    expect(await ask(conversation, 'logging/setLevel', { level: 'loud' })).toMatchObject({ kind: 'error' })
  })

  it('tells a person which server asks', async () => {
    const room = open({}, [
      {
        name: 'asker',
        tools: [
          {
            name: 'book',
            run: async (_args, server) => {
              const { action } = await server.elicitInput({
                message: 'Which day?',
                requestedSchema: { type: 'object', properties: {} },
              })
              return { content: [{ type: 'text', text: action }] }
            },
          },
        ],
      },
    ])
    const inbox = testInbox({ kind: 'result', result: { action: 'decline' } })
    const begun = await room.backends
      .aggregate()
      .open(caller, { ...CLIENT, capabilities: { elicitation: {} } }, inbox, AbortSignal.timeout(5_000))
    if (!begun.ok) throw new Error('not open')
    const answer = await ask(begun.value, 'tools/call', { name: 'asker__book' })
    expect(resultOf(answer)).toMatchObject({ content: [{ text: 'decline' }] })
    expect(inbox.asked).toMatchObject([
      { method: 'elicitation/create', params: { message: 'asker: Which day?' } },
    ])
  })

  it('says that a list changed when a server says so, and lists anew', async () => {
    const room = open()
    const inbox = testInbox()
    const conversation = await converse(room, inbox)
    await names(conversation)
    await room.servers.get('plain')?.sendToolListChanged()
    await eventually(() => {
      expect(inbox.heard).toContainEqual({ method: 'notifications/tools/list_changed', params: {} })
    })
  })

  it('knows no method that is not for all servers', async () => {
    const conversation = await converse(open())
    for (const method of ['tasks/list', 'x/y', 'constructor', '__proto__']) {
      expect(await ask(conversation, method)).toMatchObject({ kind: 'error', error: { code: -32601 } })
    }
    expect(await ask(conversation, 'ping')).toEqual({ kind: 'result', result: {} })
  })
})

describe('a server that is away', () => {
  it('is left out of lists, named in them and once in the log; the others are there', async () => {
    const room = open()
    room.upstreams.set('files', 'dead')
    const conversation = await converse(room)
    const { tools, _meta } = resultOf(await ask(conversation, 'tools/list'))
    expect((tools as Params[]).map(({ name }) => name)).toEqual([
      'echo',
      'wiki__edit',
      'wiki__search',
      'plain__now',
    ])
    expect(_meta).toEqual({
      'postern/unavailable': [
        { server: 'files', code: 'upstream_unavailable', message: 'The MCP server is away.' },
      ],
    })
    await ask(conversation, 'tools/list')
    expect(room.observed.filter(({ kind }) => kind === 'aggregate.left_out')).toMatchObject([
      { server: 'files', code: 'upstream_unavailable' },
    ])
    await expect(ask(conversation, 'tools/call', { name: 'files__read' })).rejects.toMatchObject({
      code: 'upstream_unavailable',
    })
    expect(await ask(conversation, 'tools/call', { name: 'plain__now' })).toMatchObject({ kind: 'result' })
  })

  it('holds up nobody who is slow for longer than a list may take, and is told of when it comes', async () => {
    const room = open({}, [
      {
        name: 'slow',
        tools: [{ name: 'wait' }],
      },
    ])
    room.upstreams.set('slow', 'hanging')
    const inbox = testInbox()
    const opening = converse(room, inbox)
    await eventually(() => {
      expect(room.upstreams.begun('slow')).toBe(1)
      expect(room.clock.waiting).toBe(1)
    })
    room.clock.advance(1_000)
    const conversation = await opening
    // It may have anything.
    expect(conversation.about.capabilities).toMatchObject({ prompts: {}, resources: { subscribe: true } })
    // It had its time, and is waited for no more.
    const { tools, _meta } = resultOf(await ask(conversation, 'tools/list'))
    expect(JSON.stringify(tools)).not.toContain('slow__wait')
    expect(_meta).toMatchObject({ 'postern/unavailable': [{ server: 'slow', code: 'upstream_timeout' }] })
    room.upstreams.set('slow', 'up')
    await eventually(() => {
      expect(inbox.heard.map(({ method }) => method)).toContain('notifications/tools/list_changed')
    })
    expect(await names(conversation)).toContain('slow__wait')
  })

  it('holds up nobody when it is there and does not answer', async () => {
    const room = open({}, [{ name: 'stuck', tools: [{ name: 'wait' }], stuck: true }])
    const conversation = await converse(room)
    const listing = names(conversation)
    await eventually(() => {
      expect(room.heard).toContainEqual({ server: 'stuck', method: 'tools/list', params: {} })
      expect(room.clock.waiting).toBe(1)
    })
    room.clock.advance(1_000)
    expect(await listing).toContain('plain__now')
    expect(room.observed.filter(({ kind }) => kind === 'aggregate.left_out')).toMatchObject([
      { server: 'stuck', code: 'upstream_timeout' },
    ])
  })

  it('comes back into the lists by itself', async () => {
    const room = open()
    room.upstreams.set('files', 'dead')
    const inbox = testInbox()
    const conversation = await converse(room, inbox)
    expect(await names(conversation)).not.toContain('files__read')
    room.upstreams.set('files', 'up')
    expect(await names(conversation)).toContain('files__read')
    expect(inbox.heard.map(({ method }) => method)).toContain('notifications/tools/list_changed')
    expect(resultOf(await ask(conversation, 'tools/list'))).not.toHaveProperty('_meta')
  })

  it('is begun again by the next request after it crashed', async () => {
    const room = open()
    const conversation = await converse(room)
    room.upstreams.crash('plain')
    expect(await ask(conversation, 'tools/call', { name: 'plain__now' })).toMatchObject({ kind: 'result' })
    expect(room.upstreams.begun('plain')).toBe(2)
    expect(room.upstreams.begun('wiki')).toBe(1)
  })
})

describe('pages of all servers', () => {
  const many = Array.from({ length: 1_200 }, (_, at) => ({ name: `t${String(at).padStart(4, '0')}` }))

  it('follow one another without gaps, in the same order each time', async () => {
    const room = open({}, [{ name: 'many', tools: many, toolsPerPage: 100 }])
    const conversation = await converse(room)
    const seen: unknown[] = []
    let cursor: unknown
    let pages = 0
    do {
      const page = resultOf(await ask(conversation, 'tools/list', cursor === undefined ? {} : { cursor }))
      seen.push(...(page['tools'] as Params[]).map(({ name }) => name))
      cursor = page['nextCursor']
      pages += 1
    } while (cursor !== undefined)
    expect(pages).toBe(3)
    expect(seen).toHaveLength(1_206)
    expect(new Set(seen).size).toBe(1_206)
    expect(seen.slice(6)).toEqual(many.map(({ name }) => `many__${name}`))
    // The list was fetched once for all of its pages.
    expect(
      room.heard.filter(({ server, method }) => server === 'many' && method === 'tools/list'),
    ).toHaveLength(12)
  })

  it('are those of the caller as it is then, even in the middle of a list', async () => {
    const room = open({}, [{ name: 'many', tools: many }])
    const conversation = await converse(room)
    const { nextCursor } = resultOf(await ask(conversation, 'tools/list'))
    const narrowed = someone({ servers: ['wiki'] })
    expect(await ask(conversation, 'tools/list', { cursor: nextCursor }, narrowed)).toMatchObject({
      kind: 'error',
      error: { code: -32602 },
    })
  })

  it('are refused for a cursor that nobody gave', async () => {
    const conversation = await converse(open())
    for (const cursor of ['x', 7, '', 'x'.repeat(5_000)]) {
      expect(await ask(conversation, 'tools/list', { cursor })).toMatchObject({
        kind: 'error',
        error: { code: -32602 },
      })
    }
  })
})

describe('the tools of many that a caller may see', () => {
  it('are told by their prefixed names', () => {
    const { backends } = open({ files: { toolFilter: { mode: 'allow', tools: ['read'] } } })
    const tools = ['echo', 'wiki__edit', 'files__read', 'files__echo', 'gone__x', 'nothing'].map((name) => ({
      name,
    }))
    const visible = backends.aggregate().visibleTools(caller, tools)
    expect(visible.map(({ name }) => name)).toEqual(['echo', 'wiki__edit', 'files__read'])
    expect(backends.aggregate().direct(caller, 'session')).toBeUndefined()
    expect(backends.aggregate().admit(asking(caller, 'tools/call', { name: 'echo' }))).toMatchObject({
      ok: false,
    })
  })
})
