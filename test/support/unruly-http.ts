import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('./upstreams/unruly-http.ts', import.meta.url))

export type UnrulyKind = 'streamable' | 'stateless' | 'sse'

/** A request as the server received it, its headers by lower-case name. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A server over HTTP that does on command what servers should not, in a process that can be killed and stopped. */
export interface UnrulyHttp {
  readonly url: string
  readonly pid: number
  readonly seen: readonly SeenRequest[]
  /** Everything that it received, as it came. */
  received(): string
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<void>
  /** Starts it again at the same address, once it has ended. */
  again(): Promise<void>
  stop(): Promise<void>
}

export async function unrulyHttp(
  kind: UnrulyKind,
  options: { readonly tools?: number } = {},
): Promise<UnrulyHttp> {
  let child: ChildProcess
  let ended = Promise.resolve()
  const seen: SeenRequest[] = []
  const lines: string[] = []

  const start = async (port: string): Promise<string> => {
    const args = [MAIN, '--kind', kind, '--port', port, '--tools', String(options.tools ?? 0)]
    const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    ended = once(started, 'exit').then(() => undefined)
    const output = createInterface(started.stdout)
    const [url] = (await once(output, 'line')) as [string]
    output.on('line', (line) => {
      lines.push(line)
      const { headers, ...rest } = JSON.parse(line) as Omit<SeenRequest, 'headers'> & { headers: string[] }
      const named: Record<string, string> = {}
      for (let at = 0; at < headers.length; at += 2)
        named[String(headers[at]).toLowerCase()] = String(headers[at + 1])
      seen.push({ ...rest, headers: named })
    })
    return url
  }

  const url = await start('0')
  return {
    url,
    get pid() {
      return child.pid as number
    },
    seen,
    received: () => lines.join('\n'),
    signal: (name) => {
      child.kill(name)
    },
    get ended() {
      return ended
    },
    async again() {
      await ended
      await start(new URL(url).port)
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}
