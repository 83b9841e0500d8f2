import { randomBytes } from 'node:crypto'
import { open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import { isAlive } from '../../lib/is-alive.ts'
import { hasCode } from '../../lib/system-code.ts'

/** A lock older than this was left behind: nobody needs that long to write a small file. */
const STALE_AFTER_MS = 10_000

const LONGEST_WAIT_MS = 15_000

/**
 * Runs `work` while no other process changes the same file, so that the command line and a server never
 * lose each other's change. The lock is a file beside it, made with O_EXCL, naming host and process.
 *
 * @throws Fault `data_dir_unusable` when the lock cannot be made or is never let go
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`
  const giveUpAt = performance.now() + LONGEST_WAIT_MS
  while (!(await take(lock, file))) {
    await removeIfStale(lock)
    if (performance.now() > giveUpAt) {
      throw new Fault(
        'data_dir_unusable',
        `another process keeps ${lock}: remove it if no Postern is running`,
      )
    }
    await delay(5 + Math.random() * 10)
  }
  try {
    return await work()
  } finally {
    await unlink(lock).catch(() => undefined)
  }
}

async function take(lock: string, file: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx', 0o600)
    await handle.writeFile(`${hostname()} ${process.pid}\n`)
    await handle.close()
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw new Fault('data_dir_unusable', `${file} cannot be changed: ${lock} cannot be made`, {
      cause: error,
    })
  }
}

async function removeIfStale(lock: string): Promise<void> {
  try {
    const { mtimeMs, ino } = await stat(lock)
    const old = Date.now() - mtimeMs > STALE_AFTER_MS
    if (!old && !(await isOrphan(lock))) return
    // Renaming is atomic: of two that find the lock stale, one moves it away and the other finds nothing.
    const aside = `${lock}.${randomBytes(6).toString('hex')}`
    if ((await stat(lock)).ino !== ino) return
    await rename(lock, aside)
    await unlink(aside)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}

/** True when the process that made the lock ran on this host and is gone. */
async function isOrphan(lock: string): Promise<boolean> {
  // That of a root shell cannot be read by the service: it waits, as for any other that is held.
  const text = await readFile(lock, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'EACCES')) return ''
    throw error
  })
  const match = /^(\S+) (\d+)\n$/.exec(text)
  if (match?.[1] !== hostname()) return false
  return !isAlive(Number(match[2]))
}
