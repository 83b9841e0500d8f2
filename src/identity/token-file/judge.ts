import { type FileToken, TokenFileProblem } from './entry.ts'
import { parseTokenFile } from './parse.ts'

/** The last content that was taken over. */
export interface GoodContent {
  readonly text: string
  readonly inode: string
  readonly tokens: readonly FileToken[]
}

/** How long a file must stay unchanged before it is read. Milliseconds. */
export const SETTLE_MS = 15

/** The same for content that looks as if a writer had not finished; a removal still counts within 100 ms. */
export const SUSPICIOUS_SETTLE_MS = 60

/**
 * Decides what content read from the file means, with what was good before. Content that is cut off can be
 * valid YAML with fewer tokens, so text that ends without a newline, or that is the beginning of what the
 * same file held before, must stay as it is for longer before it counts.
 *
 * @param quietMs how long the file has been unchanged
 * @returns `undefined`: ask again later
 * @throws TokenFileProblem: the last good content stays in force
 */
export function judgeContent(
  text: string,
  inode: string,
  quietMs: number,
  last: GoodContent | undefined,
): readonly FileToken[] | undefined {
  if (text.trim() === '') {
    // A writer that truncates first leaves the file empty for a moment, or for ever when it dies. No
    // tokens at all is spelt `tokens: []`, or a file that is not there.
    if (last && last.text.trim() !== '') {
      throw new TokenFileProblem('empty; write `tokens: []` to say that there are none')
    }
    return []
  }
  const cutOff = last !== undefined && last.inode === inode && isCutOff(text, last.text)
  if ((cutOff || !text.endsWith('\n')) && quietMs < SUSPICIOUS_SETTLE_MS) return undefined
  const tokens = parseTokenFile(text)
  if (cutOff && last) refuseHalfEntry(tokens, last.tokens)
  return tokens
}

const isCutOff = (text: string, before: string): boolean =>
  text.length < before.length && before.startsWith(text)

/** An entry that lost its last lines could have lost its expiry, and would live for ever. */
function refuseHalfEntry(tokens: readonly FileToken[], before: readonly FileToken[]): void {
  const end = tokens.at(-1)
  const same = end && before.find(({ hash }) => hash === end.hash)
  if (same && JSON.stringify(same) !== JSON.stringify(end)) {
    throw new TokenFileProblem('cut off in the middle of an entry')
  }
}
