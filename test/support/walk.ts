import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect, vi } from 'vitest'
import { workFolder } from './postern.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const WAIT = { timeout: 25_000, interval: 100 }
/** The first start fills a database. */
const START = { timeout: 60_000, interval: 100 }

/** What a page tells its reader to do. */
export type Step =
  | { readonly kind: 'command'; readonly command: string; readonly output: string }
  | { readonly kind: 'file'; readonly name: string; readonly text: string }

/** A page of the documentation, done step by step in a folder of its own: one terminal serves, in the other one types. */
export interface Walk {
  readonly page: string
  readonly steps: readonly Step[]
  /** The steps as `it.each` takes them. */
  readonly cases: readonly (readonly [number: number, title: string, step: Step])[]
  /** Example tokens and ids of the page, and what stands in their place this time. */
  readonly learnt: ReadonlyMap<string, string>
  open(): Promise<void>
  /** Does one step, and compares what comes back with the page. */
  follow(step: Step): Promise<void>
  /** Expects that each page it links to is there and says something. */
  expectPagesItLeadsTo(): void
  close(): Promise<void>
}

/** In its order: what is typed, with what comes back, and the files to save. */
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

const KINDS: readonly (readonly [example: RegExp, matches: string])[] = [
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/, String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`],
  // Blanks are left out before the comparison, so the number of an entry may stand right before its date.
  [/\d{4,}-\d\d-\d\d\d\d:\d\d:\d\d/, String.raw`\d{4,}-\d\d-\d\d\d\d:\d\d:\d\d`],
  [/\d{4}-\d\d-\d\d/, String.raw`\d{4}-\d\d-\d\d`],
  [/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/, '[0-9a-f-]{36}'],
  [/\b[0-9a-f]{64}\b/, '[0-9a-f]{64}'],
  [/ec5c1f1ccded/, '[0-9a-f]{12}'],
  [/"(?:seq|checked|head_seq|duration_ms)":[\d.]+/, String.raw`"[a-z_]+":[\d.]+`],
  [/Postern\d+\.\d+\.\d+/, String.raw`Postern\d+\.\d+\.\d+`],
  [/…/, '.*?'],
]

/** Tokens and ids. */
export const OWN = /pst_[\w-]{43}|tok_[0-9a-f-]{36}/
const PIECE = new RegExp(
  [OWN, ...KINDS.map(([example]) => example)].map(({ source }) => `(?:${source})`).join('|'),
  'g',
)

const squeezed = (text: string): string => text.replaceAll(/\s+/g, '')
const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** Commands that only look: nobody types as fast as a test, so they may be repeated for a while. */
const ONLY_LOOKS = /^(?:curl -s|cat |grep )(?!.*&$)/
const SERVES = /^(?:[A-Z_]+=\S+ )*\.\/bin\/postern serve\b/

export function walkOf(path: string): Walk {
  const page = readFileSync(join(ROOT, path), 'utf8')
  const steps = stepsOf(page)
  const learnt = new Map<string, string>()

  let dir = ''
  let remove: () => Promise<void> = async () => undefined
  let gateway: ChildProcessByStdio<null, Readable, Readable> | undefined
  let shown = ''
  /** The second terminal: one shell, so that what is exported stays. */
  let shell: ChildProcessByStdio<Writable, Readable, null> | undefined
  let said = ''
  let count = 0

  /** Where the gateway listens this time, in the place of the page's port. */
  let address = '127.0.0.1:8080'
  const addressed = (text: string): string => text.replaceAll('127.0.0.1:8080', address)

  /** What a reader would type: with their own tokens and ids. */
  const translated = (text: string): string =>
    [...learnt].reduce((changed, [name, value]) => changed.replaceAll(name, value), addressed(text))

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

  const environment = (): Record<string, string> => ({
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    LANG: 'C.UTF-8',
    // The page uses the port that people get; here it may be taken.
    POSTERN_SERVER_ADDR: '127.0.0.1:0',
  })

  function startGateway(command: string): void {
    // `exec`: what is stopped in the end is the gateway, not a shell around it.
    gateway = spawn('bash', ['-c', `exec env ${command}`], {
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

  return {
    page,
    steps,
    learnt,
    cases: steps.map(
      (step, at) => [at + 1, step.kind === 'command' ? step.command : `save ${step.name}`, step] as const,
    ),
    async open() {
      ;({ dir, remove } = await workFolder())
      // To everything that looks at it, the folder is a checkout.
      for (const name of ['bin', 'node_modules', 'package.json'])
        symlinkSync(join(ROOT, name), join(dir, name))
    },
    async follow(step) {
      if (step.kind === 'file') {
        await writeFile(join(dir, step.name), translated(step.text))
        return
      }
      const command = translated(step.command)
      if (SERVES.test(command)) {
        startGateway(command)
        await vi.waitFor(() => {
          expect(shown).toContain('Ctrl-C stops it.')
        }, START)
        address = /127\.0\.0\.1:\d+/.exec(shown)?.[0] ?? address
        compare(addressed(step.output), shown)
        return
      }
      const output = await type(command)
      if (!ONLY_LOOKS.test(command)) {
        compare(addressed(step.output), output)
        return
      }
      // The record is written, a file read again and a removed token noticed a moment later.
      let latest = output
      await vi.waitFor(async () => {
        try {
          compare(addressed(step.output), latest)
        } catch (difference) {
          latest = await type(command)
          throw difference
        }
      }, WAIT)
    },
    expectPagesItLeadsTo() {
      for (const [, name = ''] of page.matchAll(/\]\(([^)#]+)/g)) {
        expect(readFileSync(join(ROOT, 'docs', name), 'utf8').length).toBeGreaterThan(100)
      }
    },
    async close() {
      shell?.stdin.end()
      if (gateway?.exitCode === null) {
        const ended = new Promise((resolve) => gateway?.once('close', resolve))
        gateway.kill('SIGINT')
        await ended
      }
      await remove()
    },
  }
}
