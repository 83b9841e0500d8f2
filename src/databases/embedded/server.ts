import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  access,
  chown,
  mkdir,
  open,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
  type FileHandle,
} from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import { Secret } from '../../lib/secret.ts'
import { type Binaries, locateBinaries } from './binaries.ts'
import { canReach, chooseRunAs, type RunAs } from './run-as.ts'

export interface EmbeddedServerOptions {
  /** Directory of this server alone; made when missing. Holds `data/`, `server.log` and the superuser's password. */
  readonly dir: string
  /** Port on 127.0.0.1; absent: any free one. */
  readonly port?: number
  /** False gives up crash safety for speed: for tests only. */
  readonly durable?: boolean
  /** Further settings, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface EmbeddedServer {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly superuser: { readonly user: string; readonly password: Secret }
  readonly pid: number
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<void>
  /** Ends it: open statements are cancelled, data is written. */
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const SUPERUSER = 'postgres'
const INITDB_DEADLINE_MS = 60_000
/** Crash recovery of the sample data takes a second or two; the rest is for slow disks. */
const START_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 10_000
/** A server whose Postern was killed needs this long to notice and finish. */
const ORPHAN_DEADLINE_MS = 10_000
const PORT_ATTEMPTS = 5
const LOG_BYTES = 4 * 1024 * 1024

/**
 * The shell starts a watcher, detached from it, then becomes PostgreSQL. The watcher waits on a pipe that only the
 * parent holds: when the parent goes without a word (kill -9), PostgreSQL is told to stop; a line means all is well.
 */
const WATCHED = `( ( read -r line <&3 || kill -INT $$ ) >/dev/null 2>&1 & ); exec 3<&-; exec "$@"`

/**
 * Starts a PostgreSQL of Postern's own, making its data directory at the first start. It listens on
 * 127.0.0.1 only, has no socket file, asks everybody for a password, and ends with this process.
 *
 * @throws Fault `database_unavailable` when it does not start, `data_dir_unusable` when the directory
 *   belongs to another version or another running server
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  if (process.platform === 'win32') {
    throw new Fault(
      'database_unavailable',
      'the embedded PostgreSQL does not run on Windows: configure a database of your own under "databases"',
    )
  }
  const dir = resolve(options.dir)
  const data = join(dir, 'data')
  await makeDir(dir)
  const keep = await stat(data).catch(() => null)
  const runAs = await chooseRunAs(keep && { uid: keep.uid, gid: keep.gid })
  const binaries = await locateBinaries(runAs)
  const door = await openDoor(dir, runAs)
  try {
    const place = { dir, data, door, runAs, binaries }
    if (keep === null) await initialise(place, options.durable ?? true)
    const password = await readPassword(dir)
    await checkVersion(data)
    await awaitPredecessor(data)
    const { child, port } = await launch(place, options)
    return supervise(child, port, password)
  } finally {
    await door.handle?.close()
  }
}

interface Place {
  readonly dir: string
  readonly data: string
  readonly door: Door
  readonly runAs: RunAs | null
  readonly binaries: Binaries
}

/** How the server's user gets into the directory. */
interface Door {
  readonly path: string
  readonly handle: FileHandle | null
}

/**
 * A directory below `/root` or a private temporary directory cannot be reached by path as another user. It
 * can through a descriptor that root opened and the server inherits.
 */
async function openDoor(dir: string, runAs: RunAs | null): Promise<Door> {
  if (runAs === null || (await canReach(dir, runAs))) return { path: dir, handle: null }
  if (!existsSync('/proc/self/fd')) {
    throw new Fault(
      'data_dir_unusable',
      `the embedded PostgreSQL cannot run as root, and the user it runs as cannot enter ${dir}: choose another data directory`,
    )
  }
  return { path: '/proc/self/fd/4', handle: await open(dir, 'r') }
}

async function makeDir(dir: string): Promise<void> {
  try {
    // Owned by us, not by the server: what it may change is below `data/` only.
    await mkdir(dir, { recursive: true, mode: 0o711 })
    await access(dir)
  } catch (cause) {
    throw new Fault('data_dir_unusable', `cannot use ${dir} for the embedded PostgreSQL`, { cause })
  }
}

/** Made beside its final place and renamed when complete, so that an interrupted first start leaves nothing half-made. */
async function initialise(place: Place, durable: boolean): Promise<void> {
  const unfinished = join(place.dir, 'data.new')
  const passwordFile = join(place.dir, 'initial-password')
  await rm(unfinished, { recursive: true, force: true })
  await rm(passwordFile, { force: true })
  const password = randomBytes(24).toString('base64url')
  try {
    await mkdir(unfinished, { mode: 0o700 })
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' })
    if (place.runAs !== null) {
      await chown(unfinished, place.runAs.uid, place.runAs.gid)
      await chown(passwordFile, place.runAs.uid, place.runAs.gid)
    }
    await writeFile(join(place.dir, 'superuser'), password, { mode: 0o600 })
    await run(place, [
      `--pgdata=${place.door.path}/data.new`,
      `--username=${SUPERUSER}`,
      `--pwfile=${place.door.path}/initial-password`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Part of the server, so that sorting does not depend on the system's locales.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(durable ? [] : ['--no-sync']),
    ])
    await rename(unfinished, place.data)
  } finally {
    await rm(passwordFile, { force: true })
  }
}

async function run(place: Place, args: readonly string[]): Promise<void> {
  const child = spawn(place.binaries.initdb, args, {
    ...place.runAs,
    cwd: '/',
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', place.door.handle?.fd ?? 'ignore'],
    timeout: INITDB_DEADLINE_MS,
  })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const code = await new Promise<number | null>((done, failed) => {
    child.once('error', failed)
    child.once('close', done)
  }).catch((cause: unknown) => {
    throw new Fault('database_unavailable', 'the embedded PostgreSQL cannot be run on this system', { cause })
  })
  if (code !== 0) {
    throw new Fault('database_unavailable', 'the embedded PostgreSQL could not make its data directory', {
      cause: new Error(output),
    })
  }
}

/** PG* variables of the caller's shell must not steer our server. */
function environment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

async function readPassword(dir: string): Promise<Secret> {
  try {
    return new Secret((await readFile(join(dir, 'superuser'), 'utf8')).trim())
  } catch (cause) {
    throw new Fault(
      'data_dir_unusable',
      `${join(dir, 'superuser')} is missing or unreadable: without it the embedded database cannot be opened; remove ${dir} to start anew`,
      { cause },
    )
  }
}

async function checkVersion(data: string): Promise<void> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => '')
  if (version.trim() !== '18') {
    throw new Fault(
      'data_dir_unusable',
      `${data} is not a data directory of PostgreSQL 18: move it away, and a new one is made at the next start`,
    )
  }
}

/**
 * After kill -9 of Postern its server may still be shutting down: wait for it. PostgreSQL itself
 * recognises a left-over postmaster.pid, except when the number now belongs to another process of the
 * same user, as happens in containers; that one is removed here.
 */
async function awaitPredecessor(data: string): Promise<void> {
  const deadline = Date.now() + ORPHAN_DEADLINE_MS
  for (;;) {
    const pidFile = join(data, 'postmaster.pid')
    const pid = Number.parseInt((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0] ?? '', 10)
    if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return
    const home = await readlink(`/proc/${pid}/cwd`).catch(() => null)
    if (home === null && !existsSync('/proc/self')) return
    if (home !== data) {
      await rm(pidFile, { force: true })
      return
    }
    if (Date.now() > deadline) {
      throw new Fault(
        'data_dir_unusable',
        `another PostgreSQL (process ${pid}) is using ${data}: stop the Postern that started it, or choose another data directory`,
      )
    }
    await pause(50)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function launch(
  place: Place,
  options: EmbeddedServerOptions,
): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    const child = await spawnServer(place, options, port)
    const failure = await untilReady(child, place)
    if (failure === null) return { child, port }
    // Somebody else may have taken the port between our asking and PostgreSQL's binding.
    const portTaken = failure.includes('could not create any TCP/IP sockets')
    if (portTaken && options.port === undefined && attempt < PORT_ATTEMPTS) continue
    throw new Fault(
      portTaken ? 'address_in_use' : 'database_unavailable',
      portTaken
        ? `port ${port} is in use: the embedded PostgreSQL cannot listen on it`
        : `the embedded PostgreSQL did not start: see ${join(place.dir, 'server.log')}`,
      { cause: new Error(failure) },
    )
  }
}

async function spawnServer(
  place: Place,
  options: EmbeddedServerOptions,
  port: number,
): Promise<ChildProcess> {
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
    return spawn(
      '/bin/sh',
      ['-c', WATCHED, 'sh', place.binaries.postgres, '-D', `${place.door.path}/data`, ...args],
      {
        ...place.runAs,
        cwd: '/',
        env: environment(),
        stdio: ['ignore', log.fd, log.fd, 'pipe', place.door.handle?.fd ?? 'ignore'],
      },
    )
  } finally {
    await log.close()
  }
}

/** `null` when the server answers; otherwise what its log says. */
async function untilReady(child: ChildProcess, place: Place): Promise<string | null> {
  const from = (await stat(join(place.dir, 'server.log'))).size
  let ended = false
  const end = (): void => {
    ended = true
  }
  child.once('exit', end)
  child.once('error', end)
  const deadline = Date.now() + START_DEADLINE_MS
  try {
    while (!ended && Date.now() < deadline) {
      const lines = (await readFile(join(place.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
      // Line 1 is the process, line 8 its state (PostgreSQL, src/include/utils/pidfile.h).
      if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return null
      await pause(10)
    }
    if (!ended) child.kill('SIGKILL')
    const log = await readFile(join(place.dir, 'server.log'))
    return `${ended ? '' : 'not ready in time; '}${log.subarray(Math.min(from, log.length)).toString().slice(-4_000)}`
  } finally {
    child.off('exit', end)
    child.off('error', end)
  }
}

function supervise(child: ChildProcess, port: number, password: Secret): EmbeddedServer {
  const watch = child.stdio[3] as Writable
  watch.on('error', () => {
    // The watcher has gone already: nothing left to tell it.
  })
  const exited = new Promise<void>((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once('exit', () => done())
  }).then(() => {
    watch.end('gone\n')
  })
  child.unref()
  ;(watch as Writable & { unref?: () => void }).unref?.()

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    child.ref()
    child.kill('SIGINT')
    for (const harder of ['SIGQUIT', 'SIGKILL'] as const) {
      const deadline = new AbortController()
      const outcome = await Promise.race([
        exited.then(() => 'ended'),
        pause(STOP_DEADLINE_MS, 'late', { signal: deadline.signal }).catch(() => 'ended'),
      ])
      deadline.abort()
      if (outcome === 'ended') return
      child.kill(harder)
    }
    await exited
  }
  return {
    host: HOST,
    port,
    superuser: { user: SUPERUSER, password },
    pid: child.pid ?? 0,
    exited,
    close: () => (closing ??= close()),
  }
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
