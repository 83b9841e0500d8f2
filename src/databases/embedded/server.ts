import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, chmod, mkdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import { isAlive } from '../../lib/is-alive.ts'
import { Secret } from '../../lib/secret.ts'
import { locateBinaries } from './binaries.ts'
import { initialise, SUPERUSER } from './initialise.ts'
import { HOST, launch, type LaunchOptions, ORPHAN_DEADLINE_MS, releaseWatcher } from './launch.ts'
import { openDoor } from './place.ts'
import { chooseRunAs } from './run-as.ts'

export interface EmbeddedServerOptions extends LaunchOptions {
  /** Directory of this server alone; made when missing. Holds `data/`, `server.log` and the superuser's password. */
  readonly dir: string
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

const STOP_DEADLINE_MS = 10_000

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
  // Whatever the umask was: the server's user must pass through it to `data/`.
  if (runAs !== null) await chmod(dir, 0o711)
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

async function makeDir(dir: string): Promise<void> {
  try {
    // Owned by us, not by the server: what it may change is below `data/` only.
    await mkdir(dir, { recursive: true, mode: 0o711 })
    await access(dir)
  } catch (cause) {
    throw new Fault('data_dir_unusable', `cannot use ${dir} for the embedded PostgreSQL`, { cause })
  }
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

function supervise(child: ChildProcess, port: number, password: Secret): EmbeddedServer {
  const exited = new Promise<void>((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once('exit', () => done())
  }).then(() => {
    releaseWatcher(child)
  })
  child.unref()
  const watch = child.stdio[3] as Writable
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
