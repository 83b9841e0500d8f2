import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Why nothing is written to a place: a whole sentence that names it. */
export class ForeignPlace extends Error {}

/**
 * Looks at the directories on the way to a file of an installation. Below `--root` no link is followed: it leads out of
 * the image, or to wherever somebody meant who could write there. On the machine itself, root follows its own alone.
 *
 * @param root `null` for the machine itself
 * @throws ForeignPlace
 */
export async function refuseForeignPlace(path: string, root: string | null): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  for (let at = dirname(path); at !== dirname(at) && at !== root; at = dirname(at)) {
    const found = await lstat(at).catch(() => undefined)
    if (found?.isSymbolicLink() !== true) continue
    if (root !== null)
      throw new ForeignPlace(`${at} is a link, and leads out of ${root}: nothing is written through it`)
    if (isRoot && found.uid !== 0)
      throw new ForeignPlace(`${at} is a link that another user has made: nothing is written through it`)
  }
}

/**
 * The directory of the secrets is that of root: whoever else had it could put files of theirs in the place of these.
 *
 * @throws ForeignPlace
 */
export async function refuseForeignOwner(directory: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const { uid } = await lstat(directory)
  if (uid === 0) return
  throw new ForeignPlace(
    `${directory} belongs to another user (${uid}), who could replace what is in it: look at it, then chown -R root:root ${directory}`,
  )
}
