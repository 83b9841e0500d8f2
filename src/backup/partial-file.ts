import { link, lstat, open, readdir, rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { isAlive } from '../lib/is-alive.ts'
import { systemCode } from '../lib/system-code.ts'
import { type BackupProblem, backupProblem } from './problem.ts'

/** A file on its way: under this name it is not whole yet. */
export interface PartialFile {
  readonly path: string
  /**
   * Makes it durable and gives it its name, in one step.
   *
   * @throws the system's error; `EEXIST` when something has that name and is not to be replaced
   */
  publish(replacing: boolean): Promise<void>
  /** Takes it away, unless it was published. */
  discard(): Promise<void>
}

const SUFFIX = '.partial'

/** Begins a file beside the one it will be, mode 0600, and clears away what killed runs left. */
export async function beginPartial(file: string): Promise<PartialFile> {
  const directory = dirname(file)
  const before = `.${basename(file)}.${hostname()}.`
  await clearLeftovers(directory, before)
  const path = join(directory, `${before}${process.pid}${SUFFIX}`)
  await (await open(path, 'wx', 0o600)).close()
  return {
    path,
    async publish(replacing) {
      await sync(path)
      if (replacing) await rename(path, file)
      else await nameNew(path, file)
      // Some file systems cannot sync a directory; then it is as good as it gets.
      await sync(directory).catch(() => undefined)
    },
    async discard() {
      await unlink(path).catch(() => undefined)
    },
  }
}

/** The process is in the name: what belongs to one that runs is not touched, and other machines clear up their own. */
async function clearLeftovers(directory: string, before: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(before) || !name.endsWith(SUFFIX)) continue
    const pid = Number(name.slice(before.length, -SUFFIX.length))
    if (Number.isSafeInteger(pid) && (pid === process.pid || !isAlive(pid)))
      // One of another user, in a directory that all share, stays: it is not in the way.
      await unlink(join(directory, name)).catch(() => undefined)
  }
}

/** A link fails where something has the name, whoever was quicker. Not every file system has links. */
async function nameNew(path: string, file: string): Promise<void> {
  try {
    await link(path, file)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error
    if (await lstat(file).catch(() => undefined)) throw Object.assign(new Error('exists'), { code: 'EEXIST' })
    await rename(path, file)
    return
  }
  await unlink(path)
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What keeps a file from being written, as a person is told. */
export function notWritten(file: string, error: unknown): BackupProblem {
  const code = systemCode(error) ?? 'unknown error'
  if (code === 'EEXIST') return isThere(file)
  const found = REASONS.find(([prefix]) => code.startsWith(prefix))
  return backupProblem('file_not_written', `${file} cannot be written: ${found?.[1] ?? code}`)
}

export const isThere = (file: string): BackupProblem =>
  backupProblem('file_exists', `${file} is there already: use --force to replace it, or name another`)

const REASONS: readonly (readonly [prefix: string, reason: string])[] = [
  ['EACCES', 'the directory may not be written to'],
  ['EPERM', 'the directory may not be written to'],
  ['EROFS', 'the file system is read-only'],
  ['ENOENT', 'its directory does not exist'],
  ['ENOTDIR', 'its directory does not exist'],
  ['EISDIR', 'it is a directory'],
  ['ENOSPC', 'the disk is full'],
  ['EFBIG', 'the disk is full, or files may not be that large'],
  ['SQLITE_FULL', 'the disk is full'],
  ['SQLITE_IOERR', 'the disk is full, or reports an error'],
]
