import { open } from 'node:fs/promises'
import { systemCode } from '../lib/system-code.ts'
import { NOWHERE } from './node.ts'
import type { Report } from './problem.ts'

/** A configuration file of this size is a mistake: a dump, a log, a device. */
export const LARGEST_FILE = 1_048_576

export interface ReadFile {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
}

/** Reads a configuration file, at most its largest size whatever the file system says of it. */
export async function readFile(file: string, report: Report): Promise<ReadFile | undefined> {
  const at = { where: NOWHERE, path: file }
  let bytes: Buffer
  let mode: number
  try {
    await using handle = await open(file, 'r')
    mode = (await handle.stat()).mode & 0o777
    const chunks: Buffer[] = []
    let total = 0
    while (total <= LARGEST_FILE) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536)
      if (bytesRead === 0) break
      chunks.push(buffer.subarray(0, bytesRead))
      total += bytesRead
    }
    if (total > LARGEST_FILE) {
      report.problem('config_too_large', at, 'is larger than 1 MiB: a configuration file is not')
      return undefined
    }
    bytes = Buffer.concat(chunks)
  } catch (error) {
    report.problem('config_unreadable', at, whyUnreadable(error))
    return undefined
  }
  if (bytes.includes(0)) {
    report.problem('config_syntax', at, 'is not text: it holds NUL bytes')
    return undefined
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), mode }
  } catch {
    report.problem('config_syntax', at, 'is not UTF-8 text')
    return undefined
  }
}

function whyUnreadable(error: unknown): string {
  const code = systemCode(error) ?? 'unknown'
  switch (code) {
    case 'ENOENT':
      return 'does not exist: "postern config init" writes a starting file'
    case 'EACCES':
    case 'EPERM':
      return 'cannot be read: the user that Postern runs as lacks the permission'
    case 'EISDIR':
      return 'is a directory, not a file'
    default:
      return `cannot be read (${code})`
  }
}
