import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testInvocation } from '../test/support/invocation.ts'
import type { Command } from './command.ts'
import { command as check } from './config-check.ts'
import { command as importing } from './config-import.ts'
import { command as init } from './config-init.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'
import { parse } from './parse.ts'

let dir = ''

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-cli-config-'))
})

afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly document: Readonly<Record<string, unknown>>
}

async function run(
  command: Command,
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const json = words.includes('--json')
  const given = parse(words, {
    options: [...GLOBAL_OPTIONS, ...(command.options ?? [])],
    arguments: command.arguments ?? [],
  })
  if (!given.ok) throw new Error(given.error.message)
  const { invocation, stdout, stderr } = testInvocation({ env, json })
  const code = await command.run(invocation, given.value)
  await new Promise((resolve) => setImmediate(resolve))
  const out = stdout()
  return { code, out, err: stderr(), document: json ? (JSON.parse(out) as Record<string, unknown>) : {} }
}

describe('config init', () => {
  it('writes a file that only its owner reads, and that config check finds good', async () => {
    const file = join(dir, 'postern.yaml')
    const written = await run(init, ['--config', file])
    expect(written.code).toBe(0)
    expect(written.out).toContain(file)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const checked = await run(check, ['--config', file, '--json'])
    expect(checked.code).toBe(0)
    expect(checked.document).toMatchObject({ file, dialect: 'native', authentication: true, warnings: [] })
  })

  it('replaces a file only when it is told to', async () => {
    const file = join(dir, 'postern.yaml')
    await writeFile(file, 'mine', { mode: 0o644 })
    const refused = await run(init, ['--config', file, '--json'])
    expect(refused.code).toBe(1)
    expect(refused.document).toMatchObject({ code: 'file_exists' })
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect((await run(init, ['--config', file, '--force'])).code).toBe(0)
    expect(await readFile(file, 'utf8')).toContain('server:')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('does not write through a dangling link', async () => {
    const file = join(dir, 'postern.yaml')
    await symlink(join(dir, 'elsewhere'), file)
    expect((await run(init, ['--config', file])).code).toBe(1)
  })

  it.each([
    ['none/postern.yaml', 'directory does not exist'],
    ['postern.json', 'is YAML'],
  ])('says why it cannot write %s', async (name, reason) => {
    const ran = await run(init, ['--config', join(dir, name)])
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(reason)
  })
})

describe('config check', () => {
  it('says what was understood, without a secret', async () => {
    const file = join(dir, 'p.yaml')
    await writeFile(
      file,
      'server: {addr: ":8080"}\nauth: {tokens: {ci: hunter2-hunter2-hunter2}}\ndatabases: [{name: shop, url: "postgres://reader:hunter2@h/d"}]\n',
      { mode: 0o600 },
    )
    const { code, out, err } = await run(check, ['--config', file])
    expect(code).toBe(0)
    expect(out).toContain('The configuration is good.')
    expect(out).toContain('shop (default): d on h:5432 as reader')
    expect(out).toMatch(/Tokens +1: ci/)
    expect(out).toMatch(
      /One thing to look at:\n +p\.yaml:1:16 {2}server\.addr {2}is reached over the network without TLS/,
    )
    expect(out + err).not.toContain('hunter2')
    const { document } = await run(check, ['--config', file, '--json'])
    expect(document).toMatchObject({
      tokens: ['ci'],
      databases: [{ name: 'shop', host: 'h', user: 'reader' }],
    })
    expect(JSON.stringify(document)).not.toContain('hunter2')
  })

  it('says which providers sign people in, and which databases are protected', async () => {
    const file = join(dir, 'p.yaml')
    await writeFile(
      file,
      `server: {baseUrl: "https://gate.example.com"}
auth: {oidc: {company: {issuer: "https://login.example.com/realm", clientId: postern, clientSecret: hunter2, roles: {reader: [staff]}}}}
databases: [{name: shop, url: "postgres://reader@h/d", tenancy: {}}, {name: plain, url: "postgres://reader@h/e"}]
`,
      { mode: 0o600 },
    )
    const { out } = await run(check, ['--config', file])
    expect(out).toMatch(/Providers +company: https:\/\/login\.example\.com\/realm\n/)
    expect(out).toContain('shop (default): d on h:5432 as reader, protected\n')
    expect(out).toContain('plain: e on h:5432 as reader\n')
    const { document } = await run(check, ['--config', file, '--json'])
    expect(document).toMatchObject({
      providers: [{ name: 'company', issuer: 'https://login.example.com/realm' }],
      databases: [{ protected: true }, { protected: false }],
    })
    expect(out + JSON.stringify(document)).not.toContain('hunter2')
  })

  it('names every problem at once', async () => {
    const file = join(dir, 'p.yaml')
    await writeFile(file, 'sever: {}\nlog: {level: loud}\nauth: {tokens: {a: $env:NOT_SET}}\n')
    const { code, err } = await run(check, ['--config', file])
    expect(code).toBe(1)
    expect(err).toContain('p.yaml:1:1  sever  is not a key of the configuration  (did you mean "server"?)')
    expect(err).toContain('log.level')
    expect(err).toContain('NOT_SET')
    const { document } = await run(check, ['--config', file, '--json'])
    expect(document).toMatchObject({
      code: 'config_invalid',
      problems: [
        { code: 'config_unknown_key' },
        { code: 'config_bad_value' },
        { code: 'config_missing_variable' },
      ],
    })
  })

  it('compares with another file', async () => {
    const old = join(dir, 'old.yaml')
    const next = join(dir, 'next.yaml')
    await writeFile(old, 'databases: [{name: a, user: u, password: hunter2}]')
    await writeFile(next, 'databases: [{name: a, user: u, password: hunter3, port: 6000}]')
    const { out } = await run(check, ['--config', next, '--against', old])
    expect(out).toContain('databases.a.port: 5432 → 6000')
    expect(out).toContain('databases.a.password: changed')
    expect(out).not.toContain('hunter')
    expect((await run(check, ['--config', next, '--against', next])).out).toContain('Nothing differs.')
    expect((await run(check, ['--config', next, '--against', join(dir, 'none.yaml')])).code).toBe(1)
  })
})

describe('config import', () => {
  const FOREIGN = {
    proxy: {
      addr: '127.0.0.1:0',
      auth: { kind: 'bearer_token', tokens: { ci: 'hunter2-hunter2-hunter2', dev: '$env:DEV_TOKEN' } },
    },
    mcpServers: { wiki: { url: 'https://wiki.example.com/mcp', headers: { 'X-Api-Key': 'hunter2' } } },
  }
  const foreign = async (): Promise<string> => {
    const file = join(dir, 'config.json')
    await writeFile(file, JSON.stringify(FOREIGN), { mode: 0o600 })
    return file
  }

  it('writes a file that config check finds good, and says what to set', async () => {
    const file = await foreign()
    const output = join(dir, 'postern.yaml')
    const ran = await run(importing, [file, '--output', output])
    expect(ran.code).toBe(0)
    expect(ran.out).toContain(`Wrote ${output}`)
    expect(ran.err).toContain('DEV_TOKEN  for auth.tokens.dev.value')
    expect(ran.err).toContain('WIKI_X_API_KEY  for mcpServers.wiki.headers.X-Api-Key')
    expect((await stat(output)).mode & 0o777).toBe(0o600)
    const env = { DEV_TOKEN: 'a-development-token', WIKI_X_API_KEY: 'k' }
    const checked = await run(check, ['--config', output, '--json'], env)
    expect(checked.document).toMatchObject({
      dialect: 'native',
      tokens: ['ci', 'dev'],
      mcp_servers: [{ name: 'wiki', target: 'https://wiki.example.com/mcp', tokens: null }],
      warnings: [],
    })
    expect((await run(check, ['--config', output])).err).toContain('WIKI_X_API_KEY')
    expect(ran.out + ran.err + (await readFile(output, 'utf8'))).not.toContain('hunter2')
  })

  it('writes to standard output, where nothing else is said', async () => {
    const { code, out } = await run(importing, [await foreign()])
    expect(code).toBe(0)
    expect(out).toMatch(/^# Written by "postern config import" from config\.json/)
    expect(out).toMatch(/hash: [0-9a-f]{64}\n/)
    const { document } = await run(importing, [await foreign(), '--json'])
    expect(document).toMatchObject({
      file: null,
      dialect: 'mcp-front',
      hashed_tokens: ['ci'],
      variables: [
        { name: 'DEV_TOKEN', because: 'reference' },
        { name: 'WIKI_X_API_KEY', because: 'plain' },
      ],
    })
    expect(document['text']).toBe(out)
  })

  it('replaces a file only when it is told to, and reports what is wrong with the one it reads', async () => {
    const file = await foreign()
    const output = join(dir, 'postern.yaml')
    await writeFile(output, 'mine')
    const refused = await run(importing, [file, '--output', output, '--json'])
    expect(refused.document).toMatchObject({
      code: 'file_exists',
      message: expect.stringContaining('--output') as string,
    })
    expect(await readFile(output, 'utf8')).toBe('mine')
    expect((await run(importing, [file, '--output', output, '--force'])).code).toBe(0)
    expect((await run(importing, [file, '--output', join(dir, 'x.json')])).err).toContain('is YAML')
    await writeFile(file, '{"proxy": 1, "mcpServers": {"a": {"transportType": "x"}}}')
    const wrong = await run(importing, [file, '--json'])
    expect(wrong.code).toBe(1)
    expect(wrong.document).toMatchObject({ code: 'config_invalid', problems: [{}, {}] })
    expect((await run(importing, [join(dir, 'none.json')])).code).toBe(1)
  })
})
