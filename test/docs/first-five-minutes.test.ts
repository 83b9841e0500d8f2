import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { workFolder } from '../support/postern.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/first-five-minutes.md'
const page = readFileSync(join(ROOT, PAGE), 'utf8')

const WAIT = { timeout: 25_000, interval: 100 }
/** The first start fills a database. */
const START = { timeout: 60_000, interval: 100 }

type Step =
  | { readonly kind: 'command'; readonly command: string; readonly output: string }
  | { readonly kind: 'file'; readonly name: string; readonly text: string }

/** What the page tells the reader to do, in its order. */
function stepsOf(text: string): readonly Step[] {
  const steps: Step[] = []
  for (const [, name, language, body = ''] of text.matchAll(
    /(?:<!-- file: (\S+) -->\s*)?^```(\w+)\n([\s\S]*?)^```$/gm,
  )) {
    if (name !== undefined) steps.push({ kind: 'file', name, text: body })
    if (language !== 'console') continue
    for (const part of body.split(/^\$ /m).slice(1)) {
      const [command = '', ...output] = part.split('\n')
      steps.push({ kind: 'command', command, output: output.join('\n') })
    }
  }
  return steps
}

const steps = stepsOf(page)

/** Tokens and ids of the page, and what stands in their place this time. */
const learnt = new Map<string, string>()

const KINDS: readonly (readonly [example: RegExp, matches: string])[] = [
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/, String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`],
  // Blanks are left out before the comparison.
  [/\d{4}-\d\d-\d\d\d\d:\d\d:\d\d/, String.raw`\d{4}-\d\d-\d\d\d\d:\d\d:\d\d`],
  [/\d{4}-\d\d-\d\d/, String.raw`\d{4}-\d\d-\d\d`],
  [/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/, '[0-9a-f-]{36}'],
  [/\b[0-9a-f]{64}\b/, '[0-9a-f]{64}'],
  [/ec5c1f1ccded/, '[0-9a-f]{12}'],
  [/"(?:seq|checked|head_seq|duration_ms)":[\d.]+/, String.raw`"[a-z_]+":[\d.]+`],
  [/Postern\d+\.\d+\.\d+/, String.raw`Postern\d+\.\d+\.\d+`],
  [/…/, '.*?'],
]

const OWN = /pst_[\w-]{43}|tok_[0-9a-f-]{36}/
const PIECE = new RegExp(
  [OWN, ...KINDS.map(([example]) => example)].map(({ source }) => `(?:${source})`).join('|'),
  'g',
)

const squeezed = (text: string): string => text.replaceAll(/\s+/g, '')
const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** Compares, blanks aside, and learns the tokens and ids that the output shows for the first time. */
function compare(expected: string, got: string): void {
  const names: string[] = []
  let source = ''
  let at = 0
  const text = squeezed(expected)
  for (const match of text.matchAll(PIECE)) {
    source += literal(text.slice(at, match.index))
    at = match.index + match[0].length
    if (new RegExp(`^(?:${OWN.source})$`).test(match[0])) {
      const known = learnt.get(match[0])
      const again = names.indexOf(match[0])
      if (known !== undefined) source += literal(known)
      else if (again !== -1) source += `\\${again + 1}`
      else {
        names.push(match[0])
        source += `(${OWN.source})`
      }
    } else {
      source += KINDS.find(([example]) => new RegExp(`^(?:${example.source})$`).test(match[0]))?.[1] ?? ''
    }
  }
  source += literal(text.slice(at))
  const found = new RegExp(`^${source}$`).exec(squeezed(got))
  // Shows both as they are; the pattern alone says little to a person.
  expect(found === null ? got : 'as on the page').toBe(found === null ? expected : 'as on the page')
  for (const [number, name] of names.entries()) learnt.set(name, found?.[number + 1] ?? '')
}

/** Where the gateway listens this time, in the place of the page's port. */
let address = ''
const addressed = (text: string): string => text.replaceAll('127.0.0.1:8080', address)

/** What a reader would type: with their own tokens and ids. */
const translated = (text: string): string =>
  [...learnt].reduce((changed, [name, value]) => changed.replaceAll(name, value), addressed(text))

let dir: string
let remove: () => Promise<void>
let gateway: ChildProcessByStdio<null, Readable, Readable> | undefined
let shown = ''
/** The second terminal: one shell, so that what is exported stays. */
let shell: ChildProcessByStdio<Writable, Readable, null> | undefined
let said = ''

beforeAll(async () => {
  ;({ dir, remove } = await workFolder())
  // To everything that looks at it, the folder is a checkout.
  for (const name of ['bin', 'node_modules', 'package.json']) symlinkSync(join(ROOT, name), join(dir, name))
})
afterAll(async () => {
  shell?.stdin.end()
  if (gateway?.exitCode === null) {
    const ended = new Promise((resolve) => gateway?.once('close', resolve))
    gateway.kill('SIGINT')
    await ended
  }
  await remove()
}, 60_000)

const environment = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: dir,
  LANG: 'C.UTF-8',
  // The page uses the port that people get; here it may be taken.
  POSTERN_SERVER_ADDR: '127.0.0.1:0',
})

function startGateway(command: string): void {
  // `exec`: what is stopped in the end is the gateway, not a shell around it.
  gateway = spawn('bash', ['-c', `exec ${command}`], {
    cwd: dir,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  gateway.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
}

function openShell(): ChildProcessByStdio<Writable, Readable, null> {
  const opened = spawn('bash', ['--noprofile', '--norc'], {
    cwd: dir,
    env: environment(),
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  opened.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  opened.stdin.write('exec 2>&1\n')
  return opened
}

let count = 0

/** Types one command into the second terminal and waits for the prompt. */
async function type(command: string): Promise<string> {
  shell ??= openShell()
  count += 1
  const end = `=== end of command ${count} ===`
  said = ''
  shell.stdin.write(`${command}\nprintf '\\n%s\\n' '${end}'\n`)
  await vi.waitFor(() => {
    expect(said).toContain(end)
  }, WAIT)
  return said.slice(0, said.indexOf(`\n${end}`))
}

async function follow(step: Step): Promise<void> {
  if (step.kind === 'file') {
    await writeFile(join(dir, step.name), translated(step.text))
    return
  }
  const command = translated(step.command)
  if (command.startsWith('./bin/postern serve')) {
    startGateway(command)
    await vi.waitFor(() => {
      expect(shown).toContain('Ctrl-C stops it.')
    }, START)
    address = /127\.0\.0\.1:\d+/.exec(shown)?.[0] ?? ''
    compare(addressed(step.output), shown)
    return
  }
  const output = await type(command)
  if (!command.startsWith('curl')) {
    compare(addressed(step.output), output)
    return
  }
  // Nobody types as fast as this: the record is written, and a removed token noticed, a moment later.
  let latest = output
  await vi.waitFor(async () => {
    try {
      compare(addressed(step.output), latest)
    } catch (difference) {
      latest = await type(command)
      throw difference
    }
  }, WAIT)
}

describe(PAGE, () => {
  it('has what a new user does first', () => {
    const commands = steps.flatMap((step) => (step.kind === 'command' ? [step.command] : []))
    expect(commands.length).toBeGreaterThan(15)
    for (const part of [
      'serve --demo',
      '/mcp/tools',
      'query_database',
      'schema_search',
      'DELETE FROM',
      'node hello.mjs',
      'token add',
      'token list',
      'token remove',
      'admin/audit',
    ]) {
      expect(
        commands.some((command) => command.includes(part)),
        part,
      ).toBe(true)
    }
    expect(steps.filter(({ kind }) => kind === 'file')).toHaveLength(1)
  })

  // In order, each on top of those before: the page is one session.
  it.each(
    steps.map(
      (step, at) => [at + 1, step.kind === 'command' ? step.command : `save ${step.name}`, step] as const,
    ),
  )(
    '%i: %s',
    async (_, __, step) => {
      await follow(step)
    },
    90_000,
  )

  it('used every token and id that it shows', () => {
    const examples = new Set(page.match(new RegExp(OWN.source, 'g')))
    expect(examples.size).toBe(4)
    for (const example of examples) expect(learnt.get(example), example).toMatch(OWN)
    expect(new Set(learnt.values()).size).toBe(learnt.size)
  })

  it('leads to pages that are there', () => {
    for (const [, file = ''] of page.matchAll(/\]\(([^)#]+)\)/g)) {
      expect(readFileSync(join(ROOT, 'docs', file), 'utf8').length).toBeGreaterThan(100)
    }
  })
})
