import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { COMMAND_NAMES } from '../../cli/commands.ts'
import { outcome, postern, ROOT, scratch, start } from './postern.ts'
import { converse } from './terminal.ts'

const { dir, remove } = scratch()
afterAll(remove)

const ESCAPE = '\u001B'

describe('help', () => {
  it('lists every command', async () => {
    const { code, stdout, stderr } = await postern(['--help'])
    expect([code, stderr]).toEqual([0, ''])
    for (const name of COMMAND_NAMES) expect(stdout).toMatch(new RegExp(`^  ${name}  +[a-z]`, 'm'))
    expect((await postern([])).stdout).toBe(stdout)
    expect((await postern(['help'])).stdout).toBe(stdout)
  })

  it.each(COMMAND_NAMES)('explains %s, in lines that fit', async (name) => {
    const { code, stdout, stderr } = await postern([...name.split(' '), '--help'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(`postern ${name}`)
    expect(stdout).toContain('--data-dir DIR')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  })

  it('says the same as data', async () => {
    const { stdout } = await postern(['--help', '--json'])
    const { commands } = JSON.parse(stdout) as { commands: { name: string }[] }
    expect(commands.map(({ name }) => name)).toEqual(COMMAND_NAMES)
  })

  it('is plain text where nobody looks at a terminal, and with NO_COLOR', async () => {
    expect((await postern(['--help'])).stdout).not.toContain(ESCAPE)
    const raw = (env: Record<string, string>): string =>
      execFileSync(
        'script',
        ['-qec', `'${process.execPath}' '${join(ROOT, 'bin/postern')}' --help`, '/dev/null'],
        {
          encoding: 'utf8',
          env: { PATH: process.env['PATH'], TERM: 'xterm', SHELL: '/bin/sh', ...env },
        },
      )
    expect(raw({})).toContain(ESCAPE)
    expect(raw({ NO_COLOR: '1' })).not.toContain(ESCAPE)
  })

  it('fits a narrow terminal', async () => {
    const { screen } = await converse(['token', 'add', '--help'], [], { cwd: dir })
    expect(screen).toContain('--expiry TIME')
  })
})

describe('wrong usage', () => {
  it.each([
    [['srve'], 'unknown_command', 'unknown command "srve", did you mean serve?'],
    [['token'], 'unknown_command', 'say what "token" should do: token add, '],
    [['token', 'lst'], 'unknown_command', 'did you mean token list?'],
    [['serve', '--adr', 'x'], 'unknown_option', 'unknown option --adr, did you mean --addr?'],
    [['--jsn'], 'unknown_option', 'unknown option --jsn, did you mean --json?'],
    [['serve', '--addr'], 'missing_value', '--addr needs a value: --addr ADDRESS'],
    [['token', 'add', '--level', 'root'], 'invalid_value', '--level is one of read-only, read-write, admin'],
    [['token', 'remove'], 'wrong_arguments', 'ID-or-HASH-PREFIX is missing'],
    [['-token-note', 'x'], 'usage', '-token-note goes with -add-token'],
  ])('%j exits with 2 and says what to do', async (args, errorCode, message) => {
    const plain = await postern(args)
    expect([plain.code, plain.stdout]).toEqual([2, ''])
    expect(plain.stderr).toContain(message)

    const inJson = await postern([...args, '--json'])
    if (args.includes('--addr')) return // A value is missing, so that --json would be it.
    expect([inJson.code, inJson.stderr]).toEqual([2, ''])
    const document = JSON.parse(inJson.stdout) as { message: string }
    expect(document).toMatchObject({ error: 'usage', code: errorCode })
    expect(document.message).toContain(message)
  })
})

describe('failures', () => {
  it('reports every problem of a configuration, in JSON mode as one document', async () => {
    const file = join(dir, 'bad.yaml')
    writeFileSync(file, 'servr: {}\nlog:\n  levl: debug\n')
    const plain = await postern(['token', 'list', '--config', file])
    expect([plain.code, plain.stdout]).toEqual([1, ''])
    expect(plain.stderr).toMatch(/bad\.yaml:1:1.*server[\s\S]*bad\.yaml:3:3.*level/)
    const inJson = await postern(['token', 'list', '--config', file, '--json'])
    expect([inJson.code, inJson.stderr]).toEqual([1, ''])
    expect(JSON.parse(inJson.stdout)).toMatchObject({
      error: 'failed',
      code: 'config_invalid',
      problems: [{ code: 'config_unknown_key', suggestion: 'server' }, { suggestion: 'level' }],
    })
  })

  it('takes the configuration file from POSTERN_CONFIG, and an option over it', async () => {
    const good = join(dir, 'good.yaml')
    writeFileSync(good, `dataDir: ${join(dir, 'good-data')}\n`)
    const env = { POSTERN_CONFIG: join(dir, 'missing.yaml') }
    expect((await postern(['token', 'list'], { env })).stderr).toContain('missing.yaml')
    expect(await postern(['token', 'list', '--config', good], { env })).toMatchObject({ code: 0, stderr: '' })
  })

  it('names a data directory that it may not write, without a stack', async () => {
    const file = join(dir, 'not-a-directory')
    writeFileSync(file, '')
    const { code, stdout, stderr } = await postern(['token', 'list', '--data-dir', join(file, 'x')])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('not-a-directory')
    expect(stderr).toContain('(data_dir_unusable)')
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it('ends quietly when the reader of its output goes away', async () => {
    mkdirSync(join(dir, 'pipe'), { recursive: true })
    const child = start(['--help'], { cwd: join(dir, 'pipe') })
    child.stdout.destroy()
    const { stderr } = await outcome(child)
    expect(stderr).toBe('')
  })
})
