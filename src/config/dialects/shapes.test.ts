import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../lib/secret.ts'
import { loadSettings } from '../load.ts'
import { formatProblem } from '../problem.ts'
import type { McpServerSettings, Settings } from '../settings.ts'

const SHAPES = fileURLToPath(new URL('../../../test/acceptance/mcp-front/shapes/', import.meta.url))

let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-shapes-'))
})

afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Outcome {
  readonly settings: Settings
  readonly dialect: string | undefined
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

async function loadFile(file: string, env: Record<string, string>): Promise<Outcome> {
  const result = await loadSettings({ file, cwd: dir, env })
  const { warnings } = result.ok ? result.value : result.error
  return {
    settings: result.ok ? result.value.settings : ({} as Settings),
    dialect: result.ok ? result.value.dialect : undefined,
    warnings: warnings.map(formatProblem),
    problems: result.ok ? [] : result.error.problems.map(formatProblem),
  }
}

/** A file of the fixtures, as somebody would have it: readable by its owner only. */
async function shape(name: string, env: Record<string, string> = {}): Promise<Outcome> {
  const file = join(dir, name)
  await copyFile(join(SHAPES, name), file)
  await chmod(file, 0o600)
  return await loadFile(file, env)
}

async function text(content: unknown, env: Record<string, string> = {}): Promise<Outcome> {
  const file = join(dir, 'written.json')
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
  return await loadFile(file, env)
}

/** With every secret spelled out, so that a comparison sees it. */
function plain(value: unknown): unknown {
  if (value instanceof Secret) return `secret:${value.reveal()}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

const tokensOf = ({ settings }: Outcome): unknown =>
  settings.auth.tokens.map(({ name, value, level, servers }) => [name, value?.reveal(), level, servers])

const serverOf = ({ settings }: Outcome, name: string): McpServerSettings => {
  const found = settings.mcpServers.find((server) => server.name === name)
  if (!found) throw new Error(`no server ${name}`)
  return found
}

describe('the shape with proxy', () => {
  it('F1 takes the development example as it stands', async () => {
    const outcome = await shape('config.dev.json', { DEV_TOKEN: 'my-secure-dev-token', DATABASE_URL: 'x' })
    expect(outcome.problems).toEqual([])
    expect(outcome.dialect).toBe('mcp-front')
    expect(outcome.settings.server).toMatchObject({
      name: 'Development MCP Proxy',
      host: '',
      port: 8080,
      baseUrl: 'http://localhost:8080',
    })
    expect(tokensOf(outcome)).toEqual([
      ['dev', 'my-secure-dev-token', 'read-write', 'all'],
      ['test', 'test-token-456', 'read-write', 'all'],
    ])
    expect(plain(serverOf(outcome, 'database'))).toMatchObject({
      reach: { kind: 'http', url: 'http://postgres-mcp:3000/sse', transport: 'auto', headers: {} },
      rules: { authTokens: ['dev', 'test'], level: 'read-write', toolFilter: null },
    })
    expect(plain(serverOf(outcome, 'files'))).toMatchObject({
      reach: { kind: 'stdio', command: 'node', args: ['/app/file-server.js'], env: {}, process: 'caller' },
      rules: { authTokens: ['dev'] },
    })
    expect(outcome.warnings).toContainEqual(
      'config.dev.json:19:14  mcpServers.database.env  has no effect here: a server behind a url gets no environment from Postern',
    )
  })

  it('F1 takes tokens that stand under the names of servers', async () => {
    const outcome = await shape('tokens-by-server.json', {
      STOCK_TOKEN: 'the-token-of-the-stock',
      STOCK_DATABASE_URL: 'postgres://u@h/d',
      STOCK_KEY: 'k',
    })
    expect(outcome.problems).toEqual([])
    expect(tokensOf(outcome)).toEqual([
      ['orders-1', 'by-server-orders-0001', 'read-write', ['orders']],
      ['orders-2', 'by-server-shared-0001', 'read-write', ['orders', 'stock']],
      ['stock-1', 'the-token-of-the-stock', 'read-write', ['stock']],
    ])
    expect(serverOf(outcome, 'orders').rules.authTokens).toEqual(['orders-1', 'orders-2'])
    expect(serverOf(outcome, 'stock').rules.authTokens).toEqual(['stock-1', 'orders-2'])
    expect(plain(serverOf(outcome, 'stock').reach)).toMatchObject({
      args: ['stock.js', 'postgres://u@h/d'],
      env: { STOCK_KEY: 'secret:k' },
    })
    // Nobody is in its list, so nobody of the file gets in.
    expect(serverOf(outcome, 'unlisted').rules.authTokens).toEqual([])
    expect(outcome.warnings.join('\n')).toMatch(/unlisted\.authTokens {2}is empty/)
  })

  it('F1 takes serviceAuths, and lets nobody in by user name and password', async () => {
    const outcome = await shape('service-auths.json', {
      ORDERS_TOKEN: 'the-token-of-the-orders',
      LEGACY_PASSWORD: 'hunter2',
    })
    expect(outcome.problems).toEqual([])
    expect(tokensOf(outcome)).toEqual([
      ['orders-1', 'service-auth-orders-1', 'read-write', ['orders']],
      ['orders-2', 'the-token-of-the-orders', 'read-write', ['orders']],
    ])
    expect(serverOf(outcome, 'orders').rules.authTokens).toEqual(['orders-1', 'orders-2'])
    expect(serverOf(outcome, 'stock').rules.authTokens).toEqual([])
    expect(serverOf(outcome, 'stock').reach).toMatchObject({ transport: 'sse' })
    const basic = outcome.warnings.filter((line) => line.includes('lets nobody in'))
    expect(basic).toHaveLength(2)
    expect(basic[0]).toContain('mcpServers.orders.serviceAuths[1]')
    expect(basic[0]).toContain('"type": "bearer"')
    expect(outcome.warnings.join('\n')).not.toMatch(/hunter2|\$2a\$/)
  })

  it('keeps a server open to named tokens that has serviceAuths beside them', async () => {
    const outcome = await text({
      proxy: { auth: { kind: 'bearer_token', tokens: { dev: 'a-development-token' } } },
      mcpServers: {
        open: { command: 'x', serviceAuths: [{ type: 'bearer', tokens: ['a-token-of-a-service'] }] },
        closed: {
          command: 'x',
          authTokens: ['dev'],
          serviceAuths: [{ type: 'bearer', tokens: ['a-token-of-a-service'] }],
        },
      },
    })
    expect(outcome.problems).toEqual([])
    expect(serverOf(outcome, 'open').rules.authTokens).toBeNull()
    expect(serverOf(outcome, 'closed').rules.authTokens).toEqual(['dev', 'open-1'])
    expect(tokensOf(outcome)).toEqual([
      ['dev', 'a-development-token', 'read-write', 'all'],
      ['open-1', 'a-token-of-a-service', 'read-write', ['open', 'closed']],
    ])
  })

  it('F1 takes transports, lengths of time, headers and the place of a person’s own credential', async () => {
    const outcome = await shape('transports.json', {
      EVENTS_KEY: 'the-key-of-events',
      STREAMABLE_URL: 'https://s.example.com/mcp/',
    })
    expect(outcome.problems).toEqual([])
    expect(tokensOf(outcome)).toEqual([['dev', 'transports-dev-token', 'read-write', 'all']])
    expect(outcome.settings.limits).toMatchObject({ sessionIdleMs: 5_400_000, sessionsPerCredential: 10 })
    expect(outcome.settings.mcpServers.map(({ name }) => name)).toEqual([
      'program',
      'events',
      'streamable',
      'client',
    ])
    expect(plain(serverOf(outcome, 'program').reach)).toMatchObject({
      kind: 'stdio',
      args: ['-e', ''],
      env: { MODE: 'secret:fast' },
    })
    expect(plain(serverOf(outcome, 'events'))).toMatchObject({
      reach: {
        transport: 'sse',
        url: 'https://events.example.com/sse?key=in-the-query-0001',
        headers: { 'x-api-key': 'secret:the-key-of-events' },
      },
      limits: { timeoutMs: 90_000 },
    })
    expect(serverOf(outcome, 'streamable').reach).toMatchObject({
      transport: 'auto',
      url: 'https://s.example.com/mcp/',
    })
    expect(serverOf(outcome, 'client')).toMatchObject({
      reach: { transport: 'auto', headers: {} },
      rules: { authTokens: ['dev'] },
      userCredential: { kind: 'header', header: 'authorization', prefix: 'Bearer ', required: true },
      limits: { timeoutMs: 30_000 },
    })
    expect(outcome.warnings.join('\n')).toContain('mcpServers.off  is disabled, so it is left out')
  })

  it('F6 takes tool filters with the modes allow, deny and block', async () => {
    const outcome = await shape('tool-filters.json')
    expect(outcome.problems).toEqual([])
    expect(outcome.settings.mcpServers.map(({ name, rules }) => [name, rules.toolFilter])).toEqual([
      ['allow', { mode: 'allow', tools: ['read'] }],
      ['deny', { mode: 'deny', tools: ['drop'] }],
      ['block', { mode: 'deny', tools: ['drop', 'erase'] }],
    ])
  })

  it('F9 says what is not there yet of a file with OAuth, and nothing else', async () => {
    const { problems } = await shape('oauth.json', { GOOGLE_CLIENT_SECRET: 'x' })
    expect(problems).toEqual([
      expect.stringMatching(/^oauth\.json:8:15 {2}proxy\.auth\.kind {2}is not available in this version/),
      expect.stringMatching(
        /^oauth\.json:\d+:\d+ {2}mcpServers\.tools\.inline {2}is not available in this version/,
      ),
    ])
  })

  it.each<[string, unknown, string]>([
    [
      'an unknown token',
      { mcpServers: { a: { command: 'x', authTokens: ['dve'] } } },
      'mcpServers.a.authTokens[0]  "dve" is not a token of auth.tokens  (did you mean "dev"?)',
    ],
    [
      'the value of a token where its name belongs',
      { mcpServers: { a: { command: 'x', authTokens: ['a-development-token'] } } },
      'mcpServers.a.authTokens[0]  is the value of a token: give its name',
    ],
    [
      'options that are none',
      { mcpServers: { a: { command: 'x', options: ['dev'] } } },
      'mcpServers.a.options  must hold keys',
    ],
    [
      'a misspelt key',
      { mcpServers: { a: { command: 'x', authToken: ['dev'] } } },
      'mcpServers.a.authToken  is not a key of mcpServers.a  (did you mean "authTokens"?)',
    ],
    [
      'a strange transport',
      { mcpServers: { a: { transportType: 'grpc', url: 'http://h' } } },
      'is not a transport',
    ],
    ['stdio without a command', { mcpServers: { a: { transportType: 'stdio' } } }, 'stdio needs a command'],
    [
      'a filter without mode',
      { mcpServers: { a: { command: 'x', toolFilter: { list: ['t'] } } } },
      'toolFilter.mode  is needed',
    ],
    [
      'two filters',
      {
        mcpServers: {
          a: { command: 'x', toolFilter: { mode: 'allow', list: [] }, options: { toolFilter: {} } },
        },
      },
      'keep one',
    ],
    ['a timeout without unit', { mcpServers: { a: { command: 'x', timeout: 30 } } }, 'needs a unit'],
    [
      'tokens of no server',
      {
        proxy: { auth: { kind: 'bearerToken', tokens: { aa: ['0123456789abcdef'] } } },
        mcpServers: { ab: { command: 'x' } },
      },
      'proxy.auth.tokens.aa  is not a server of mcpServers  (did you mean "ab"?)',
    ],
    [
      'both kinds of tokens',
      {
        proxy: { auth: { kind: 'bearerToken', tokens: { a: ['0123456789abcdef'], b: '0123456789abcdeg' } } },
        mcpServers: { a: { command: 'x' } },
      },
      'use one of the two',
    ],
    ['a strange kind', { proxy: { auth: { kind: 'none' } } }, 'needs the kind bearer_token'],
    [
      'a credential of a person in an argument',
      { mcpServers: { a: { command: 'x', args: [{ $userToken: '{{token}}' }] } } },
      'mcpServers.a.args[0]  is not available',
    ],
    [
      'a credential inside a longer variable',
      { mcpServers: { a: { command: 'x', env: { H: { $userToken: '{"a":"{{token}}"}' } } } } },
      'mcpServers.a.env.H  is not available',
    ],
    [
      'no place for a credential',
      { mcpServers: { a: { command: 'x', requiresUserToken: true } } },
      'needs a header or a variable',
    ],
    [
      'one token under two names',
      { proxy: { auth: { kind: 'bearer_token', tokens: { a: '0123456789abcdef', b: '0123456789abcdef' } } } },
      'same token as',
    ],
  ])('refuses %s', async (_, content, message) => {
    const proxy = { auth: { kind: 'bearer_token', tokens: { dev: 'a-development-token' } } }
    const { problems } = await text({ proxy, ...(content as object) })
    expect(problems.join('\n')).toContain(message)
    expect(problems.join('\n')).not.toMatch(/a-development-token|0123456789/)
  })
})

describe('the shape with mcpProxy', () => {
  it('takes tokens that stand as they are in authTokens, and variables in the manner of a shell', async () => {
    const outcome = await shape('mcp-proxy.json', { GITHUB_TOKEN: 'the-token-for-github' })
    expect(outcome.problems).toEqual([])
    expect(tokensOf(outcome)).toEqual([
      ['shared-1', 'mcp-proxy-default-0001', 'read-write', ['github']],
      ['fetch-1', 'mcp-proxy-fetch-0001', 'read-write', ['fetch']],
    ])
    expect(plain(serverOf(outcome, 'github'))).toMatchObject({
      reach: { env: { GITHUB_TOKEN: 'secret:the-token-for-github' } },
      rules: { authTokens: ['shared-1'], toolFilter: { mode: 'deny', tools: ['create_or_update_file'] } },
    })
    expect(serverOf(outcome, 'fetch').rules.authTokens).toEqual(['fetch-1'])
    expect((await shape('mcp-proxy.json')).problems).toEqual([expect.stringContaining('GITHUB_TOKEN')])
  })
})

describe('the blocks of MCP clients', () => {
  it('takes the servers of Claude Desktop, closed until there is a token', async () => {
    const outcome = await shape('claude-desktop.json')
    expect(outcome.problems).toEqual([])
    expect(outcome.dialect).toBe('mcp-client')
    expect(outcome.settings.mcpServers.map(({ name }) => name)).toEqual(['filesystem', 'postgres', 'search'])
    expect(outcome.settings.auth).toMatchObject({ enabled: true, tokens: [] })
    expect(outcome.warnings.join('\n')).toContain('postern token add')
  })

  it('takes the servers and inputs of VS Code', async () => {
    const env = { WIKI_KEY: 'the-key-of-the-wiki', NOTES_KEY: 'the-key-of-the-notes' }
    const outcome = await shape('vscode-mcp.json', env)
    expect(outcome.problems).toEqual([])
    expect(plain(serverOf(outcome, 'wiki').reach)).toMatchObject({
      transport: 'auto',
      headers: { authorization: 'secret:Bearer the-key-of-the-wiki' },
    })
    expect(plain(serverOf(outcome, 'notes').reach)).toMatchObject({
      env: { NOTES_KEY: 'secret:the-key-of-the-notes', NOTES_DIR: 'secret:/srv/notes' },
    })
    expect(serverOf(outcome, 'old').reach).toMatchObject({ transport: 'sse' })
    expect((await shape('vscode-mcp.json')).problems).toEqual([
      expect.stringContaining('servers.wiki.headers.Authorization  needs the environment variable WIKI_KEY'),
      expect.stringContaining('servers.notes.env.NOTES_KEY  needs the environment variable NOTES_KEY'),
    ])
  })

  it.each<[string, unknown, string]>([
    ['an editor’s folder', { command: 'x', args: ['${workspaceFolder}/src'] }, 'variable WORKSPACE_FOLDER'],
    ['text right after a name', { command: 'x', args: ['${HOME}s'] }, 'text right after'],
    ['a file of variables', { command: 'x', envFile: '.env' }, 'envFile  is not available'],
    ['a strange type', { type: 'ws', url: 'http://h' }, 'is not a transport'],
  ])('refuses %s', async (_, server, message) => {
    const { problems } = await text({ servers: { a: server } }, { HOME: '/home/ada' })
    expect(problems.join('\n')).toContain(message)
  })

  it('fills in a default at the end of a value', async () => {
    const outcome = await text({ mcpServers: { a: { type: 'http', url: 'https://${HOST:-h.example.com}' } } })
    expect(outcome.problems).toEqual([])
    expect(serverOf(outcome, 'a').reach).toMatchObject({ url: 'https://h.example.com/' })
  })

  it('is native where it has nothing that only clients have', async () => {
    const outcome = await text({ mcpServers: { a: { command: 'x', args: ['y'], env: { Z: '1' } } } })
    expect(outcome.dialect).toBe('native')
    expect(serverOf(outcome, 'a').reach).toMatchObject({ command: 'x', args: ['y'] })
  })
})
