import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(import.meta.url)

const program = (name: string): string =>
  join(require.resolve(`@modelcontextprotocol/${name}/package.json`), '../dist/index.js')

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** How to start the servers of the MCP project over stdio. */
export const stdioServers = {
  everything: (): Command => ({ command: process.execPath, args: [program('server-everything'), 'stdio'] }),
  filesystem: (folder: string): Command => ({
    command: process.execPath,
    args: [program('server-filesystem'), folder],
  }),
  memory: (file: string): Command => ({
    command: process.execPath,
    args: [program('server-memory')],
    env: { MEMORY_FILE_PATH: file },
  }),
}

export interface RunningUpstream {
  readonly url: string
  readonly child: ChildProcess
  stop(): Promise<void>
}

/** Starts `server-everything` over HTTP. */
export async function everythingServer(transport: 'sse' | 'streamableHttp'): Promise<RunningUpstream> {
  const child = spawn(
    process.execPath,
    ['--import', require.resolve('./listen-locally.ts'), program('server-everything'), transport],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const lines = createInterface(child.stdout)
  const port = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /^listening on port (\d+)$/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code) => {
      reject(new Error(`server-everything ended with ${code}`))
    })
  })
  return {
    url: `http://127.0.0.1:${port}${transport === 'sse' ? '/sse' : '/mcp'}`,
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
