import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What became of one file of an installation. */
export interface InstalledFile {
  readonly path: string
  readonly did: 'written' | 'updated' | 'kept'
  /** What a person should know of it. */
  readonly note?: string
}

const OTHERS = 0o007

/** A directory, with its mode also where it is there already. One that systemd has moved and linked to is left alone. */
export async function putDirectory(path: string, mode: number): Promise<InstalledFile> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSymbolicLink() === true) return { path, did: 'kept' }
  if (!found) await mkdir(path, { recursive: true })
  const before = (await stat(path)).mode & 0o7777
  if (before === mode) return { path, did: 'kept' }
  await chmod(path, mode)
  return { path, did: found ? 'updated' : 'written' }
}

/** A file that stays as it is once it is there: it is somebody's own from then on. Of root, and nobody else's. */
export async function putOnce(path: string, content: string | Buffer, mode: number): Promise<InstalledFile> {
  const found = await lstat(path).catch(() => undefined)
  if (!found) {
    await create(path, content, mode)
    return { path, did: 'written' }
  }
  if (!found.isFile() || (found.mode & OTHERS) === 0) return { path, did: 'kept' }
  // By its descriptor: a link that takes its place meanwhile is not followed.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { mode: before } = await handle.stat()
    await handle.chmod(before & 0o7777 & ~OTHERS)
    const was = (before & 0o7777).toString(8).padStart(4, '0')
    return { path, did: 'updated', note: `was open to every user (mode ${was}), and is no more` }
  } finally {
    await handle.close()
  }
}

/** A file that is written anew whenever it differs. */
export async function putAnew(path: string, content: string, mode: number): Promise<InstalledFile> {
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before === content) return { path, did: 'kept' }
  const beside = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await create(beside, content, mode)
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  return { path, did: before === undefined ? 'written' : 'updated' }
}

/** Never in place of another, a dangling link included (`O_EXCL`). */
async function create(path: string, content: string | Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const handle = await open(path, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
    // A directory with a group of its own gives it to what is made in it.
    if (process.geteuid?.() === 0) await handle.chown(0, 0)
    await handle.chmod(mode)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}
