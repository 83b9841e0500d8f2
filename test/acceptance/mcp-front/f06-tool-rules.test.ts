import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Params } from '../../../src/lib/json-rpc.ts'
import { type Fixture, startFixture } from '../../conformance/fixture/fixture.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask } from '../../support/postern.ts'
import { httpTransport, sessionClient } from '../../support/session-client.ts'
import { statelessClient, statelessHttp } from '../../support/stateless-client.ts'
import type { TestClient } from '../../support/test-client.ts'
import { stdioServers } from '../../support/upstreams.ts'

/** What the rules of the fixtures do to its tools. */
const RULES = {
  toolFilter: { mode: 'deny', tools: ['test_image_content'] },
  tools: {
    test_simple_text: { level: 'read-only' },
    test_error_handling: { level: 'admin' },
    test_multiple_content_types: { scopes: ['pictures'] },
  },
}

const SERVERS = ['session', 'stateless'] as const

const token: Record<string, string> = {}
let fixtures: readonly Fixture[]
let folder: string
let gateway: RunningGateway

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'postern-f06-')))
  await writeFile(join(folder, 'note.txt'), 'a note')
  fixtures = [
    await startFixture({ transport: 'http', revision: '2025-11-25' }),
    await startFixture({ transport: 'http', revision: '2026-07-28' }),
  ]
  const files = stdioServers.filesystem(folder)
  gateway = await startGateway({
    configuration: {
      mcpServers: {
        session: { url: fixtures[0]?.url, ...RULES },
        stateless: { url: fixtures[1]?.url, ...RULES },
        files: { ...files, trustHints: true, toolFilter: { mode: 'deny', tools: ['list_directory'] } },
        distrusted: { ...files },
      },
    },
  })
  for (const [name, grant] of Object.entries({
    reader: { level: 'read-only' },
    writer: { level: 'read-write', scopes: ['pictures'] },
    scopeless: { level: 'read-write', scopes: ['other'] },
    admin: { level: 'admin' },
  })) {
    token[name] = (await gateway.issue({ note: name, ...grant })).token
  }
})
afterAll(async () => {
  await gateway?.close()
  for (const fixture of fixtures ?? []) await fixture.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

/** One way to the tools of a fixture: a list of names, and a call that answers `done` or a code. */
interface Way {
  names(): Promise<readonly string[]>
  call(tool: string): Promise<string>
  close(): Promise<void>
}

const headersOf = (who: string) => ({ authorization: `Bearer ${token[who]}` })

/** A refused tool is a result with its refusal in `_meta`, or an error with it in `data`. */
async function outcome(call: Promise<Params>): Promise<string> {
  try {
    const { _meta } = await call
    const refusal = (_meta as Params | undefined)?.['postern/refusal']
    return refusal === undefined ? 'done' : String((refusal as Params)['code'])
  } catch (error) {
    const text = JSON.stringify([error instanceof Error ? error.message : '', error])
    return /"code\\?":\\?"(\w+)/.exec(text)?.[1] ?? (text.includes('scope') ? 'scope_missing' : text)
  }
}

function wayOf(client: TestClient, prefix = ''): Way {
  return {
    async names() {
      const { entries } = await client.list('tools')
      const names = entries.map(({ name }) => String(name)).filter((name) => name.startsWith(prefix))
      return names.map((name) => name.slice(prefix.length))
    },
    call: (tool) => outcome(client.call(prefix + tool)),
    close: () => client.close(),
  }
}

const WAYS: Readonly<Record<string, (server: string, who: string) => Promise<Way>>> = {
  'a session of 2025-11-25': async (server, who) =>
    wayOf(
      await sessionClient(
        '2025-11-25',
        httpTransport({ url: `${gateway.url}/${server}/mcp`, headers: headersOf(who) }),
      ),
    ),
  'an event stream of 2024-11-05': async (server, who) =>
    wayOf(
      await sessionClient(
        '2024-11-05',
        httpTransport({ url: `${gateway.url}/${server}/sse`, headers: headersOf(who) }),
      ),
    ),
  'stateless requests of 2026-07-28': async (server, who) =>
    wayOf(
      await statelessClient(statelessHttp({ url: `${gateway.url}/${server}/mcp`, headers: headersOf(who) })),
    ),
  'all servers as one, in a session': async (server, who) =>
    wayOf(
      await sessionClient(
        '2025-11-25',
        httpTransport({ url: `${gateway.url}/mcp`, headers: headersOf(who) }),
      ),
      `${server}__`,
    ),
  'all servers as one, stateless': async (server, who) =>
    wayOf(
      await statelessClient(statelessHttp({ url: `${gateway.url}/mcp`, headers: headersOf(who) })),
      `${server}__`,
    ),
  REST: async (server, who) => {
    const shown = token[who] as string
    return await Promise.resolve({
      async names() {
        const { body } = await ask(`${gateway.url}/mcp/tools`, shown)
        const { tools } = body as { tools: { name: string; server: string }[] }
        return tools.filter((tool) => tool.server === server).map(({ name }) => name.slice(server.length + 2))
      },
      async call(tool) {
        const { status, body } = await ask(`${gateway.url}/mcp/tools/${server}__${tool}`, shown, { json: {} })
        return status === 200 ? 'done' : (body as { code: string }).code
      },
      close: () => Promise.resolve(),
    })
  },
}

/** What becomes of calls by each of them, whatever the way and whatever the server speaks. */
const EXPECTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  reader: {
    test_simple_text: 'done',
    test_audio_content: 'level_too_low',
    test_image_content: 'tool_not_allowed',
    test_error_handling: 'level_too_low',
    test_multiple_content_types: 'level_too_low',
  },
  writer: {
    test_simple_text: 'done',
    test_audio_content: 'done',
    test_image_content: 'tool_not_allowed',
    test_error_handling: 'level_too_low',
    test_multiple_content_types: 'done',
  },
  scopeless: {
    test_simple_text: 'done',
    test_audio_content: 'done',
    test_image_content: 'tool_not_allowed',
    test_error_handling: 'level_too_low',
    test_multiple_content_types: 'scope_missing',
  },
  admin: {
    test_simple_text: 'done',
    test_audio_content: 'done',
    test_image_content: 'tool_not_allowed',
    test_error_handling: 'done',
    test_multiple_content_types: 'done',
  },
}

describe.each(Object.keys(WAYS))('F6 over %s', (name) => {
  const open = WAYS[name] as (typeof WAYS)[string]

  for (const server of SERVERS) {
    it.each(Object.keys(EXPECTED))(
      `F6 %s at the ${server} server may call what is listed, and no more`,
      async (who) => {
        const way = await open(server, who)
        try {
          const listed = await way.names()
          const expected = EXPECTED[who] as Readonly<Record<string, string>>
          const came: Record<string, string> = {}
          for (const tool of Object.keys(expected)) came[tool] = await way.call(tool)
          expect(came).toEqual(expected)
          for (const [tool, allowed] of Object.entries(expected)) {
            expect([tool, listed.includes(tool)]).toEqual([tool, allowed === 'done'])
          }
        } finally {
          await way.close()
        }
      },
    )
  }
})

describe('F6 hints of a server', () => {
  const call = (tool: string, args: Params, who = 'reader') =>
    ask(`${gateway.url}/mcp/tools/${tool}`, token[who] as string, { json: args })
  const read = { path: 'note.txt' }

  it('F6 let a reader read where they are trusted, and nowhere else', async () => {
    const path = join(folder, 'note.txt')
    expect(await call('files__read_text_file', { ...read, path })).toMatchObject({
      status: 200,
      body: { content: 'a note' },
    })
    expect(await call('files__write_file', { path, content: 'other' })).toMatchObject({
      status: 403,
      body: { code: 'level_too_low' },
    })
    expect(await call('distrusted__read_text_file', { ...read, path })).toMatchObject({
      status: 403,
      body: { code: 'level_too_low' },
    })
    expect(await call('files__list_directory', { path: folder })).toMatchObject({
      status: 403,
      body: { code: 'tool_not_allowed', rule: 'server.toolFilter' },
    })
  })

  it('F6 decide what is listed', async () => {
    const { body } = await ask(`${gateway.url}/mcp/tools`, token['reader'] as string)
    const names = (body as { tools: { name: string }[] }).tools.map(({ name }) => name)
    expect(names).toContain('files__read_text_file')
    expect(names).not.toContain('files__write_file')
    expect(names).not.toContain('files__list_directory')
    expect(names.filter((one) => one.startsWith('distrusted__'))).toEqual([])
  })

  it('C3 are explained', async () => {
    const explain = async (query: Record<string, string>) =>
      (
        await ask(
          `${gateway.url}/api/v1/access/explain?${new URLSearchParams(query).toString()}`,
          token['reader'] as string,
        )
      ).body
    expect(await explain({ tool: 'files__read_text_file' })).toMatchObject({
      allowed: true,
      rule: 'level:read-only',
    })
    expect(await explain({ server: 'files', tool: 'write_file' })).toMatchObject({
      allowed: false,
      rule: 'level',
    })
    expect(await explain({ server: 'files', tool: 'list_directory' })).toMatchObject({
      allowed: false,
      rule: 'server.toolFilter',
    })
  })
})

describe('what an administrator sees of servers', () => {
  const servers = async () =>
    (
      (await ask(`${gateway.url}/api/v1/admin/servers`, gateway.admin)).body as {
        servers: Record<string, unknown>[]
      }
    ).servers

  it('F5 has the state of each, and no address, command or credential', async () => {
    const all = await servers()
    expect(all.map(({ name }) => name)).toEqual(['session', 'stateless', 'files', 'distrusted'])
    expect(all[0]).toMatchObject({ transport: 'streamable', revision: '2025-11-25', problem: null })
    expect(all[1]).toMatchObject({ transport: 'stateless', revision: '2026-07-28' })
    expect(all[2]).toMatchObject({ transport: 'stdio', state: 'up', tools: expect.any(Number) as number })
    expect(Number(all[2]?.['tools'])).toBeGreaterThan(5)
    expect(JSON.stringify(all)).not.toMatch(/http:|node|filesystem/)
    const { body } = await ask(`${gateway.url}/api/v1/admin/servers/session`, gateway.admin)
    expect((body as { known_tools: unknown[] }).known_tools).toContainEqual({
      name: 'test_image_content',
      level: 'read-write',
      scopes: [],
      filtered_out: true,
    })
  })

  it('F6 begins nothing with any server for a call over REST that the rules alone refuse', async () => {
    const { token: fresh } = await gateway.issue({ note: 'fresh', level: 'read-only' })
    const begun = async (): Promise<number> => {
      const { body } = await ask(`${gateway.url}/api/v1/admin/servers`, gateway.admin)
      const { servers } = body as { servers: { conversations: number }[] }
      return servers.reduce((sum, { conversations }) => sum + conversations, 0)
    }
    const call = (tool: string) => ask(`${gateway.url}/mcp/tools/${tool}`, fresh, { json: {} })
    const before = await begun()
    for (const [tool, code, rule] of [
      ['session__test_image_content', 'tool_not_allowed', 'server.toolFilter'],
      ['session__test_audio_content', 'level_too_low', 'level'],
      ['session__test_multiple_content_types', 'level_too_low', 'level'],
    ] as const) {
      const refused = await call(tool)
      expect(refused).toMatchObject({ status: 403, body: { code, rule } })
      const id = refused.headers.get('x-request-id')
      const recorded = async (): Promise<unknown[]> => {
        const audit = await ask(`${gateway.url}/api/v1/admin/audit?outcome=refuse&limit=1000`, gateway.admin)
        const { entries } = audit.body as { entries: { request_id?: string }[] }
        return entries.filter(({ request_id }) => request_id === id)
      }
      await expect.poll(recorded).toMatchObject([{ kind: 'decision', outcome: 'refuse', rule }])
    }
    expect(await begun()).toBe(before)
    expect(await call('session__test_simple_text')).toMatchObject({ status: 200 })
    expect(await begun()).toBeGreaterThan(before)
  })

  it('F5 restarts one, which is recorded, and it answers again', async () => {
    const restart = (name: string, shown: string) =>
      ask(`${gateway.url}/api/v1/admin/servers/${name}/restart`, shown, { method: 'POST' })
    expect(await restart('files', token['writer'] as string)).toMatchObject({ status: 403 })
    expect(await restart('nothing', gateway.admin)).toMatchObject({ status: 404 })
    expect(await restart('files', gateway.admin)).toMatchObject({
      status: 200,
      body: { name: 'files', state: 'idle', conversations: 0, processes: 0 },
    })
    const { body } = await ask(
      `${gateway.url}/mcp/tools/files__list_allowed_directories`,
      token['writer'] as string,
      { json: {} },
    )
    expect(JSON.stringify(body)).toContain(folder)
    const audit = await ask(`${gateway.url}/api/v1/admin/audit?tool=server.restart`, gateway.admin)
    expect((audit.body as { entries: unknown[] }).entries).toContainEqual(
      expect.objectContaining({ kind: 'administration', outcome: 'done', target: 'files' }),
    )
  })

  it('X13 shows them in the health of the gateway', async () => {
    const { body } = await ask(`${gateway.url}/api/v1/health`, gateway.admin)
    expect((body as { servers: { name: string; state: string }[] }).servers).toHaveLength(4)
  })
})
