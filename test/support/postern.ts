import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const POSTERN = fileURLToPath(new URL('../../bin/postern', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Invocation {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** What the command reads on standard input. */
  readonly input?: string
  /** A program, with its options, that starts the command: `prlimit`, `setpriv`. */
  readonly through?: readonly string[]
}

/** A command that takes longer is killed: patient, because the machine may do ten other things. */
const COMMAND_DEADLINE_MS = 60_000
const ANSWER_DEADLINE_MS = 30_000

/** The environment of a person who has configured nothing. */
const bareEnvironment = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? tmpdir(),
  LANG: 'C.UTF-8',
})

/** Runs one command of the real executable to its end. */
export async function postern(args: readonly string[], invocation: Invocation): Promise<Finished> {
  const { cwd, env, input, through = [] } = invocation
  const [program = POSTERN, ...words] = [...through, POSTERN, ...args]
  const child = spawn(program, words, {
    cwd,
    env: { ...bareEnvironment(), ...env },
    stdio: 'pipe',
    timeout: COMMAND_DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  const output = collect(child)
  child.stdin?.end(input ?? '')
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...output() }
}

/** A gateway in a process of its own. */
export interface Serving {
  readonly url: string
  /** The admin token of a first start. */
  readonly token: string | null
  readonly pid: number
  stdout(): string
  /** The log. */
  stderr(): string
  signal(name: NodeJS.Signals): void
  /** SIGTERM, then the end of the process. */
  stop(): Promise<Finished>
  readonly ended: Promise<number | null>
}

/** Runs `postern <args>` until it says where it listens. Fails with its output when it ends before that. */
export async function serve(args: readonly string[], invocation: Invocation): Promise<Serving> {
  const { cwd, env, through = [] } = invocation
  const [program, ...words] = [...through, POSTERN, ...args, '--json']
  const child = spawn(program, words, {
    cwd,
    env: { ...bareEnvironment(), POSTERN_LOG_FORMAT: 'json', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = collect(child)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const late = setTimeout(() => child.kill('SIGKILL'), COMMAND_DEADLINE_MS)
  const ready = await new Promise<{ url: string; token?: string }>((resolve, reject) => {
    child.stdout?.on('data', () => {
      try {
        const document = JSON.parse(output().stdout) as { url?: string; token?: string }
        // The document of a failure has no address; the process ends after it.
        if (document.url !== undefined) resolve({ ...document, url: document.url })
      } catch {
        // The document is not whole yet.
      }
    })
    void ended.then((code) => {
      reject(
        new Error(`postern ${args.join(' ')} ended with ${code}\n${output().stdout}\n${output().stderr}`),
      )
    })
  }).finally(() => {
    clearTimeout(late)
  })
  return {
    url: ready.url,
    token: ready.token ?? null,
    pid: child.pid as number,
    stdout: () => output().stdout,
    stderr: () => output().stderr,
    signal: (name) => {
      child.kill(name)
    },
    stop: async () => {
      child.kill('SIGTERM')
      return { code: await ended, ...output() }
    },
    ended,
  }
}

function collect(child: ChildProcess): () => { readonly stdout: string; readonly stderr: string } {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return () => ({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() })
}

/** A folder of its own for one test, with the files it starts from. */
export async function workFolder(files: Readonly<Record<string, string>> = {}): Promise<{
  readonly dir: string
  readonly remove: () => Promise<void>
}> {
  const dir = await mkdtemp(join(tmpdir(), 'postern-accept-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** One HTTP request with a bearer token; the body is parsed where it is JSON. */
export async function ask(
  url: string,
  token: string | null,
  more: {
    readonly method?: string
    readonly json?: unknown
    readonly headers?: Readonly<Record<string, string>>
  } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: more.method ?? (more.json === undefined ? 'GET' : 'POST'),
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(more.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...more.headers,
    },
    ...(more.json === undefined ? {} : { body: JSON.stringify(more.json) }),
    signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
  })
  const text = await response.text()
  let body: unknown = text
  try {
    body = JSON.parse(text)
  } catch {
    // Left as text.
  }
  return { status: response.status, headers: response.headers, body }
}

/** One JSON-RPC request to the MCP endpoint without a session, as the plainest clients send it. */
export async function rpc(
  url: string,
  token: string | null,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<Answer> {
  return await ask(`${url}/mcp/v1`, token, { json: { jsonrpc: '2.0', id: 1, method, params } })
}

export interface ToolAnswer {
  readonly isError?: boolean
  readonly content: readonly { readonly type: string; readonly text: string }[]
  readonly structuredContent?: Readonly<Record<string, unknown>>
  readonly _meta?: Readonly<Record<string, unknown>>
}

/** Calls one tool over MCP and gives its result. */
export async function callTool(
  url: string,
  token: string | null,
  name: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<ToolAnswer> {
  const { status, body } = await rpc(url, token, 'tools/call', { name, arguments: args })
  const { result } = body as { result?: ToolAnswer }
  if (result === undefined) throw new Error(`no result (${status}): ${JSON.stringify(body)}`)
  return result
}
