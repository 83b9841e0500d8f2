import { afterAll, beforeAll, expect, it } from 'vitest'
import { isObject, type Params } from '../../src/lib/json-rpc.ts'
import type { Revision } from '../../src/lib/revisions.ts'
import { soon } from '../support/soon.ts'
import type { ClientOptions, TestClient } from '../support/test-client.ts'

/** Entries on a page of the fixtures that these tests go through. */
export const PAGE_SIZE = 7

const STATELESS = '2026-07-28'

/** Text of a result's first content. */
const textOf = (result: Params): string => {
  const first: unknown = Array.isArray(result.content) ? result.content[0] : undefined
  return isObject(first) ? String(first.text) : ''
}

const names = (entries: readonly Params[]): readonly unknown[] => entries.map(({ name }) => name)

async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: unknown; message: string; data: unknown }> {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { code, data } = error as { readonly code?: unknown; readonly data?: unknown }
    return { code, message: error.message, data }
  }
  throw new Error('It did not fail')
}

/**
 * What a client of one revision may expect of the fixture in another, whatever stands between them. Where one of
 * the two has no such thing, that it is answered rightly.
 */
export function behaviours(pair: {
  readonly client: Revision
  readonly upstream: Revision
  /** The code of a resource that is not there, unless it is that of the client's revision. */
  readonly notFound?: number
  readonly connect: (options?: ClientOptions) => Promise<TestClient>
}): void {
  const both = pair.client < pair.upstream ? pair.client : pair.upstream
  const statelessClient = pair.client === STATELESS
  const statelessUpstream = pair.upstream === STATELESS
  let client: TestClient
  beforeAll(async () => {
    client = await pair.connect()
  })
  afterAll(async () => {
    await client.close()
  })

  const counts = async (): Promise<{ counts: Record<string, number>; answers: unknown[] }> =>
    JSON.parse(textOf(await client.call('test_counts'))) as Awaited<ReturnType<typeof counts>>
  const count = async (name: string): Promise<number> => (await counts()).counts[name] ?? 0

  const heard = (method: string): number =>
    client.told.notifications.filter((notification) => notification.method === method).length

  it('learns what the server is', () => {
    expect(client.capabilities).toMatchObject({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
    })
    expect('completions' in client.capabilities).toBe(pair.upstream >= '2025-03-26')
    expect(client.instructions).toBe('This server is here to be tested.')
  })

  it('lists everything, page by page', async () => {
    const tools = await client.list('tools')
    const listed = names(tools.entries)
    expect(new Set(listed).size).toBe(listed.length)
    expect(listed[0]).toBe('test_simple_text')
    expect(tools.pages).toBe(Math.ceil(listed.length / PAGE_SIZE))
    expect(listed.includes('test_audio_content')).toBe(pair.upstream >= '2025-03-26')
    expect(listed.includes('test_elicitation')).toBe(pair.upstream >= '2025-06-18')
    const echo = tools.entries.find(({ name }) => name === 'test_echo')
    expect(echo?.inputSchema).toMatchObject({ required: ['message'] })
    if (both >= '2025-03-26') expect(echo?.annotations).toMatchObject({ readOnlyHint: true })
    if (both >= '2025-06-18') expect(echo?.title).toBe('Echo')
    if (both >= '2025-11-25') expect(echo?.icons).toMatchObject([{ mimeType: 'image/png' }])

    expect(names((await client.list('prompts')).entries)).toContain('test_prompt_with_arguments')
    const resources = (await client.list('resources')).entries
    expect(resources.map(({ uri }) => uri)).toContain('test://watched-resource')
    const templates = (await client.list('resourceTemplates')).entries
    expect(templates.map(({ uriTemplate }) => uriTemplate)).toContain('test://template/{id}/data')
  })

  it('calls tools and gets every kind of content', async () => {
    expect(textOf(await client.call('test_echo', { message: 'hello', region: 'eu' }))).toBe('eu: hello')
    const mixed = await client.call('test_multiple_content_types')
    expect(mixed.content).toMatchObject([
      { type: 'text' },
      { type: 'image', mimeType: 'image/png' },
      { type: 'resource', resource: { uri: 'test://mixed-content-resource' } },
    ])
    expect(await client.call('test_error_handling')).toMatchObject({ isError: true })
    if (both >= '2025-03-26') {
      const { content } = await client.call('test_audio_content')
      expect(content).toMatchObject([{ type: 'audio', mimeType: 'audio/wav' }])
    }
    if (both >= '2025-06-18') {
      const structured = await client.call('test_structured', { city: 'Rome' })
      expect(structured.structuredContent).toEqual({ city: 'Rome', degrees: 21.5 })
      const linked = await client.call('test_resource_link')
      expect(linked.content).toMatchObject([{ type: 'resource_link', uri: 'test://static-text' }])
      expect(linked._meta).toMatchObject({ 'example.org/kept': true })
    }
  })

  it('gets a large result whole', async () => {
    expect(textOf(await client.call('test_large', { bytes: 1_000_000 }))).toHaveLength(1_000_000)
  })

  it('gets prompts and resources', async () => {
    const prompt = await client.prompt('test_prompt_with_arguments', { arg1: 'a', arg2: 'b' })
    expect(prompt.messages).toEqual([
      { role: 'user', content: { type: 'text', text: "Prompt with arguments: arg1='a', arg2='b'" } },
    ])
    expect(await client.read('test://static-text')).toMatchObject({
      contents: [{ text: 'This is the content of the static text resource.' }],
    })
    expect(await client.read('test://static-binary')).toMatchObject({ contents: [{ mimeType: 'image/png' }] })
    const [data] = (await client.read('test://template/42/data')).contents as readonly Params[]
    expect(JSON.parse(String(data?.text))).toMatchObject({ id: '42' })
  })

  it('completes arguments', async () => {
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' }
    const completion = client.complete({ ref, argument: { name: 'arg1', value: 'par' } })
    expect(await completion).toMatchObject({ completion: { values: ['paris', 'park', 'party'] } })
    if (both >= '2025-06-18') {
      const context = { arguments: { arg1: 'paris' } }
      expect(await client.complete({ ref, argument: { name: 'arg2', value: '' }, context })).toMatchObject({
        completion: { values: ['after paris'] },
      })
    }
  })

  it('is told of errors by their code', async () => {
    const own = failureOf(
      client.call('test_rpc_error', { code: -31999, message: 'out of cheese', data: { a: 1 } }),
    )
    expect(await own).toMatchObject({
      code: -31999,
      message: expect.stringContaining('out of cheese'),
      data: { a: 1 },
    })
    expect(await failureOf(client.call('no_such_tool'))).toMatchObject({ code: -32602 })
    expect(await failureOf(client.prompt('no_such_prompt'))).toMatchObject({ code: -32602 })
    expect(await failureOf(client.read('test://nowhere'))).toMatchObject({
      code: pair.notFound ?? (statelessClient ? -32602 : -32002),
    })
  })

  it('hears of progress', async () => {
    const told: Params[] = []
    const result = await client.call(
      'test_tool_with_progress',
      {},
      { onProgress: (progress) => told.push(progress) },
    )
    expect(textOf(result)).toBe('The tool came to its end.')
    expect(told.map(({ progress, total }) => [progress, total])).toEqual([
      [0, 100],
      [50, 100],
      [100, 100],
    ])
    if (both >= '2025-03-26') expect(told.map(({ message }) => message)).toContain('50 of 100')
  })

  it('hears log messages of the level it wants, and no others', async () => {
    const logs = (): readonly unknown[] =>
      client.told.notifications
        .filter(({ method }) => method === 'notifications/message')
        .map(({ params }) => params.level)
    await client.setLevel('info')
    await client.call('test_logging_tool')
    await soon(() => logs()).toEqual(['info', 'error'])
    await client.setLevel('error')
    await client.call('test_logging_tool')
    await soon(() => logs()).toEqual(['info', 'error', 'error'])
  })

  it('stops a call', async () => {
    const before = await counts()
    const abort = new AbortController()
    const call = expect(client.call('test_slow', {}, { signal: abort.signal })).rejects.toThrow()
    await soon(() => count('started')).toBe((before.counts.started ?? 0) + 1)
    abort.abort('changed my mind')
    await call
    await soon(() => count('cancelled')).toBe((before.counts.cancelled ?? 0) + 1)
  })

  it('answers what a model is asked in the middle of a call', async () => {
    const before = client.told.asked.length
    expect(textOf(await client.call('test_sampling', { prompt: 'how are you?' }))).toBe(
      'LLM response: I was asked: how are you?',
    )
    expect(client.told.asked.at(-1)).toMatchObject({
      method: 'sampling/createMessage',
      params: { maxTokens: 100 },
    })
    // Once: a person would have to say yes to every question.
    expect(client.told.asked).toHaveLength(before + 1)
  })

  it('answers what its roots are in the middle of a call', async () => {
    expect(textOf(await client.call('test_roots'))).toContain('file:///a-folder')
  })

  it('answers what a person is asked in the middle of a call', async () => {
    if (pair.upstream < '2025-06-18') return
    const call = client.call('test_elicitation', { message: 'who are you?' })
    if (pair.client < '2025-06-18') {
      // A server without sessions refuses the request; one with them finds out in the middle of the call.
      if (statelessUpstream) await expect(call).rejects.toThrow()
      else expect(await call).toMatchObject({ isError: true })
      return
    }
    const result = await call
    expect(textOf(result)).toContain('"username":"my username"')
    expect(client.told.asked.at(-1)?.params).toMatchObject({ message: 'who are you?' })
    if (both < '2025-11-25') return
    expect(textOf(await client.call('test_elicitation_sep1330_enums'))).toContain('action=accept')
  })

  it('hears of progress before and after a question', async () => {
    if (both < '2025-06-18') return
    const told: Params[] = []
    const call = client.call(
      'test_streaming_elicitation',
      {},
      { onProgress: (progress) => told.push(progress) },
    )
    expect(textOf(await call)).toContain('action=accept')
    // The library for stateless servers counts the questions, too; it knows of no total.
    expect(told.filter(({ total }) => total === 3).map(({ progress }) => progress)).toEqual([1, 2, 3])
  })

  it('sends a person to a page', async () => {
    if (both < '2025-11-25') return
    expect(textOf(await client.call('test_elicitation_url'))).toContain('action=accept')
    expect(client.told.asked.at(-1)?.params).toMatchObject({
      mode: 'url',
      url: 'https://example.org/sign-in',
    })
  })

  it('answers several questions, and one after another', async () => {
    if (both < '2025-06-18') return
    const before = client.told.asked.length
    const several = textOf(await client.call('test_input_required_result_multiple_inputs'))
    expect(several).toContain('I was asked: Generate a greeting')
    expect(several).toContain('file:///a-folder')
    expect(several).toContain('my name')
    expect(textOf(await client.call('test_input_required_result_multi_round'))).toBe(
      'my name likes {"color":"my color"}',
    )
    expect(textOf(await client.call('test_input_required_result_request_state'))).toBe('state-ok')
    expect(client.told.asked).toHaveLength(before + 6)
  })

  it('is asked for a prompt and a resource, too', async () => {
    if (both < '2025-06-18') return
    expect(await client.prompt('test_input_required_result_prompt')).toMatchObject({
      messages: [{ content: { text: 'Use this context: my context' } }],
    })
    expect(await client.read('test://asks-first')).toMatchObject({ contents: [{ text: 'You said: accept' }] })
  })

  it('is asked outside of a call where both have sessions', async () => {
    const before = (await counts()).answers.length
    await client.call('test_ask_outside')
    await soon(async () => (await counts()).answers.length).toBe(before + 1)
    const last = JSON.stringify((await counts()).answers.at(-1))
    expect(last.includes('file:///a-folder'), last).toBe(!statelessClient && !statelessUpstream)
  })

  it('says that its roots are others where both have sessions', async () => {
    const before = await count('notifications/roots/list_changed')
    await client.rootsChanged()
    if (statelessClient || statelessUpstream) return
    await soon(() => count('notifications/roots/list_changed')).toBe(before + 1)
  })

  it('hears that a list is another', async () => {
    await client.watch([])
    for (const kind of ['tools', 'prompts', 'resources'] as const) {
      const method = `notifications/${kind}/list_changed`
      const before = heard(method)
      const size = (await client.list(kind)).entries.length
      await client.call(`test_trigger_${kind.slice(0, -1)}_change`)
      await soon(() => heard(method)).toBe(before + 1)
      expect((await client.list(kind)).entries).toHaveLength(size + 1)
      await client.call(`test_trigger_${kind.slice(0, -1)}_change`)
      await soon(() => heard(method)).toBe(before + 2)
      expect((await client.list(kind)).entries).toHaveLength(size)
    }
  })

  it('hears of the resources that it watches', async () => {
    const method = 'notifications/resources/updated'
    await client.watch(['test://watched-resource'])
    await client.call('test_touch_resource', { uri: 'test://static-text' })
    await client.call('test_touch_resource')
    await soon(() => heard(method)).toBe(1)
    expect(client.told.notifications.findLast((told) => told.method === method)?.params).toMatchObject({
      uri: 'test://watched-resource',
    })
    await client.unwatch(['test://watched-resource'])
    await client.call('test_touch_resource')
    await client.ping()
    expect(heard(method)).toBe(1)
  })

  it('is known to the server by what it declared', async () => {
    const about = JSON.parse(textOf(await client.call('test_about_caller'))) as Params
    expect(about).toMatchObject({ revision: pair.upstream, capabilities: { sampling: {} } })
    expect(about.meta).toEqual({})
  })

  it('is not asked what it cannot answer', async () => {
    const bare = await pair.connect({ bare: true })
    const call = bare.call('test_missing_capability')
    // A server without sessions refuses the request; one with them finds out in the middle of the call.
    if (statelessUpstream) await expect(call).rejects.toThrow()
    else expect(await call).toMatchObject({ isError: true })
    expect(bare.told.asked).toEqual([])
    expect(textOf(await bare.call('test_simple_text'))).toContain('simple text')
    await bare.close()
  })

  it('does many things at once', async () => {
    const calls = Array.from({ length: 20 }, (_, index) => client.call('test_echo', { message: `${index}` }))
    const results = await Promise.all(calls)
    expect(results.map(textOf)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`))
  })
}
