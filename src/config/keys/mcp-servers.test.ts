import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../lib/secret.ts'
import { loadSettings } from '../load.ts'
import { formatProblem } from '../problem.ts'
import type { Settings } from '../settings.ts'

let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-servers-'))
})

afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Outcome {
  readonly settings: Settings
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

async function load(yaml: string, env: Record<string, string> = {}): Promise<Outcome> {
  const file = join(dir, 'postern.yaml')
  await writeFile(file, yaml, { mode: 0o600 })
  const result = await loadSettings({ file, cwd: dir, env })
  const { warnings } = result.ok ? result.value : result.error
  return {
    settings: result.ok ? result.value.settings : ({} as Settings),
    warnings: warnings.map(formatProblem),
    problems: result.ok ? [] : result.error.problems.map(formatProblem),
  }
}

const COMPLETE = `
auth: { tokens: { dev: a-development-token, ci: a-token-of-the-build } }
aggregate: { delimiter: ".", listTimeout: 2s }
mcpServers:
  files:
    command: npx
    args: [-y, "", " spaced "]
    env: { FILES_KEY: $env:FILES_KEY, EMPTY: "", PEM: $env:PEM }
    cwd: ./work
    process: shared
    authTokens: dev
    level: read-only
    trustHints: true
    toolFilter: { mode: deny, tools: [drop] }
    tools:
      write/file: { level: admin, scopes: [files:write] }
      constructor: {}
    scopes: [files]
    timeout: 5s
    connectTimeout: 1s
    messageBytes: 1MiB
    concurrency: 2
    conversations: 3
    idleTime: 0
  wiki:
    url: https://wiki.example.com/mcp/?key=$env:WIKI_KEY
    transport: stateless
    headers: { X-Api-Key: $env:WIKI_KEY }
    userCredential: { header: Authorization, required: false }
  crm:
    url: https://crm.example.com/mcp
    clientCredentials:
      tokenUrl: https://auth.example.com/token
      clientId: postern
      clientSecret: $env:CRM_SECRET
      scopes: [crm:read]
      resource: https://crm.example.com/mcp
  notes:
    command: notes
    userCredential: { env: NOTES_KEY }
`

const ENV = {
  FILES_KEY: 'files-key',
  PEM: '-----BEGIN\nEND-----\n',
  WIKI_KEY: 'wiki-key',
  CRM_SECRET: 'crm-secret',
}

describe('mcpServers', () => {
  it('become settings', async () => {
    const { settings, problems, warnings } = await load(COMPLETE, ENV)
    expect(problems).toEqual([])
    expect(warnings).toEqual([])
    expect(settings.aggregate).toEqual({ delimiter: '.', listTimeoutMs: 2_000 })
    const [files, wiki, crm, notes] = settings.mcpServers
    expect(files).toEqual({
      name: 'files',
      reach: {
        kind: 'stdio',
        command: 'npx',
        args: ['-y', '', ' spaced '],
        env: { FILES_KEY: new Secret('files-key'), EMPTY: new Secret(''), PEM: new Secret(ENV.PEM) },
        cwd: join(dir, 'work'),
        process: 'shared',
      },
      rules: {
        authTokens: ['dev'],
        scopes: ['files'],
        level: 'read-only',
        trustHints: true,
        toolFilter: { mode: 'deny', tools: ['drop'] },
        tools: {
          'write/file': { level: 'admin', scopes: ['files:write'] },
          constructor: { level: null, scopes: [] },
        },
      },
      userCredential: null,
      limits: {
        timeoutMs: 5_000,
        connectTimeoutMs: 1_000,
        messageBytes: 1_048_576,
        concurrency: 2,
        conversations: 3,
        idleMs: 0,
      },
    })
    const env = files?.reach.kind === 'stdio' ? files.reach.env : {}
    expect([env['FILES_KEY']?.reveal(), env['EMPTY']?.reveal(), env['PEM']?.reveal()]).toEqual([
      'files-key',
      '',
      ENV.PEM,
    ])
    expect(wiki).toMatchObject({
      reach: { kind: 'http', url: 'https://wiki.example.com/mcp/?key=wiki-key', transport: 'stateless' },
      userCredential: { kind: 'header', header: 'authorization', prefix: 'Bearer ', required: false },
      rules: { authTokens: null, level: 'read-write', trustHints: false, toolFilter: null },
      limits: { timeoutMs: 60_000, connectTimeoutMs: 15_000, idleMs: 300_000 },
    })
    expect(wiki?.reach.kind === 'http' && wiki.reach.headers['x-api-key']?.reveal()).toBe('wiki-key')
    expect(crm?.reach).toMatchObject({
      transport: 'auto',
      clientCredentials: {
        tokenUrl: 'https://auth.example.com/token',
        clientId: 'postern',
        scopes: ['crm:read'],
        resource: 'https://crm.example.com/mcp',
      },
    })
    expect(notes?.userCredential).toEqual({ kind: 'env', name: 'NOTES_KEY', required: true })
  })

  it('have rules for named tools only, whatever a tool is called', async () => {
    const { settings } = await load('mcpServers: { a: { command: x, tools: { b: {} } } }')
    const tools = settings.mcpServers[0]?.rules.tools ?? {}
    for (const name of ['constructor', '__proto__', 'toString']) expect(tools[name]).toBeUndefined()
  })

  it('show no credential when printed', async () => {
    const { settings } = await load(COMPLETE.replace('?key=$env:WIKI_KEY', ''), ENV)
    const printed = JSON.stringify(settings)
    for (const secret of Object.values(ENV)) expect(printed).not.toContain(secret)
  })

  it('can be made and changed by environment variables', async () => {
    const { settings, problems, warnings } = await load('mcpServers: { a-b: { command: x } }', {
      POSTERN_MCP_SERVERS_A_B_ARGS: 'one,two',
      POSTERN_MCP_SERVERS_A_B_TIMEOUT: '7s',
      POSTERN_MCP_SERVERS_NEW_URL: 'https://new.example.com/mcp',
      POSTERN_MCP_SERVERS_NEW_USER_CREDENTIAL_HEADER: 'X-Key',
      POSTERN_AGGREGATE_DELIMITER: '/',
    })
    expect(problems).toEqual([])
    expect(warnings).toEqual([])
    expect(settings.aggregate.delimiter).toBe('/')
    expect(settings.mcpServers).toMatchObject([
      { name: 'a-b', reach: { args: ['one', 'two'] }, limits: { timeoutMs: 7_000 } },
      { name: 'new', reach: { url: 'https://new.example.com/mcp' }, userCredential: { header: 'x-key' } },
    ])
  })

  it.each<[string, string]>([
    ['{ a: {} }', 'mcpServers.a  needs a command or a url'],
    ['{ a: { command: x, url: "http://h" } }', 'mcpServers.a.url  stands beside command'],
    ['{ a: { command: x, transport: sse } }', 'mcpServers.a.transport  belongs to a url'],
    ['{ a: { command: x, headers: { A: b } } }', 'mcpServers.a.headers  belongs to a url'],
    ['{ a: { url: "http://h", args: [x] } }', 'mcpServers.a.args  belongs to a command'],
    ['{ a: { url: "http://h", env: { A: b } } }', 'mcpServers.a.env  belongs to a command'],
    ['{ a: { url: "http://h", process: shared } }', 'mcpServers.a.process  belongs to a command'],
    ['{ a: { url: "https://u:hunter2@h" } }', 'must not hold a user or a password'],
    ['{ a: { url: "https://h#f" } }', 'must not have a fragment'],
    ['{ a: { url: "file:///etc" } }', 'is not a URL'],
    ['{ a: { url: "http://h", transport: ws } }', 'is not possible here'],
    [
      '{ a: { url: "http://h", headers: { Host: hunter2 } } }',
      'mcpServers.a.headers.Host  is set by Postern itself',
    ],
    ['{ a: { url: "http://h", headers: { Mcp-Session-Id: hunter2 } } }', 'is set by Postern itself'],
    ['{ a: { url: "http://h", headers: { "a b": hunter2 } } }', 'cannot be a name'],
    ['{ a: { url: "http://h", headers: { a: "hunter2é" } } }', 'only printable ASCII'],
    ['{ a: { url: "http://h", headers: { a: "hunter2\\nB: c" } } }', 'control character'],
    ['{ a: { url: "http://h", headers: { A: x, a: y } } }', 'has a twice'],
    ['{ a: { command: x, env: { "A=B": hunter2 } } }', 'cannot be a name'],
    ['{ a: { command: x, env: { A: "hunter2\\u0000" } } }', 'control character'],
    ['{ a: { command: x, level: all } }', 'read-only, read-write or admin'],
    ['{ a: { command: x, toolFilter: { tools: [t] } } }', 'toolFilter.mode  is needed'],
    ['{ a: { command: x, toolFilter: { mode: block, tools: [t] } } }', 'use allow or deny'],
    ['{ a: { command: x, toolFilter: { mode: allow } } }', 'toolFilter.tools  is needed'],
    ['{ a: { command: x, scopes: ["two words"] } }', 'is not a scope'],
    ['{ a: { command: x, userCredential: { header: A } } }', 'names a header'],
    ['{ a: { url: "http://h", userCredential: { env: A } } }', 'names env'],
    ['{ a: { command: x, process: shared, userCredential: { env: A } } }', 'a process for each caller'],
    ['{ a: { url: "http://h", userCredential: {} } }', 'exactly one of header and env'],
    ['{ a: { url: "http://h", userCredential: { header: Host } } }', 'set by Postern itself'],
    [
      '{ a: { url: "http://h", clientCredentials: { tokenUrl: "http://h/t", clientId: a, clientSecret: hunter2 } } }',
      'must be https',
    ],
    [
      '{ a: { url: "http://h", headers: { authorization: x }, clientCredentials: { tokenUrl: "https://h/t", clientId: a, clientSecret: hunter2 } } }',
      'sets Authorization',
    ],
    ['{ A: { command: x }, a: { command: x } }', 'mcpServers.a  differs from "A" in case only'],
    ['{ "a b": { command: x } }', '"a b" cannot be a name'],
    ['{ "-a": { command: x } }', 'cannot be a name'],
    ['{ "../a": { command: x } }', 'cannot be a name'],
    ['{ a__b: { command: x } }', 'change aggregate.delimiter'],
    ['{ a_: { command: x } }', 'change aggregate.delimiter'],
    ['{ a: { command: x, authTokens: [dve] } }', '(did you mean "dev"?)'],
    ['{ a: { command: x, conversations: 0 } }', 'too small'],
    ['[{ name: a }]', 'must hold a name and a value'],
    ...[
      'mcp',
      'MCP',
      'sse',
      'message',
      'api',
      'oauth',
      'metrics',
      'console',
      'health',
      'postern',
      'Postern',
    ].map((name): [string, string] => [
      `{ ${name}: { command: x } }`,
      `mcpServers.${name}  cannot be called "${name}"`,
    ]),
  ])('%s is refused', async (servers, message) => {
    const { problems } = await load(
      `auth: { tokens: { dev: a-development-token } }\nmcpServers: ${servers}\n`,
    )
    expect(problems.join('\n')).toContain(message)
    expect(problems.join('\n')).not.toContain('hunter2')
  })

  it.each([
    ['aggregate: { delimiter: x }', '1 to 8 of the characters'],
    ['aggregate: { delimiter: "_________" }', '1 to 8 of the characters'],
    [
      'auth: { tokens: { dev: { value: a-development-token, servers: [fles] } } }',
      '"fles" is not a configured MCP server  (did you mean "files"?)',
    ],
  ])('%s is refused', async (yaml, message) => {
    const { problems } = await load(`${yaml}\nmcpServers: { files: { command: x } }\n`)
    expect(problems.join('\n')).toContain(message)
  })

  it('names everything that is wrong at once, whatever else is', async () => {
    const { problems } = await load(`
auth: { tokens: { dev: { value: a-development-token, level: high, servers: [fles] } } }
mcpServers:
  mcp: { command: x, timeout: soon }
  files: { command: x, url: "http://h", level: none, authTokens: [dve], toolFilter: { mode: only } }
  Files: { url: "http://h", env: { A: b }, concurrency: 0, headers: { Host: a } }
  a__b: {}
`)
    for (const part of [
      'auth.tokens.dev.level',
      'auth.tokens.dev.servers[0]  "fles"',
      'mcpServers.mcp  cannot be called',
      'mcpServers.mcp.timeout',
      'mcpServers.files.url  stands beside command',
      'mcpServers.files.level',
      'mcpServers.files.authTokens[0]  "dve"',
      'mcpServers.files.toolFilter.mode',
      'mcpServers.Files  differs from "files"',
      'mcpServers.Files.env  belongs to a command',
      'mcpServers.Files.concurrency',
      'mcpServers.Files.headers.Host',
      'mcpServers.a__b  would run together',
      'mcpServers.a__b  needs a command or a url',
    ])
      expect(problems.join('\n')).toContain(part)
  })

  it('warns of what is allowed and probably not meant', async () => {
    const { problems, warnings } = await load(
      `
auth: { tokens: { dev: { value: a-development-token, servers: [postern, b] } } }
mcpServers:
  a: { command: x, authTokens: [dev], toolFilter: { mode: deny, tools: [t] }, tools: { t: { level: admin } } }
  b: { url: "http://b.example.com/mcp", authTokens: [], headers: { x-key: $env:KEY } }
  c: { url: "http://127.0.0.1/mcp", headers: { x-key: $env:KEY }, toolFilter: { mode: allow, tools: [] } }
`,
      { KEY: 'k' },
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      expect.stringContaining('auth.tokens.dev.servers  does not name a, whose authTokens name this token'),
      expect.stringContaining('mcpServers.a.tools.t  has no effect: toolFilter leaves this tool out'),
      expect.stringContaining('mcpServers.b.url  is not https'),
      expect.stringContaining('mcpServers.b.authTokens  is empty'),
      expect.stringContaining('mcpServers.c.toolFilter'),
    ])
  })
})
