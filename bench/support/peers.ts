import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Other gateways that figures are compared with; installed on demand, outside the project's dependencies. */
const PEERS = {
  databases: ['@toolbox-sdk/server@1.12.0', '@bytebase/dbhub@1.4.0'],
  gateways: ['mcp-proxy@6.7.19', 'supergateway@4.0.0'],
} as const
const FOLDER = fileURLToPath(new URL('../../.bench', import.meta.url))

/** Installs the peers of one bench once and answers the folder of their packages. */
export async function installPeers(of: keyof typeof PEERS = 'databases'): Promise<string> {
  const cwd = join(FOLDER, of === 'databases' ? 'peers' : of)
  const modules = join(cwd, 'node_modules')
  if (!PEERS[of].every((peer) => existsSync(join(modules, peer.slice(0, peer.lastIndexOf('@')))))) {
    await mkdir(cwd, { recursive: true })
    await writeFile(join(cwd, 'package.json'), '{ "private": true }\n')
    execFileSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...PEERS[of]],
      { cwd, stdio: ['ignore', 'ignore', 'inherit'] },
    )
  }
  return modules
}

/** A server in a process of its own. */
export interface Started {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (typeof address === 'object' && address) resolve(address.port)
        else reject(new Error('no port'))
      })
    })
  })
}

/** Starts a command and waits until its port accepts connections. */
export async function start(
  command: string,
  args: readonly string[],
  port: number,
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Started> {
  const log = join(options.cwd, `${port}.log`)
  const child: ChildProcess = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    // Into a file, as a service has it: reading a pipe would cost the processor that is being measured.
    stdio: ['ignore', 'ignore', openSync(log, 'w')],
  })
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      resolve()
    }),
  )
  for (let attempt = 0; ; attempt += 1) {
    if (await accepts(port)) break
    if (child.exitCode !== null || attempt > 300)
      throw new Error(`${command} did not start\n${readFileSync(log, 'utf8').slice(-2_000)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    pid: child.pid as number,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
}
