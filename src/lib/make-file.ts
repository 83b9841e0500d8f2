import { randomBytes } from 'node:crypto'
import { link, mkdir, open, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from './system-code.ts'

/**
 * Makes a file that its owner alone can read, where there is none: whole or not at all, never in place of another.
 * Answers whether this call did it: of several processes that start at once, one does.
 *
 * @throws the system's error
 */
export async function makeFile(file: string, content: Uint8Array): Promise<boolean> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const { uid, gid } = await stat(dirname(file))
    const handle = await open(draft, 'wx', 0o600)
    try {
      // Made from a root shell, it would be out of reach of the service whose directory it is in.
      if (process.geteuid?.() === 0) await handle.chown(uid, gid)
      // Whatever the umask takes away.
      await handle.chmod(0o600)
      await handle.writeFile(content)
      // A key that a power failure takes away takes everything with it that was sealed or signed since.
      await handle.sync()
    } finally {
      await handle.close()
    }
    return await nameNew(draft, file)
  } finally {
    await unlink(draft).catch(() => undefined)
  }
}

/** Unlike a rename, a link leaves alone what somebody else has made meanwhile. */
async function nameNew(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}
