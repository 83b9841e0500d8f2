import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A Node of this machine that is older than the sources need, if there is one. */
export const OLD_NODE = ['/usr/local/bin/node', '/usr/bin/node'].find((file) => {
  try {
    const version = execFileSync(file, ['--version'], { encoding: 'utf8' })
    return Number(/^v(\d+)/.exec(version)?.[1]) < 22
  } catch {
    return false
  }
})

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Circumstances {
  /** The Node that runs `bin/postern`; the one of this test when absent. */
  readonly node?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** What standard input holds before it ends. */
  readonly input?: string
  /** Another copy of `bin/postern`. */
  readonly script?: string
}

/** Only what a program needs to start: the settings of whoever runs the tests must not reach it. */
const environment = (more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: tmpdir(),
  ...more,
})

export function start(args: readonly string[], how: Circumstances = {}): ChildProcessWithoutNullStreams {
  return spawn(how.node ?? process.execPath, [how.script ?? join(ROOT, 'bin/postern'), ...args], {
    cwd: how.cwd ?? ROOT,
    env: environment(how.env),
  })
}

export function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr })
    })
  })
}

/** Runs the real command to its end. */
export async function postern(args: readonly string[], how: Circumstances = {}): Promise<Outcome> {
  const child = start(args, how)
  child.stdin.on('error', () => {
    // The command ended without reading its input.
  })
  child.stdin.end(how.input ?? '')
  return await outcome(child)
}

/** An empty directory for one test file, and its removal. */
export function scratch(): { readonly dir: string; readonly remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'postern-cli-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}
