import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Finished, postern, serve, workFolder } from '../support/postern.ts'

const folders: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(folders.splice(0).map((remove) => remove()))
})

async function folder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const { dir, remove } = await workFolder(files)
  folders.push(remove)
  return dir
}

/**
 * Runs as somebody whom file modes bind. Root passes every mode by its capabilities; without these two it is
 * an ordinary owner. Works where the sources are readable to root only, as in `/root`.
 */
const BOUND_BY_MODES =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search'] : []

interface Problem {
  readonly code: string
  readonly where: string
  readonly path: string
  readonly message: string
  readonly suggestion: string | null
}

interface Failure {
  readonly error: string
  readonly message: string
  readonly code: string
  readonly problems?: readonly Problem[]
}

const INSIDES = /\n\s+at |node_modules|\.ts:\d|Error:/

/** Starts a gateway that must not start: as a program sees it, then as a person does. */
async function failsToStart(
  cwd: string,
  args: readonly string[],
  code: string,
  how: { readonly env?: Readonly<Record<string, string>>; readonly through?: readonly string[] } = {},
): Promise<{ readonly failure: Failure; readonly person: string }> {
  const address = args.includes('--addr') ? [] : ['--addr', '127.0.0.1:0']
  const [forProgram, forPerson] = await Promise.all(
    [['--json'], []].map((form) => postern(['serve', ...address, ...args, ...form], { cwd, ...how })),
  )
  if (!forProgram || !forPerson) throw new Error('unreachable: two were started')
  const failure = JSON.parse(forProgram.stdout) as Failure
  expect(failure).toMatchObject({ error: 'failed', code })
  for (const { code: exit, stdout, stderr } of [forProgram, forPerson]) {
    expect(exit).toBe(1)
    expect(stdout + stderr).not.toMatch(INSIDES)
  }
  expect(forPerson.stdout).toBe('')
  const person = forPerson.stderr.slice(forPerson.stderr.indexOf('postern: '))
  expect(person).toContain(`postern: ${failure.message}.\n`)
  expect(person).toMatch(new RegExp(`^  \\(${code}\\)\\n$`, 'm'))
  return { failure, person }
}

/** The same folder starts when what was wrong is put right. */
async function starts(cwd: string, ...args: string[]): Promise<Finished> {
  const serving = await serve(['serve', '--addr', '127.0.0.1:0', ...args], { cwd })
  const ended = await serving.stop()
  expect(ended.code).toBe(0)
  return ended
}

describe('a configuration that cannot be used', () => {
  it.each([
    ['an open bracket', 'server:\n  addr: [127.0.0.1:0\n', /:\d+:\d+$/],
    ['bad indentation', 'server:\n    addr: 127.0.0.1:0\n  name: x\n', /:3:\d+$/],
    ['a tab', 'server:\n\taddr: 127.0.0.1:0\n', /:2:\d+$/],
    ['an open quote', 'server:\n  name: "postern\n', /:\d+:\d+$/],
    ['an alias to nothing', 'server: *nowhere\n', /:1:9$/],
    ['a custom tag', 'server: !!js/function "x"\n', /:1:9$/],
    ['two documents', 'server: {}\n---\nserver: {}\n', /:\d+:\d+$/],
    ['a list', '- server\n', /./],
  ])('broken YAML says file, line and column: %s', async (_, text, where) => {
    const cwd = await folder({ 'postern.yaml': text })
    const { failure, person } = await failsToStart(cwd, [], 'config_invalid')
    const [first] = failure.problems ?? []
    expect(first?.where).toMatch(where)
    expect(first?.where).toMatch(/^postern\.yaml/)
    expect(person).toContain(`  ${first?.where}  `)
    expect(person).toContain(first?.message ?? '-')
    expect(await readdir(cwd)).toEqual(['postern.yaml'])
  })

  it('bytes that are not text are told to be none', async () => {
    const cwd = await folder({ 'postern.yaml': '' })
    await writeFile(join(cwd, 'postern.yaml'), Buffer.from([0xff, 0xfe, 0x00, 0x81]))
    const { failure, person } = await failsToStart(cwd, [], 'config_invalid')
    expect(failure.problems?.[0]).toMatchObject({ code: 'config_syntax' })
    expect(person).toContain('is not text')
  })

  it('unknown keys are all named at once, each with its place and the word that was meant', async () => {
    const cwd = await folder({
      'postern.yaml': [
        'server:',
        '  adr: 127.0.0.1:0',
        'limts:',
        '  rows: 10',
        'databases:',
        '  - name: shop',
        '    url: postgres://reader:MARKERpassword@127.0.0.1/shop',
        '    pasword: MARKERother',
        'auth:',
        '  tokens:',
        '    ci: { valeu: MARKERtoken }',
        '',
      ].join('\n'),
    })
    const { failure, person } = await failsToStart(cwd, [], 'config_invalid', {
      env: { POSTERN_SERVER_ADR: 'x' },
    })
    const unknown = (failure.problems ?? []).filter(({ code }) => code === 'config_unknown_key')
    expect(unknown.map(({ where, path, suggestion }) => [where, path, suggestion])).toEqual([
      ['postern.yaml:2:3', 'server.adr', 'addr'],
      ['postern.yaml:3:1', 'limts', 'limits'],
      ['postern.yaml:8:5', 'databases[0].pasword', 'password'],
      ['postern.yaml:11:11', 'auth.tokens.ci.valeu', 'value'],
    ])
    for (const { where, suggestion } of unknown) {
      expect(person).toContain(`  ${where}  `)
      expect(person).toContain(`(did you mean "${suggestion}"?)`)
    }
    expect(JSON.stringify(failure) + person).not.toContain('MARKER')
  })

  it('a file that does not exist is named, with what makes one', async () => {
    const cwd = await folder()
    const { failure } = await failsToStart(cwd, ['--config', 'none.yaml'], 'config_invalid')
    expect(failure.problems?.[0]).toMatchObject({ code: 'config_unreadable', path: join(cwd, 'none.yaml') })
    expect(failure.problems?.[0]?.message).toContain('postern config init')
  })

  it('a file that may not be read is named', async () => {
    const cwd = await folder({ 'postern.yaml': 'server: {}\n' })
    await chmod(join(cwd, 'postern.yaml'), 0o000)
    const { failure } = await failsToStart(cwd, [], 'config_invalid', { through: BOUND_BY_MODES })
    expect(failure.problems?.[0]).toMatchObject({ code: 'config_unreadable' })
  })

  it('found while it runs, it changes nothing: the log says what is wrong, everybody is answered', async () => {
    const cwd = await folder({ 'postern.yaml': `auth: { tokens: { ci: '${'c'.repeat(32)}' } }\n` })
    const serving = await serve(['serve', '--addr', '127.0.0.1:0'], { cwd })
    try {
      await writeFile(join(cwd, 'postern.yaml'), 'auth:\n  tokns: {}\n broken: [\n')
      serving.signal('SIGHUP')
      await expect.poll(() => serving.stderr(), { timeout: 20_000 }).toContain('Not reloaded')
      const reply = await fetch(`${serving.url}/mcp/tools`, {
        headers: { authorization: `Bearer ${'c'.repeat(32)}` },
        signal: AbortSignal.timeout(20_000),
      })
      expect(reply.status).toBe(200)
    } finally {
      await serving.stop()
    }
  })
})

describe('an address that cannot be had', () => {
  it('a port in use is named, and whoever has it keeps it', async () => {
    const cwd = await folder()
    const owner = createServer((socket) => socket.end('mine'))
    await new Promise<void>((done) => {
      owner.listen(0, '127.0.0.1', done)
    })
    const { port } = owner.address() as AddressInfo
    try {
      const { failure } = await failsToStart(cwd, ['--addr', `127.0.0.1:${port}`], 'address_in_use')
      expect(failure.message).toContain(`127.0.0.1, port ${port} is in use`)
      expect(failure.message).toContain('--addr')
      expect(owner.listening).toBe(true)
    } finally {
      await new Promise((done) => {
        owner.close(done)
      })
    }
    await starts(cwd)
  })

  it('a second gateway on the port of a first one says so, and the first goes on', async () => {
    const first = await folder()
    const serving = await serve(['serve', '--addr', '127.0.0.1:0'], { cwd: first })
    try {
      await failsToStart(await folder(), ['--addr', new URL(serving.url).host], 'address_in_use')
      expect((await fetch(`${serving.url}/health`, { signal: AbortSignal.timeout(20_000) })).status).toBe(200)
    } finally {
      await serving.stop()
    }
  })

  it('an address of another machine is named', async () => {
    const { failure } = await failsToStart(await folder(), ['--addr', '192.0.2.1:8080'], 'address_unusable')
    expect(failure.message).toContain('192.0.2.1')
  })
})

describe('a data directory that cannot be used', () => {
  it('a file in the way', async () => {
    const cwd = await folder({ data: 'mine' })
    for (const dir of ['data', 'data/below']) {
      const { failure } = await failsToStart(cwd, ['--data-dir', dir], 'data_dir_unusable')
      expect(failure.message).toContain(join(cwd, dir))
      expect(failure.message).toContain('is a file, not a directory')
    }
    expect(await readFile(join(cwd, 'data'), 'utf8')).toBe('mine')
  })

  it.each([
    ['a directory that may not be written', 0o500, 'data'],
    ['a parent in which it may not be made', 0o500, 'data/below'],
    ['a parent that may not be entered', 0o000, 'data/below'],
  ])('%s', async (_, mode, dir) => {
    const cwd = await folder()
    await mkdir(join(cwd, 'data'))
    await chmod(join(cwd, 'data'), mode)
    const { failure } = await failsToStart(cwd, ['--data-dir', dir], 'data_dir_unusable', {
      through: BOUND_BY_MODES,
    })
    expect(failure.message).toContain(join(cwd, dir))
    expect(failure.message).toContain('permission denied')
    expect(failure.message).toContain('--data-dir')
    await chmod(join(cwd, 'data'), 0o700)
    await starts(cwd, '--data-dir', dir)
  })

  it('a store that may only be read', async () => {
    const cwd = await folder()
    await starts(cwd)
    const store = join(cwd, '.postern', 'postern.db')
    const before = await readFile(store)
    await chmod(store, 0o400)
    const { failure } = await failsToStart(cwd, [], 'data_dir_unusable', { through: BOUND_BY_MODES })
    expect(failure.message).toContain(store)
    expect(await readFile(store)).toEqual(before)
    await chmod(store, 0o600)
    await starts(cwd)
  })

  it('a link that leads in a circle', async () => {
    const cwd = await folder()
    await symlink('data', join(cwd, 'data'))
    const { failure } = await failsToStart(cwd, ['--data-dir', 'data'], 'data_dir_unusable')
    expect(failure.message).toContain(join(cwd, 'data'))
  })

  it('a store that is something else is left as it is', async () => {
    const cwd = await folder()
    await mkdir(join(cwd, '.postern'))
    const store = join(cwd, '.postern', 'postern.db')
    const text = 'the novel I have been writing for ten years\n'.repeat(100)
    await writeFile(store, text)
    const { failure } = await failsToStart(cwd, [], 'store_unavailable')
    expect(failure.message).toContain('is not a SQLite database')
    expect(await readFile(store, 'utf8')).toBe(text)
  })
})
