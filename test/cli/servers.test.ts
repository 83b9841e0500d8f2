import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { type Circumstances, type Outcome, postern, scratch } from './postern.ts'
import { converse } from './terminal.ts'

const { dir, remove } = scratch()
afterAll(remove)

const file = join(dir, 'postern.yaml')
writeFileSync(
  file,
  JSON.stringify({
    mcpServers: {
      wiki: { url: 'http://127.0.0.1:9/mcp?key=addresskey', userCredential: { header: 'X-Key' } },
      notes: { command: '/bin/noteskey', userCredential: { env: 'NOTES_KEY', required: false } },
      files: { command: 'files', authTokens: ['ci'], scopes: ['files:read'], level: 'read-only' },
    },
    auth: { tokens: { ci: { value: 'token-of-ci-1234567890' } } },
  }),
  { mode: 0o600 },
)

const VALUE = 'key-of-alice-0123456789'
let data: string
let number = 0
beforeEach(() => {
  data = join(dir, `data-${(number += 1)}`)
})

const run = (args: readonly string[], how: Circumstances = {}): Promise<Outcome> =>
  postern([...args, '--config', file, '--data-dir', data], { cwd: dir, ...how })
const set = (...more: readonly string[]): readonly string[] => [
  'server',
  'credential',
  'set',
  'wiki',
  '--principal',
  'alice',
  ...more,
]
const listed = async (...more: readonly string[]): Promise<Record<string, unknown>[]> =>
  JSON.parse((await run(['server', 'credential', 'list', ...more, '--json'])).stdout) as Record<
    string,
    unknown
  >[]

it('what only the gateway needs may be missing from the environment of who administers', async () => {
  const open = join(dir, 'open.yaml')
  const servers = { wiki: { url: 'https://wiki.example/mcp', headers: { 'X-Key': '$env:UNSET_KEY' } } }
  writeFileSync(open, JSON.stringify({ mcpServers: servers }), { mode: 0o600 })
  const beside = (...args: string[]): Promise<Outcome> =>
    postern([...args, '--config', open, '--data-dir', data], { cwd: dir })
  const issued = await beside('token', 'add', '--note', 'lost', '--server', 'wiki', '--json')
  expect(issued.code).toBe(0)
  const { id } = JSON.parse(issued.stdout) as { id: string }
  expect((await beside('token', 'remove', id)).code).toBe(0)
  expect((await beside('server', 'list')).code).toBe(0)
  // Whoever starts the gateway, or asks whether it would start, hears of it.
  for (const args of [['serve'], ['config', 'check']]) {
    const { code, stderr } = await beside(...args)
    expect(code).toBe(1)
    expect(stderr).toContain('needs the environment variable UNSET_KEY')
  }
})

describe('postern server list', () => {
  it('shows names, transports and rules; no address, command or credential', async () => {
    const { stdout, code } = await run(['server', 'list'])
    expect(code).toBe(0)
    expect(stdout).toContain('wiki')
    expect(stdout).toMatch(/files\s+stdio, level read-only, tokens ci, scopes files:read/)
    expect(stdout).toMatch(/notes\s+stdio, .*own credential optional/)
    expect(stdout).not.toMatch(/addresskey|noteskey|token-of-ci/)
    const { stdout: json } = await run(['server', 'list', '--json'])
    expect(JSON.parse(json)).toMatchObject([
      { name: 'wiki', transport: 'auto', user_credential: 'required', auth_tokens: null },
      { name: 'notes', transport: 'stdio', user_credential: 'optional' },
      { name: 'files', auth_tokens: ['ci'], scopes: ['files:read'], user_credential: null },
    ])
    expect(json).not.toMatch(/addresskey|noteskey|token-of-ci/)
  })
})

describe('postern server credential', () => {
  it('takes the value from standard input, keeps it sealed, lists and removes it, and records that', async () => {
    const kept = await run(set('--json'), { input: `${VALUE}\n` })
    expect(kept.code).toBe(0)
    expect(JSON.parse(kept.stdout)).toMatchObject({ server: 'wiki', tenant: 'default', principal: 'alice' })
    expect(kept.stderr).toContain('made the key file')
    expect(statSync(join(data, 'secret.key')).mode & 0o777).toBe(0o600)
    expect(await listed()).toMatchObject([{ server: 'wiki', principal: 'alice' }])
    expect(await listed('notes')).toEqual([])
    for (const name of readdirSync(data)) {
      expect(readFileSync(join(data, name), 'latin1').includes(VALUE), name).toBe(false)
    }
    expect(`${kept.stdout}${kept.stderr}`).not.toContain(VALUE)

    const removed = await run(['server', 'credential', 'remove', 'wiki', '--principal', 'alice'])
    expect(removed).toMatchObject({ code: 0, stdout: 'The credential of alice for wiki is removed.\n' })
    expect(await listed()).toEqual([])
    const again = await run(['server', 'credential', 'remove', 'wiki', '--principal', 'alice', '--json'])
    expect(again.code).toBe(1)
    expect(JSON.parse(again.stdout)).toMatchObject({ error: 'refused', code: 'not_found' })
    const { stdout } = await run(['audit', 'search', '--json'])
    expect(JSON.parse(stdout)).toMatchObject([
      { tool: 'server.credential.remove_for', target: 'wiki alice', wire: 'cli' },
      { tool: 'server.credential.set_for', target: 'wiki alice', wire: 'cli' },
    ])
  })

  it('asks on a terminal without showing what is typed', async () => {
    const { code, screen } = await converse(
      [...set(), '--config', file, '--data-dir', data],
      [['Credential of alice for wiki: ', `${VALUE}\r`]],
      { cwd: dir },
    )
    expect(code).toBe(0)
    expect(screen).toContain('The credential of alice for wiki is kept. It is not shown again.')
    expect(screen).not.toContain(VALUE)
    expect(await listed()).toHaveLength(1)
  })

  it('does nothing when Ctrl-C is pressed at the question', async () => {
    const { code, screen } = await converse(
      [...set(), '--config', file, '--data-dir', data],
      [['Credential of alice for wiki: ', 'abc\u0003']],
      { cwd: dir },
    )
    expect(code).toBe(1)
    expect(screen).toContain('cancelled: nothing was done')
    expect(await listed()).toEqual([])
  })

  it.each([
    ['nothing on standard input', set(), '', 'there is no value on standard input'],
    ['a value that no header can have', set(), 'a\nb', 'printable ASCII'],
    ['more than any value', set(), 'x'.repeat(70_000), 'too long'],
    [
      'a server that takes none',
      ['server', 'credential', 'set', 'files', '--principal', 'a'],
      'x',
      'takes no credentials of principals',
    ],
    [
      'a server that is not there',
      ['server', 'credential', 'set', 'nowhere', '--principal', 'a'],
      'x',
      'there is no MCP server "nowhere"',
    ],
  ])('refuses %s', async (_, args, input, message) => {
    const { code, stderr } = await run(args, { input })
    expect(code).toBe(1)
    expect(stderr).toContain(message)
    expect(await listed()).toEqual([])
  })

  it('has no way to take a value as an argument', async () => {
    expect((await run(set('--value', VALUE))).code).toBe(2)
    expect((await run(set(VALUE))).code).toBe(2)
    const { code, stderr } = await run(['server', 'credential', 'set', 'wiki'])
    expect(code).toBe(2)
    expect(stderr).toContain('--principal NAME is needed')
  })

  it('says which of its commands there are', async () => {
    const { code, stderr } = await run(['server', 'credential'])
    expect(code).toBe(2)
    expect(stderr).toContain('server credential set, server credential list, server credential remove')
    const help = await run(['server', 'credential', '--help'])
    expect(help.stdout).toContain('server credential remove')
    expect(help.stdout).not.toContain('token add')
  })

  it('refuses a key file that others can read, or that is missing; removing works without it', async () => {
    await run(set(), { input: VALUE })
    const key = join(data, 'secret.key')
    chmodSync(key, 0o644)
    const open = await run(set(), { input: VALUE })
    expect(open.code).toBe(1)
    expect(open.stderr).toContain(`(mode 0644): run chmod 600 ${key}`)
    unlinkSync(key)
    const missing = await run(set(), { input: VALUE })
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('is missing: bring it back')
    expect(existsSync(key)).toBe(false)
    expect((await run(['server', 'credential', 'remove', 'wiki', '--principal', 'alice'])).code).toBe(0)
    expect((await run(set(), { input: VALUE })).code).toBe(0)
  })
})
