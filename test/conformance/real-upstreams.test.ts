import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isObject, type Params } from '../../src/lib/json-rpc.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { workFolder } from '../support/postern.ts'
import { httpTransport, sessionClient } from '../support/session-client.ts'
import { soon } from '../support/soon.ts'
import { statelessClient, statelessHttp } from '../support/stateless-client.ts'
import type { TestClient } from '../support/test-client.ts'
import { everythingServer, type RunningUpstream, stdioServers } from '../support/upstreams.ts'

const TOKEN = 'a-token-of-these-tests-and-of-nothing-else'

/** The official clients, by what they speak with Postern. */
const CLIENTS = {
  'version 1 over HTTP with SSE': (url: string, root?: string) =>
    sessionClient(
      '2024-11-05',
      httpTransport({ url: `${url}/sse`, headers: HEADERS }),
      root === undefined ? {} : { root },
    ),
  'version 1 over Streamable HTTP': (url: string, root?: string) =>
    sessionClient(
      '2025-11-25',
      httpTransport({ url: `${url}/mcp`, headers: HEADERS }),
      root === undefined ? {} : { root },
    ),
  'version 2, stateless': (url: string, root?: string) =>
    statelessClient(
      statelessHttp({ url: `${url}/mcp`, headers: HEADERS }),
      root === undefined ? {} : { root },
    ),
} satisfies Record<string, (url: string, root?: string) => Promise<TestClient>>

const HEADERS = { authorization: `Bearer ${TOKEN}` }

const textOf = (result: Params): string => {
  const first: unknown = Array.isArray(result.content) ? result.content[0] : undefined
  return isObject(first) ? String(first.text) : ''
}

const SERVERS = ['everything-stdio', 'everything-sse', 'everything-http'] as const

let gateway: RunningGateway
let sse: RunningUpstream
let streamable: RunningUpstream
let folder: Awaited<ReturnType<typeof workFolder>>
let files = ''
beforeAll(async () => {
  folder = await workFolder()
  files = join(folder.dir, 'files')
  await mkdir(files)
  await writeFile(join(files, 'hello.txt'), 'hello from a file\n')
  ;[sse, streamable] = await Promise.all([everythingServer('sse'), everythingServer('streamableHttp')])
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      mcpServers: {
        'everything-stdio': stdioServers.everything(),
        'everything-sse': { url: sse.url, transport: 'sse' },
        'everything-http': { url: streamable.url },
        files: stdioServers.filesystem(files),
        memory: stdioServers.memory(join(folder.dir, 'memory.json')),
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await Promise.all([sse.stop(), streamable.stop()])
  await folder.remove()
})

const clients = Object.keys(CLIENTS) as (keyof typeof CLIENTS)[]

describe.each(clients)('the official client, %s', (kind) => {
  const connect = (server: string, root?: string): Promise<TestClient> =>
    CLIENTS[kind](`${gateway.url}/${server}`, root)
  const stateless = kind === 'version 2, stateless'

  describe.each(SERVERS)('at %s', (server) => {
    let client: TestClient
    beforeAll(async () => {
      client = await connect(server)
    })
    afterAll(() => client.close())

    it('lists tools, prompts, resources and templates', async () => {
      const tools = (await client.list('tools')).entries.map(({ name }) => name)
      expect(tools).toEqual(expect.arrayContaining(['echo', 'get-sum', 'trigger-sampling-request']))
      const prompts = (await client.list('prompts')).entries.map(({ name }) => name)
      expect(prompts).toEqual(expect.arrayContaining(['simple-prompt', 'args-prompt', 'completable-prompt']))
      const resources = (await client.list('resources')).entries.map(({ uri }) => uri)
      expect(resources).toContain('demo://resource/static/document/architecture.md')
      const templates = (await client.list('resourceTemplates')).entries.map(({ uriTemplate }) => uriTemplate)
      expect(templates).toContain('demo://resource/dynamic/text/{resourceId}')
    })

    it('calls tools', async () => {
      expect(textOf(await client.call('echo', { message: 'hi' }))).toBe('Echo: hi')
      expect(textOf(await client.call('get-sum', { a: 1, b: 2 }))).toBe('The sum of 1 and 2 is 3.')
      expect(await client.call('get-sum', { a: 'one' })).toMatchObject({ isError: true })
      const image = await client.call('get-tiny-image')
      expect(image.content).toContainEqual(expect.objectContaining({ type: 'image', mimeType: 'image/png' }))
      if (client.revision >= '2025-06-18') {
        const weather = await client.call('get-structured-content', { location: 'New York' })
        expect(weather.structuredContent).toMatchObject({ conditions: 'Cloudy' })
      }
    })

    it('gets prompts and resources, and completes arguments', async () => {
      const prompt = await client.prompt('args-prompt', { city: 'Paris' })
      expect(JSON.stringify(prompt.messages)).toContain('Paris')
      const document = await client.read('demo://resource/static/document/architecture.md')
      expect(document).toMatchObject({ contents: [{ mimeType: 'text/markdown' }] })
      const dynamic = await client.read('demo://resource/dynamic/text/7')
      expect(JSON.stringify(dynamic.contents)).toContain('Resource 7')
      const completed = await client.complete({
        ref: { type: 'ref/prompt', name: 'completable-prompt' },
        argument: { name: 'department', value: 'E' },
      })
      expect(completed).toMatchObject({ completion: { values: ['Engineering'] } })
    })

    it('says what its roots are', async () => {
      // The server asks by itself, some time after the session began. A client without sessions is asked in the
      // middle of a call that happens to run.
      await soon(async () => textOf(await client.call('get-roots-list'))).toContain('file:///a-folder')
    })

    it('hears of progress', async () => {
      const told: Params[] = []
      const call = client.call(
        'trigger-long-running-operation',
        { duration: 0.2, steps: 4 },
        { onProgress: (progress) => told.push(progress) },
      )
      expect(textOf(await call)).toContain('Long running operation completed')
      // The server sends the last one together with the answer, which some clients take for one of no request.
      expect(told.map(({ progress }) => progress).slice(0, 3)).toEqual([1, 2, 3])
    })

    it('lends its model', async () => {
      const sampled = await client.call('trigger-sampling-request', { prompt: 'a riddle', maxTokens: 20 })
      expect(textOf(sampled)).toContain('a riddle')
      expect(textOf(sampled)).toContain('I was asked: ')
    })

    it('asks a person, where its revision can', async () => {
      const tools = (await client.list('tools')).entries.map(({ name }) => name)
      if (client.revision < '2025-06-18') {
        expect(tools).not.toContain('trigger-elicitation-request')
        return
      }
      const answered = await client.call('trigger-elicitation-request')
      expect(JSON.stringify(answered.content)).toContain('Name: my name')
      const visited = await client.call('trigger-url-elicitation', { url: 'https://example.org/' })
      expect(textOf(visited)).toContain('https://example.org/')
    })

    it('subscribes to a resource and hears log messages', async () => {
      const uri = 'demo://resource/dynamic/text/1'
      await client.watch([uri])
      await client.setLevel('debug')
      await client.call('toggle-subscriber-updates')
      await client.call('toggle-simulated-logging')
      const heard = (method: string): readonly Params[] =>
        client.told.notifications.filter((told) => told.method === method).map(({ params }) => params)
      // The first of each comes at once; the server waits for five seconds before it sends another.
      await soon(() => heard('notifications/resources/updated')).toContainEqual(
        expect.objectContaining({ uri }),
      )
      if (!stateless) await soon(() => heard('notifications/message').length).toBeGreaterThan(0)
      await client.call('toggle-subscriber-updates')
      await client.call('toggle-simulated-logging')
      await client.unwatch([uri])
    })
  })

  it('reads and writes files by server-filesystem', async () => {
    const client = await connect('files', pathToFileURL(files).href)
    const path = join(files, 'hello.txt')
    expect(textOf(await client.call('read_text_file', { path }))).toBe('hello from a file\n')
    const written = join(files, `${client.revision}.txt`)
    await client.call('write_file', { path: written, content: `by ${client.revision}` })
    expect(await readFile(written, 'utf8')).toBe(`by ${client.revision}`)
    expect(await client.call('read_text_file', { path: '/etc/hostname' })).toMatchObject({ isError: true })
    const { entries } = await client.list('tools')
    const reader = entries.find(({ name }) => name === 'read_text_file')
    if (client.revision >= '2025-03-26') expect(reader?.annotations).toMatchObject({ readOnlyHint: true })
    await client.close()
  })

  it('remembers by server-memory', async () => {
    const client = await connect('memory')
    const name = `Ada of ${client.revision}`
    const entity = { name, entityType: 'person', observations: ['wrote the first program'] }
    await client.call('create_entities', { entities: [entity] })
    const found = await client.call('search_nodes', { query: name })
    expect(textOf(found)).toContain('wrote the first program')
    await client.call('delete_entities', { entityNames: [name] })
    expect(textOf(await client.call('read_graph'))).not.toContain(name)
    await client.close()
  })
})
