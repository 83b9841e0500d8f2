import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { PlantedLink, refusePlantedLink } from '../../lib/planted-link.ts'
import { hasCode } from '../../lib/system-code.ts'

/** A look at a file that changes with its content: which file it is, how long, when it was changed. */
export interface Stamp {
  /** Compares equal only when nothing was changed; `null` when there is no file. */
  readonly text: string | null
  readonly inode: string
  /** Permission bits. */
  readonly mode: number
}

export interface FileContent {
  readonly bytes: Buffer
  readonly stamp: Stamp
}

/** What is there cannot be the file that was meant. The message goes after its name. */
export class UnfitFile extends Error {}

/** Follows symbolic links, so that a link that now points elsewhere shows as a change. */
export async function stampOf(file: string): Promise<Stamp> {
  try {
    return toStamp(await stat(file, { bigint: true }))
  } catch (error) {
    // A dangling link is a missing file, too: the moment between two swaps looks like this.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return { text: null, inode: '', mode: 0 }
    throw error
  }
}

/**
 * Reads a whole file, or nothing of it.
 *
 * @param longest in bytes; what is longer is refused before it is read
 * @returns `undefined` when there is no file, or when it changed while it was read
 * @throws UnfitFile, or the system's error when it cannot be read
 */
export async function readWhole(file: string, longest: number): Promise<FileContent | undefined> {
  let handle: FileHandle
  try {
    refusePlantedLink(file)
    handle = await openToRead(file)
  } catch (error) {
    if (error instanceof PlantedLink) throw new UnfitFile(error.message)
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw error
  }
  try {
    const before = await handle.stat({ bigint: true })
    if (before.isDirectory()) throw new UnfitFile('it is a directory')
    if (!before.isFile()) throw new UnfitFile('not a regular file')
    if (before.size > longest) throw new UnfitFile(`longer than ${sizeText(longest)}`)
    const bytes = Buffer.alloc(Number(before.size) + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length)
      if (bytesRead === 0) break
      length += bytesRead
      // More than the size that was announced: somebody is writing.
      if (length === bytes.length) return undefined
    }
    const stamp = toStamp(await handle.stat({ bigint: true }))
    if (stamp.text !== toStamp(before).text) return undefined
    return { bytes: bytes.subarray(0, length), stamp }
  } finally {
    await handle.close()
  }
}

/** Without O_NONBLOCK, opening a named pipe would wait for a writer for ever. */
const READING = constants.O_RDONLY | constants.O_NONBLOCK

async function openToRead(file: string): Promise<FileHandle> {
  try {
    return await open(file, READING | constants.O_NOFOLLOW)
  } catch (error) {
    if (!hasCode(error, 'ELOOP')) throw error
    refusePlantedLink(file)
    return await open(file, READING)
  }
}

const sizeText = (bytes: number): string =>
  bytes >= 1_048_576 ? `${bytes / 1_048_576} MiB` : `${bytes / 1_024} KiB`

function toStamp(stats: {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly mode: bigint
}): Stamp {
  const inode = `${stats.dev}:${stats.ino}`
  return {
    text: `${inode}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
    inode,
    mode: Number(stats.mode & 0o777n),
  }
}
