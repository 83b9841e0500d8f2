import { readWhole, type Stamp, UnfitFile } from '../files/read.ts'
import { TokenFileProblem } from './entry.ts'

/** Some 16,000 tokens. What is longer is refused before it is read. */
export const LONGEST_TOKEN_FILE = 4 * 1024 * 1024

export interface TokenFileContent {
  readonly text: string
  readonly stamp: Stamp
}

/**
 * Reads a whole token file, or nothing of it.
 *
 * @returns `undefined` when there is no file, or when it changed while it was read
 * @throws TokenFileProblem, or the system's error when it cannot be read
 */
export async function readTokenFile(file: string): Promise<TokenFileContent | undefined> {
  try {
    const content = await readWhole(file, LONGEST_TOKEN_FILE)
    return content && { text: decode(content.bytes), stamp: content.stamp }
  } catch (error) {
    throw error instanceof UnfitFile ? new TokenFileProblem(error.message) : error
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new TokenFileProblem('not UTF-8 text')
  }
}
