import { randomBytes } from 'node:crypto'
import { mkdir, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Fault } from '../../lib/fault.ts'
import { PlantedLink, refusePlantedLink } from '../../lib/planted-link.ts'
import { systemCode } from '../../lib/system-code.ts'

/** Links to links to links: more of them than this is a circle. */
const MOST_LINKS = 16

/**
 * Where the content really is: symbolic links are followed, so that replacing the file keeps the link, also
 * when what it points to does not exist yet.
 *
 * @param what as a message names it: `the token file`
 * @throws Fault `data_dir_unusable`
 */
export async function resolveTarget(what: string, file: string): Promise<string> {
  let target = file
  try {
    for (let links = 0; links < MOST_LINKS; links += 1) {
      refusePlantedLink(target)
      const link = await readlink(target).catch(() => undefined)
      if (link === undefined) {
        await mkdir(dirname(target), { recursive: true, mode: 0o700 })
        return join(await realpath(dirname(target)), basename(target))
      }
      target = resolve(dirname(target), link)
    }
  } catch (error) {
    throw cannotWrite(what, file, error)
  }
  throw cannotWrite(what, file, Object.assign(new Error('too many links'), { code: 'ELOOP' }))
}

export interface Replacing {
  /** As a message names it: `the token file`. */
  readonly what: string
  /** Permission bits of the new file. */
  readonly mode: number
  /** Whose owner and group it gets; the file that is replaced where it is absent. */
  readonly like?: string
  /** Refuses rather than let the file change hands: for one that its reader cannot do without. */
  readonly keepOwner?: boolean
}

/**
 * Replaces a file in one step: readers find the old content or the new one, whole, also after a power cut.
 * Owner and group stay what they were where the system allows it, so that a root shell does not take the file
 * away from the service.
 *
 * @throws Fault `data_dir_unusable`
 */
export async function replaceFile(
  target: string,
  content: string | Uint8Array,
  { what, mode, like = target, keepOwner = false }: Replacing,
): Promise<void> {
  const directory = dirname(target)
  const temporary = join(directory, `${draftPrefix(target)}${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      const before = await stat(like).catch(() => undefined)
      if (before) {
        await handle.chown(before.uid, before.gid).catch((error: unknown) => {
          if (keepOwner) throw error
        })
      }
      await handle.chmod(mode)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, target)
    await syncDirectory(directory)
  } catch (error) {
    await unlink(temporary).catch(() => undefined)
    throw cannotWrite(what, target, error)
  }
}

/** What the names of unfinished replacements of a file begin with. */
export const draftPrefix = (target: string): string => `.${basename(target)}.`

/** The rename itself must survive a power cut. Some file systems cannot do this; then it is as good as it gets. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

export function cannotWrite(what: string, file: string, error: unknown): Fault {
  const code = systemCode(error) ?? 'unknown error'
  const why =
    error instanceof PlantedLink
      ? error.message
      : code === 'ENOSPC'
        ? 'the disk is full'
        : code === 'EACCES' || code === 'EPERM'
          ? 'permission denied'
          : code === 'EROFS'
            ? 'the file system is read-only'
            : code
  return new Fault('data_dir_unusable', `${what} ${file} cannot be written: ${why}`, { cause: error })
}
