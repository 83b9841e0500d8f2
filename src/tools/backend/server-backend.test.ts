import { describe, expect, it } from 'vitest'
import {
  asking,
  type BackendsHarness,
  CLIENT,
  openBackends,
  someone,
  testInbox,
} from '../../../test/support/backends.ts'
import { sdkServer } from '../../../test/support/sdk-server.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Params } from '../../lib/json-rpc.ts'
import type { UpstreamRules } from '../../upstreams/options.ts'
import type { GuardedAnswer, GuardedConversation } from './backend.ts'

const TOOLS = [
  { name: 'read', annotations: { readOnlyHint: true } },
  { name: 'lie', annotations: { readOnlyHint: true, destructiveHint: true } },
  { name: 'write', annotations: { destructiveHint: true } },
  { name: 'plain' },
]

const requests: { method: string; params: unknown }[] = []

function open(rules: Partial<UpstreamRules> = {}, tools = TOOLS): BackendsHarness {
  requests.length = 0
  return openBackends([
    {
      name: 'wiki',
      rules,
      make: () =>
        sdkServer({
          name: 'wiki',
          tools,
          toolsPerPage: 2,
          prompts: ['hello'],
          resources: { 'test://one': 'one' },
          heard: (method, params) => void requests.push({ method, params }),
        }),
    },
    { name: 'payroll', rules: { authTokens: ['boss'] }, make: () => sdkServer({ name: 'payroll' }) },
  ])
}

async function converse(
  { backends }: BackendsHarness,
  caller: Caller,
  inbox = testInbox(),
): Promise<GuardedConversation> {
  const backend = backends.server(caller, 'wiki')
  if (!backend.ok) throw new Error(backend.error.message)
  const begun = await backend.value.open(caller, CLIENT, inbox, AbortSignal.timeout(5_000))
  if (!begun.ok) throw new Error(begun.error.message)
  return begun.value
}

const toolNames = (answer: GuardedAnswer): unknown[] =>
  answer.kind === 'result' ? (answer.result['tools'] as Params[]).map(({ name }) => name) : [answer]

async function listed(conversation: GuardedConversation, caller: Caller): Promise<unknown[]> {
  const first = await conversation.request(asking(caller, 'tools/list'))
  const second = await conversation.request(asking(caller, 'tools/list', { cursor: '2' }))
  return [...toolNames(first), ...toolNames(second)]
}

const call = (conversation: GuardedConversation, caller: Caller, name: string): Promise<GuardedAnswer> =>
  conversation.request(asking(caller, 'tools/call', { name, arguments: { secret: 'hunter2' } }))

describe('backends.server', () => {
  it('F4 answers 403 for a server that is not open to the credential, and 404 for one that is not there', () => {
    const { backends, audit } = open()
    const issued = someone()
    expect(backends.server(issued, 'wiki').ok).toBe(true)
    expect(backends.server(issued, 'payroll', 'req-7')).toMatchObject({
      error: { code: 'server_not_allowed', rule: 'server.authTokens' },
    })
    const unknown = backends.server(issued, 'payrol')
    expect(unknown).toMatchObject({
      error: { code: 'not_found', rule: 'server', candidates: ['wiki'], allowed: 'servers wiki' },
    })
    expect(JSON.stringify(unknown)).not.toContain('payroll')
    expect(audit.map(({ requestId, target, rule, outcome }) => [requestId, target, rule, outcome])).toEqual([
      ['req-7', 'payroll', 'server.authTokens', 'refuse'],
      [undefined, 'payrol', 'server', 'refuse'],
    ])
  })

  it('F4 lets a listed static token in, and an issued one that names the server', () => {
    const { backends } = open()
    expect(backends.server(someone({}, { kind: 'static', name: 'boss' }), 'payroll').ok).toBe(true)
    expect(backends.server(someone({ servers: ['payroll'] }), 'payroll').ok).toBe(true)
    expect(backends.server(someone({ servers: ['payroll'] }), 'wiki')).toMatchObject({
      error: { rule: 'server', candidates: ['payroll'] },
    })
    const nobody = backends.server(someone({ servers: [] }), 'nothing')
    expect(JSON.stringify(nobody)).not.toMatch(/wiki|payroll/)
  })

  it('answers with the same backend each time, and not once the server is gone', () => {
    const { backends, upstreams } = open()
    const caller = someone()
    expect(backends.server(caller, 'wiki')).toBe(backends.server(caller, 'wiki'))
    upstreams.reload([])
    expect(backends.server(caller, 'wiki')).toMatchObject({ error: { code: 'not_found' } })
    expect(backends.any).toBe(false)
  })
})

describe('a conversation with a server', () => {
  it('calls a tool and records who, what, where and by which rule, but no argument', async () => {
    const harness = open()
    const caller = someone()
    const conversation = await converse(harness, caller)
    expect(await call(conversation, caller, 'plain')).toMatchObject({
      kind: 'result',
      result: { content: [{ text: 'wiki ran plain with {"secret":"hunter2"}' }] },
    })
    expect(harness.audit).toEqual([
      {
        kind: 'execution',
        outcome: 'done',
        at: harness.clock.now(),
        requestId: 'req-1',
        principal: 'ann',
        credentialId: 'tok_ann',
        tenant: 'default',
        wire: 'mcp',
        action: 'plain',
        target: 'wiki',
        rule: 'level:read-write',
        durationMs: expect.any(Number) as number,
      },
    ])
    expect(JSON.stringify([harness.audit, harness.observed])).not.toContain('hunter2')
  })

  it('tells metrics only names that the server has', async () => {
    const harness = open()
    const caller = someone()
    const conversation = await converse(harness, caller)
    await call(conversation, caller, 'plain')
    await listed(conversation, caller)
    await call(conversation, caller, 'plain')
    expect(await call(conversation, caller, 'no-such-tool')).toMatchObject({ kind: 'error' })
    expect(harness.observed).toMatchObject([
      { kind: 'tool', tool: '(unknown)', server: 'wiki', outcome: 'done' },
      { kind: 'tool', tool: 'plain', server: 'wiki', outcome: 'done' },
      { kind: 'tool', tool: '(unknown)', server: 'wiki', outcome: 'failed' },
    ])
    expect(harness.audit.at(-1)).toMatchObject({ action: 'no-such-tool', rule: 'rpc.-32602' })
  })

  it('P3 keeps tools from a credential whose level is too low, and does not list them', async () => {
    const harness = open()
    const reader = someone({ level: 'read-only' })
    const conversation = await converse(harness, reader)
    expect(await listed(conversation, reader)).toEqual([])
    expect(await call(conversation, reader, 'read')).toMatchObject({
      kind: 'refused',
      refusal: {
        code: 'level_too_low',
        message: 'level read-write is needed, this credential has read-only',
      },
    })
    expect(requests.some(({ method }) => method === 'tools/call')).toBe(false)
    expect(harness.audit).toMatchObject([
      { kind: 'decision', outcome: 'refuse', rule: 'level', action: 'read' },
    ])
  })

  it('F6 lets nobody call what the filter leaves out, and does not list it', async () => {
    for (const toolFilter of [
      { mode: 'allow' as const, tools: ['read', 'plain', 'not-there'] },
      { mode: 'deny' as const, tools: ['write', 'lie'] },
    ]) {
      const harness = open({ toolFilter })
      const admin = someone({ level: 'admin' })
      const conversation = await converse(harness, admin)
      expect(await listed(conversation, admin)).toEqual(['read', 'plain'])
      expect(await call(conversation, admin, 'write')).toMatchObject({
        kind: 'refused',
        refusal: { code: 'tool_not_allowed', rule: 'server.toolFilter' },
      })
      expect(await call(conversation, admin, 'plain')).toMatchObject({ kind: 'result' })
    }
  })

  it('F6 asks for the level and the scopes of a tool beside those of its server', async () => {
    const harness = open({
      scopes: ['wiki'],
      tools: {
        write: { level: 'admin', scopes: ['wiki:write'] },
        read: { level: 'read-only', scopes: [] },
        __proto__: { level: 'read-only', scopes: [] },
      },
    })
    const caller = someone({ scopes: ['wiki'] })
    const conversation = await converse(harness, caller)
    expect(await listed(conversation, caller)).toEqual(['read', 'lie', 'plain'])
    expect(await call(conversation, caller, 'write')).toMatchObject({ refusal: { code: 'level_too_low' } })
    expect(await call(conversation, someone({ level: 'admin', scopes: ['wiki'] }), 'write')).toMatchObject({
      refusal: { code: 'scope_missing', scopes: ['wiki', 'wiki:write'] },
    })
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(await call(conversation, someone({ level: 'read-only' }), name)).toMatchObject({
        refusal: { code: 'level_too_low' },
      })
    }
    await expect(converse(harness, someone({ scopes: [] }))).rejects.toThrow('scope wiki is needed')
  })

  it('decides each request by the grant as it is then', async () => {
    const harness = open()
    const conversation = await converse(harness, someone())
    expect(await call(conversation, someone({ servers: ['payroll'] }), 'plain')).toMatchObject({
      kind: 'refused',
      refusal: { code: 'server_not_allowed' },
    })
    expect(await conversation.listen(someone({ servers: [] }), { toolsListChanged: true }, 'r')).toEqual({})
    harness.upstreams.rules('wiki', { level: 'admin' })
    expect(await call(conversation, someone(), 'plain')).toMatchObject({ refusal: { rule: 'level' } })
  })

  it('lets every level read prompts and resources, but for a server that is kept for administrators', async () => {
    const harness = open()
    const reader = someone({ level: 'read-only' })
    const conversation = await converse(harness, reader)
    expect(await conversation.request(asking(reader, 'prompts/get', { name: 'hello' }))).toMatchObject({
      kind: 'result',
    })
    expect(await conversation.request(asking(reader, 'resources/read', { uri: 'test://one' }))).toMatchObject(
      {
        result: { contents: [{ text: 'one' }] },
      },
    )
    expect(await conversation.request(asking(reader, 'resources/list'))).toMatchObject({ kind: 'result' })
    expect(harness.audit).toMatchObject([
      { action: 'prompts/get', target: 'wiki', outcome: 'done', rule: 'level:read-only' },
      { action: 'resources/read', target: 'wiki', outcome: 'done' },
    ])
    expect(JSON.stringify(harness.audit)).not.toContain('test://one')
    harness.upstreams.rules('wiki', { level: 'admin' })
    expect(await conversation.request(asking(reader, 'resources/list'))).toMatchObject({
      refusal: { code: 'level_too_low' },
    })
  })

  it('begins nothing with a server for administrators, unless one of its tools is open to others', async () => {
    const caller = someone()
    await expect(converse(open({ level: 'admin' }), caller)).rejects.toThrow('level admin is needed')
    const harness = open({ level: 'admin', tools: { read: { level: 'read-write', scopes: [] } } })
    const conversation = await converse(harness, caller)
    expect(await listed(conversation, caller)).toEqual(['read'])
    expect(await conversation.request(asking(caller, 'prompts/list'))).toMatchObject({ kind: 'refused' })
  })

  it('judges a method it does not know as a tool of that name', async () => {
    const harness = open({ toolFilter: { mode: 'allow', tools: ['plain'] } })
    const caller = someone()
    const conversation = await converse(harness, caller)
    expect(
      await conversation.request(asking(caller, 'tools/callUnfiltered', { name: 'write' })),
    ).toMatchObject({
      refusal: { code: 'tool_not_allowed' },
    })
    harness.upstreams.rules('wiki', {})
    expect(await conversation.request(asking(someone({ level: 'read-only' }), 'x/y', {}))).toMatchObject({
      refusal: { code: 'level_too_low' },
    })
    expect(await conversation.request(asking(caller, 'x/y', {}))).toMatchObject({
      kind: 'error',
      error: { code: -32601 },
    })
  })

  it('refuses a tool name that is none', async () => {
    const harness = open()
    const caller = someone({ level: 'admin' })
    const conversation = await converse(harness, caller)
    for (const name of [undefined, 7, '', 'x'.repeat(257)]) {
      expect(await conversation.request(asking(caller, 'tools/call', { name }))).toMatchObject({
        kind: 'refused',
        refusal: { code: 'invalid_request' },
      })
    }
  })

  it('records a call that came to no answer under the code of its fault', async () => {
    const harness = open({}, [
      ...TOOLS,
      { name: 'crash', run: () => (harness.upstreams.crash('wiki'), { content: [] }) } as never,
    ])
    const caller = someone()
    const conversation = await converse(harness, caller)
    await expect(call(conversation, caller, 'crash')).rejects.toMatchObject({ code: 'upstream_unavailable' })
    expect(harness.audit.at(-1)).toMatchObject({
      kind: 'execution',
      outcome: 'failed',
      rule: 'upstream_unavailable',
    })
  })

  it('waits for room in the record before anything reaches the server', async () => {
    const harness = open()
    const caller = someone()
    const conversation = await converse(harness, caller)
    let makeRoom = (): void => {}
    harness.full = new Promise((resolve) => {
      makeRoom = resolve
    })
    const answer = call(conversation, caller, 'plain')
    await new Promise(setImmediate)
    expect(requests).toEqual([])
    makeRoom()
    expect(await answer).toMatchObject({ kind: 'result' })
  })

  it('sends nothing to the server for a caller who has gone', async () => {
    const harness = open()
    const caller = someone()
    const conversation = await converse(harness, caller)
    const answer = await conversation.request(
      asking(caller, 'tools/call', { name: 'plain' }, { signal: AbortSignal.abort() }),
    )
    expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'cancelled' } })
    expect(requests).toEqual([])
  })
})

describe('hints', () => {
  const reader = someone({ level: 'read-only' })

  it('change nothing unless they are trusted', async () => {
    const harness = open()
    const conversation = await converse(harness, reader)
    expect(await listed(conversation, reader)).toEqual([])
    expect(await call(conversation, reader, 'read')).toMatchObject({ kind: 'refused' })
  })

  it('lower a tool to reading when they are trusted and say nothing of destroying', async () => {
    const harness = open({ trustHints: true })
    const conversation = await converse(harness, reader)
    expect(await listed(conversation, reader)).toEqual(['read'])
    expect(await call(conversation, reader, 'read')).toMatchObject({ kind: 'result' })
    for (const name of ['lie', 'write', 'plain', 'not-there']) {
      expect(await call(conversation, reader, name)).toMatchObject({ refusal: { code: 'level_too_low' } })
    }
  })

  it('are looked up once where a call comes before a list', async () => {
    const harness = open({ trustHints: true })
    const conversation = await converse(harness, reader)
    expect(await call(conversation, reader, 'read')).toMatchObject({ kind: 'result' })
    expect(await call(conversation, reader, 'write')).toMatchObject({ kind: 'refused' })
    await call(conversation, reader, 'not-there')
    await call(conversation, reader, 'not-there')
    const lists = () => requests.filter(({ method }) => method === 'tools/list').length
    expect(lists()).toBe(2)
    harness.clock.advance(60_000)
    await call(conversation, reader, 'not-there')
    expect(lists()).toBe(4)
    expect(harness.upstreams.begun('wiki')).toBe(1)
  })

  it('are not asked for where they could change nothing', async () => {
    const harness = open({ trustHints: true, tools: { read: { level: 'read-write', scopes: [] } } })
    const conversation = await converse(harness, reader)
    expect(await call(conversation, reader, 'read')).toMatchObject({ kind: 'refused' })
    expect(await call(conversation, someone(), 'write')).toMatchObject({ kind: 'result' })
    expect(requests.map(({ method }) => method)).toEqual(['tools/call'])
  })

  it('raise a tool of a server that is said to read only', async () => {
    const harness = open({ trustHints: true, level: 'read-only' })
    const conversation = await converse(harness, reader)
    expect(await listed(conversation, reader)).toEqual(['read'])
  })

  it('do not lower the other tools of a server for administrators', async () => {
    const harness = open({ trustHints: true, level: 'admin' })
    const caller = someone({ level: 'admin' })
    const conversation = await converse(harness, caller)
    expect(await listed(conversation, caller)).toHaveLength(4)
    expect(await call(conversation, someone(), 'write')).toMatchObject({ refusal: { code: 'level_too_low' } })
    expect(await call(conversation, someone(), 'read')).toMatchObject({ kind: 'result' })
  })

  it('hold the strictest word a server gave until it says that its tools changed', async () => {
    const harness = open({ trustHints: true })
    const backend = harness.backends.server(reader, 'wiki')
    if (!backend.ok) throw new Error('no backend')
    const says = (readOnlyHint: boolean): number =>
      backend.value.visibleTools(reader, [{ name: 'read', annotations: { readOnlyHint } }]).length
    expect([says(true), says(false), says(true)]).toEqual([1, 0, 0])
    harness.upstreams.changed('wiki')
    expect(says(true)).toBe(1)
  })
})

describe('backend.admit', () => {
  it('decides at once, and records the outcome once', () => {
    const { backends, audit } = open()
    const caller = someone()
    const backend = backends.server(caller, 'wiki')
    if (!backend.ok) throw new Error('no backend')
    const admitted = backend.value.admit(asking(caller, 'tools/call', { name: 'plain' }))
    if (admitted instanceof Promise || !admitted.ok) throw new Error('not at once')
    expect(audit).toEqual([])
    admitted.value.settle('failed', { rule: 'upstream_timeout' })
    admitted.value.settle('done')
    expect(audit).toMatchObject([{ outcome: 'failed', rule: 'upstream_timeout', action: 'plain' }])
  })

  it('opens a conversation of its own to look a tool up, and closes it again', async () => {
    const { backends, upstreams } = open({ trustHints: true })
    const reader = someone({ level: 'read-only' })
    const backend = backends.server(reader, 'wiki')
    if (!backend.ok) throw new Error('no backend')
    const results = await Promise.all(
      ['read', 'plain'].map(
        async (name) => await backend.value.admit(asking(reader, 'tools/call', { name })),
      ),
    )
    expect(results.map(({ ok }) => ok)).toEqual([true, false])
    expect(upstreams.begun('wiki')).toBe(1)
    expect(upstreams.find('wiki')?.status().conversations).toBe(0)
  })

  it('says that the server is away when a tool cannot be looked up', async () => {
    const { backends, upstreams } = open({ trustHints: true })
    const reader = someone({ level: 'read-only' })
    const backend = backends.server(reader, 'wiki')
    if (!backend.ok) throw new Error('no backend')
    upstreams.set('wiki', 'dead')
    const admit = async (): Promise<unknown> =>
      await backend.value.admit(asking(reader, 'tools/call', { name: 'read' }))
    await expect(admit()).rejects.toMatchObject({ code: 'upstream_unavailable' })
    upstreams.set('wiki', 'up')
    expect(await admit()).toMatchObject({ ok: true })
  })
})
