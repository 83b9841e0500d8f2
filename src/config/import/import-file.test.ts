import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { difference } from '../difference.ts'
import { type Loaded, loadSettings } from '../load.ts'
import { formatProblem } from '../problem.ts'
import { type Imported, importConfiguration } from './import-file.ts'

const SHAPES = fileURLToPath(new URL('../../../test/acceptance/mcp-front/shapes/', import.meta.url))

let top = ''
let count = 0

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'postern-import-'))
})

afterAll(async () => {
  await rm(top, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  count += 1
  const dir = join(top, String(count))
  await mkdir(dir)
  return dir
}

async function imported(file: string, cwd: string, outputDir?: string): Promise<Imported> {
  const result = await importConfiguration({ file, cwd, ...(outputDir === undefined ? {} : { outputDir }) })
  if (!result.ok) throw new Error(result.error.problems.map(formatProblem).join('\n'))
  return result.value
}

async function written(name: string, text: string): Promise<Imported> {
  const dir = await folder()
  await writeFile(join(dir, name), text, { mode: 0o600 })
  return await imported(name, dir)
}

async function loaded(file: string, cwd: string, env: Record<string, string>): Promise<Loaded> {
  const result = await loadSettings({ file, cwd, env })
  if (!result.ok) throw new Error(result.error.problems.map(formatProblem).join('\n'))
  return result.value
}

const ENV = {
  DEV_TOKEN: 'dev-token-of-the-environment',
  TEST_TOKEN: 'test-token-of-the-environment',
  DATABASE_URL: 'x',
  STOCK_TOKEN: 'stock-token-of-the-environment',
  STOCK_DATABASE_URL: 'postgres://u@h/d',
  STOCK_KEY: 'stock-key',
  ORDERS_TOKEN: 'orders-token-of-the-environment',
  LEGACY_PASSWORD: 'legacy',
  EVENTS_KEY: 'events-key',
  STREAMABLE_URL: 'https://s.example.com/mcp',
  GITHUB_TOKEN: 'github-token',
  WIKI_KEY: 'wiki-key',
  NOTES_KEY: 'notes-key',
}

/** Values of the fixtures that must not be in what is made of them. */
const SECRETS =
  /hunter2|dev-token-123|test-token-456|by-server-|service-auth-|transports-dev|tool-filters-dev|mcp-proxy-(?:default|fetch)|in-the-query|\$2a\$/

describe('importConfiguration', () => {
  it.each<[string, readonly string[]]>([
    ['config.dev.json', []],
    ['tokens-by-server.json', []],
    ['service-auths.json', []],
    ['transports.json', ['mcpServers.events.url']],
    ['tool-filters.json', []],
    ['mcp-proxy.json', []],
    ['vscode-mcp.json', []],
    [
      'claude-desktop.json',
      ['mcpServers.postgres.args', 'mcpServers.search.args', 'mcpServers.search.env.SEARCH_TOKEN'],
    ],
  ])('makes of %s a native file that means the same', async (name, moved) => {
    const dir = await folder()
    await copyFile(join(SHAPES, name), join(dir, name))
    await chmod(join(dir, name), 0o600)
    const result = await imported(name, dir)
    expect(result.text).not.toMatch(SECRETS)
    await writeFile(join(dir, 'postern.yaml'), result.text, { mode: 0o600 })

    const variables = Object.fromEntries(
      result.variables
        .filter(({ because }) => because === 'plain')
        .map((it) => [it.name, `https://set.example.com/${it.name}`]),
    )
    const before = await loaded(name, dir, ENV)
    const after = await loaded('postern.yaml', dir, { ...ENV, ...variables })
    expect(after.dialect).toBe('native')
    const changes = difference(before.settings, after.settings)
    expect(
      changes.map(({ path }) => path).filter((path) => !/^auth\.tokens\..*\.(?:value|hash)$/.test(path)),
    ).toEqual(moved)
    // Every token lets in the same holder.
    for (const { name: token, hash, value } of after.settings.auth.tokens) {
      const same = before.settings.auth.tokens.find((other) => other.name === token)
      const { sha256Hex } = await import('../../lib/digest.ts')
      expect(hash ?? sha256Hex(value?.reveal() ?? '')).toBe(sha256Hex(same?.value?.reveal() ?? ''))
    }
  })

  it('names the variables to set, with what they are for', async () => {
    const dir = await folder()
    await copyFile(join(SHAPES, 'claude-desktop.json'), join(dir, 'c.json'))
    const { variables, text, notes } = await imported('c.json', dir)
    expect(variables).toEqual([
      { name: 'POSTGRES_DATABASE_URL', paths: ['mcpServers.postgres.args[4]'], because: 'plain' },
      { name: 'SEARCH_API_KEY', paths: ['mcpServers.search.args[3]'], because: 'plain' },
      { name: 'SEARCH_TOKEN', paths: ['mcpServers.search.env.SEARCH_TOKEN'], because: 'plain' },
    ])
    expect(text).toContain('LOG_LEVEL: info')
    expect(text).toContain('#   SEARCH_API_KEY: mcpServers.search.args[3] (its value stood in the file)')
    expect(notes.join('\n')).toContain('postern token add')
  })

  it('leaves out what is not there yet and says so', async () => {
    const dir = await folder()
    const { text, notes } = await imported(join(SHAPES, 'oauth.json'), dir)
    expect(notes.join('\n')).toMatch(/proxy\.auth\.kind {2}is not available[\s\S]*inline {2}is not available/)
    expect(text).toContain('mcpServers: {}')
  })

  it('gives back every problem of a file that is wrong', async () => {
    const dir = await folder()
    await writeFile(
      join(dir, 'x.json'),
      '{"proxy": {"auth": {"kind": "x"}}, "mcpServers": {"a": {"transportType": "y"}}}',
    )
    const result = await importConfiguration({ file: 'x.json', cwd: dir })
    expect(result.ok ? [] : result.error.problems.map(({ path }) => path)).toEqual([
      'proxy.auth',
      'proxy.auth.kind',
      'mcpServers.a.transportType',
    ])
  })

  it('takes the http and databases shape, and native files', async () => {
    const foreign = await written(
      'g.yaml',
      'http: {address: ":8080", auth: {token_file: ./t.yaml}}\ndatabases:\n  - {name: shop, user: u, password: hunter2, pool_max_conn_idle_time: 1h30m, pool_max_conns: 10}\n  - {name: stock, user: u, host: "h"}\n',
    )
    expect(foreign.text).not.toContain('hunter2')
    expect(foreign.text).toContain('password: $env:SHOP_PASSWORD')
    expect(foreign.text).toContain('idleTimeout: 90m')
    expect(foreign.text).toContain('tokenFile: ./t.yaml')
    expect(foreign.text).toMatch(/^ {2}- name: stock$/m)

    const native = await written(
      'n.yaml',
      'auth: {tokens: {ci: hunter2-hunter2-hunter2}}\nmodel: {baseUrl: "http://h", model: m, apiKey: hunter2}\nstore: postgres://u:hunter2@h/d\nserver: {nme: x}\n',
    )
    expect(native.dialect).toBe('native')
    expect(native.text).not.toContain('hunter2')
    expect(native.hashedTokens).toEqual(['ci'])
    expect(native.variables.map(({ name }) => name)).toEqual(['MODEL_API_KEY', 'STORE'])
    expect(native.notes.join('\n')).toContain('server.nme  is no key here')
  })

  it('writes relative paths so that they mean the same elsewhere', async () => {
    const dir = await folder()
    const other = await folder()
    await writeFile(join(dir, 'n.yaml'), 'dataDir: ./data\nauth: {tokenFile: $env:FILE}\n')
    expect((await imported('n.yaml', dir)).text).toContain('dataDir: ./data')
    const moved = await imported('n.yaml', dir, other)
    expect(moved.text).toContain(`dataDir: ${dir}/data`)
    expect(moved.text).toContain('tokenFile: $env:FILE')
  })

  it('keeps text as it is, whatever YAML would make of it', async () => {
    const odd = [
      'yes',
      'null',
      '0123',
      '1e3',
      '- x',
      'a: b',
      '# c',
      '"q"',
      "it's",
      '{a}',
      '*x',
      '',
      ' s ',
      'é',
      '~',
      '|',
    ]
    const dir = await folder()
    await writeFile(
      join(dir, 'c.json'),
      JSON.stringify({ mcpServers: { odd: { command: 'x', args: odd }, yes: { command: 'y' } } }),
    )
    const { text } = await imported('c.json', dir)
    await writeFile(join(dir, 'postern.yaml'), text, { mode: 0o600 })
    const { settings } = await loaded('postern.yaml', dir, {})
    expect(settings.mcpServers[0]?.reach).toMatchObject({ args: odd })
    expect(settings.mcpServers[1]?.name).toBe('yes')
  })
})

describe('credentials', () => {
  const one = async (server: unknown): Promise<Imported> =>
    await written('c.json', JSON.stringify({ mcpServers: { my: server } }))

  it.each<[readonly string[], readonly string[]]>([
    [['--token=hunter2'], ['--token=$env:MY_TOKEN']],
    [
      ['--password', 'hunter2'],
      ['--password', '$env:MY_PASSWORD'],
    ],
    [
      ['-e', 'API_KEY=hunter2'],
      ['-e', 'API_KEY=$env:MY_API_KEY'],
    ],
    [
      ['-e', 'API_KEY'],
      ['-e', 'API_KEY'],
    ],
    [
      ['--header', 'Authorization: Bearer hunter2'],
      ['--header', 'Authorization: Bearer $env:MY_AUTHORIZATION'],
    ],
    [
      ['--header', 'X-Key:hunter2'],
      ['--header', 'X-Key:$env:MY_X_KEY'],
    ],
    [['https://u:hunter2@h/x'], ['$env:MY_URL']],
    [['ghp_hunter2hunter2'], ['$env:MY_ARGUMENT']],
    [['Abcdefghij0123456789x'], ['$env:MY_ARGUMENT']],
    [
      ['https://h/x', '-y', '@scope/server-files@2025.1.2', '/srv/keys'],
      ['https://h/x', '-y', '@scope/server-files@2025.1.2', '/srv/keys'],
    ],
  ])('in arguments: %j', async (args, expected) => {
    const { text } = await one({ command: 'x', args })
    for (const word of expected) expect(text).toContain(word)
    expect(text).not.toContain('hunter2')
  })

  it('in headers and the query of a URL', async () => {
    const { text } = await one({
      type: 'http',
      url: 'https://h/mcp?key=hunter2',
      headers: { Authorization: 'Bearer hunter2', 'X-Api-Key': 'hunter2b', 'X-Env': 'prod' },
    })
    expect(text).toContain('url: $env:MY_URL')
    expect(text).toContain('Authorization: "Bearer $env:MY_TOKEN"')
    expect(text).toContain('X-Api-Key: $env:MY_X_API_KEY')
    expect(text).toContain('X-Env: prod')
  })

  it('of one name and two values get two variables, of one value one', async () => {
    const env = (value: string) => ({ command: 'x', env: { API_KEY: value } })
    const { text, variables } = await written(
      'c.json',
      JSON.stringify({
        mcpServers: { a: env('hunter2a'), b: env('hunter2b'), c: env('hunter2a'), postern: env('hunter2c') },
      }),
    )
    expect(variables).toEqual([
      { name: 'API_KEY', paths: ['mcpServers.a.env.API_KEY', 'mcpServers.c.env.API_KEY'], because: 'plain' },
      { name: 'B_API_KEY', paths: ['mcpServers.b.env.API_KEY'], because: 'plain' },
      { name: 'MCP_POSTERN_API_KEY', paths: ['mcpServers.postern.env.API_KEY'], because: 'plain' },
    ])
    expect(text).not.toContain('hunter2')
  })

  it('never take a variable that the file refers to', async () => {
    const { text } = await written(
      'c.json',
      JSON.stringify({
        mcpServers: { a: { command: 'x', env: { KEY: 'hunter2' } }, b: { command: 'x', args: ['$env:KEY'] } },
      }),
    )
    expect(text).toContain('KEY: $env:A_KEY')
  })

  it.each([
    ['$env:KEY|hunter2', '$env:KEY'],
    ['$env:KEY|', '$env:KEY|'],
    ['$env:KEY|$env:OTHER|hunter2', '$env:KEY|$env:OTHER'],
    ['postgres://u:$env:KEY@h/d', 'postgres://u:$env:KEY@h/d'],
    ['postgres://u:hunter2@$env:HOST/d', '$env:SECRET'],
    ['postgres://u:hunter2$env:PW@h/d', '$env:SECRET'],
    ['$$env:hunter2', '$env:SECRET'],
  ])('in what a reference falls back to: %s', async (value, expected) => {
    const { text } = await one({ command: 'x', env: { SECRET: value } })
    expect(text).toContain(`SECRET: ${expected}\n`)
    expect(text).not.toContain('hunter2')
  })
})
