import { withFileLock } from '../files/lock.ts'
import { replaceFile, resolveTarget } from '../files/replace.ts'
import {
  keyFileName,
  type KeysOnDisk,
  type KeySource,
  readKeys,
  RING_FILE_NAME,
  ringFileOf,
} from './read-keys.ts'
import { formatRingFile, type Ring } from './ring-file.ts'

/**
 * Removes from the ring file what verifies nothing any more.
 *
 * @throws KeyFileProblem, Fault `data_dir_unusable`; a ring that stays as it is does no harm
 */
export async function dropExpiredKeys(source: KeySource, now: number): Promise<void> {
  if (!remaining(await readKeys(source), now)) return
  const target = await resolveTarget(keyFileName(source), source.file)
  await withFileLock(target, async () => {
    const keys = await readKeys(source)
    const ring = remaining(keys, now)
    if (!keys || !ring) return
    const ringTarget = await resolveTarget(RING_FILE_NAME, ringFileOf(source))
    await replaceFile(ringTarget, formatRingFile([ring]), {
      what: RING_FILE_NAME,
      mode: keys.mode,
      like: target,
      keepOwner: true,
    })
  })
}

/** The ring without what has expired; `undefined` where nothing has. */
function remaining(keys: KeysOnDisk | null | undefined, now: number): Ring | undefined {
  const ring = keys?.rings.find(({ signing }) => signing === keys.signing.kid)
  if (!ring?.retired.some(({ until }) => until <= now)) return undefined
  return { ...ring, retired: ring.retired.filter(({ until }) => until > now) }
}
