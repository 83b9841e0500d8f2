import { spawn, type ChildProcess } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import { ENVIRONMENT, type Place } from './place.ts'

export interface LaunchOptions {
  /** Port on 127.0.0.1; absent: any free one. */
  readonly port?: number
  /** False gives up crash safety for speed: for tests only. */
  readonly durable?: boolean
  /** Further settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export const HOST = '127.0.0.1'
/** Crash recovery of the sample data takes a second or two; the rest is for slow disks. */
const START_DEADLINE_MS = 60_000
/** A server whose Postern was killed needs this long to notice and finish. */
export const ORPHAN_DEADLINE_MS = 5_000
const PORT_ATTEMPTS = 5
const LOG_BYTES = 4 * 1024 * 1024

/**
 * The shell starts a watcher, detached from it, then becomes PostgreSQL. The watcher waits on a pipe that only the
 * parent holds: when the parent goes without a word (kill -9), PostgreSQL is told to stop; a line means all is well.
 */
const WATCHED = `( ( read -r line <&3 || kill -INT $$ ) >/dev/null 2>&1 & ); exec 3<&-; exec "$@"`

/**
 * Starts the server of an initialised directory and waits until it answers.
 *
 * @returns the process, whose `stdio[3]` the watcher waits on
 */
export async function launch(
  place: Place,
  options: LaunchOptions,
): Promise<{ child: ChildProcess; port: number }> {
  const orphansUntil = Date.now() + ORPHAN_DEADLINE_MS
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const child = await spawnServer(place, options, port)
    const failure = await untilReady(child, place)
    if (failure === null) return { child, port }
    releaseWatcher(child)
    // Somebody else may have taken the port between our asking and PostgreSQL's binding.
    const portTaken = failure.includes('could not create any TCP/IP sockets')
    if (portTaken && options.port === undefined && attempt < PORT_ATTEMPTS) continue
    // After kill -9 of the server alone its children need a moment to notice.
    if (failure.includes('shared memory block') && Date.now() < orphansUntil) {
      await pause(100)
      continue
    }
    throw new Fault(
      portTaken ? 'address_in_use' : 'database_unavailable',
      portTaken
        ? `port ${port} is in use: the embedded PostgreSQL cannot listen on it`
        : `the embedded PostgreSQL did not start: see ${join(place.dir, 'server.log')}`,
      { cause: new Error(failure) },
    )
  }
}

/** Tells the watcher that there is nothing left to stop; otherwise it would signal a number that may be somebody else's by then. */
export function releaseWatcher(child: ChildProcess): void {
  const watch = child.stdio[3] as Writable
  // It may have gone already, and then there is nobody to tell.
  watch.on('error', () => {})
  watch.end('gone\n')
}

async function spawnServer(place: Place, options: LaunchOptions, port: number): Promise<ChildProcess> {
  const logFile = join(place.dir, 'server.log')
  const grown = await stat(logFile).catch(() => null)
  if (grown !== null && grown.size > LOG_BYTES) await rename(logFile, `${logFile}.1`)
  const log = await open(logFile, 'a', 0o600)
  try {
    const settings: Record<string, string> = {
      listen_addresses: HOST,
      port: String(port),
      unix_socket_directories: '',
      log_destination: 'stderr',
      logging_collector: 'off',
      log_checkpoints: 'off',
      // A failing statement may hold a value that nobody should find in a log.
      log_min_error_statement: 'panic',
      shared_buffers: '64MB',
      ...(options.durable === false
        ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
        : {}),
      ...options.settings,
    }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(
      '/bin/sh',
      ['-c', WATCHED, 'sh', place.binaries.postgres, '-D', `${place.door.path}/data`, ...args],
      {
        ...place.runAs,
        cwd: '/',
        env: ENVIRONMENT,
        stdio: ['ignore', log.fd, log.fd, 'pipe', place.door.handle?.fd ?? 'ignore'],
      },
    )
    // A program that cannot be run has no pid, which is what is looked at.
    child.on('error', () => {})
    return child
  } finally {
    await log.close()
  }
}

/** `null` when the server answers; otherwise what its log says. */
async function untilReady(child: ChildProcess, place: Place): Promise<string | null> {
  const from = (await stat(join(place.dir, 'server.log'))).size
  const ended = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const deadline = Date.now() + START_DEADLINE_MS
  while (!ended() && Date.now() < deadline) {
    const lines = (await readFile(join(place.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
    // Line 1 is the process, line 8 its state (PostgreSQL, src/include/utils/pidfile.h).
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return null
    await pause(10)
  }
  const late = !ended()
  if (late) child.kill('SIGKILL')
  const log = await readFile(join(place.dir, 'server.log'))
  return `${late ? 'not ready in time; ' : ''}${log.subarray(Math.min(from, log.length)).toString().slice(-4_000)}`
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((done, failed) => {
    probe.once('error', failed)
    probe.listen(0, HOST, done)
  })
  const { port } = probe.address() as AddressInfo
  await new Promise<void>((done) => {
    probe.close(() => done())
  })
  return port
}
