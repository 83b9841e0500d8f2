import { parseTokenFile } from '../src/identity/token-file/parse.ts'
import { replaceFile, resolveTarget } from '../src/identity/files/replace.ts'
import { readTokenFileText } from './token-file-text.ts'

/** `kept`: one is there, and was not touched. `none`: the backup holds none. `unplaced`: none is configured to write to. */
export type TokenFileOutcome = 'restored' | 'kept' | 'same' | 'none' | 'unplaced'

/** Throws for text that is no token file. */
export function checkTokenFile(text: string): void {
  if (text.trim() !== '') parseTokenFile(text)
}

/**
 * Writes the token file of a backup where there is none. One that is there stays: it is the word of today on who may call,
 * and an older one could let somebody in whom it has removed.
 *
 * @throws Fault `data_dir_unusable`
 */
export async function bringBackTokenFile(
  configured: string | null,
  text: string | null,
): Promise<TokenFileOutcome> {
  if (text === null) return 'none'
  if (configured === null) return 'unplaced'
  const there = await readTokenFileText(configured).catch(() => 'something else')
  if (there === text) return 'same'
  if (there !== null && there.trim() !== '') return 'kept'
  const what = 'the token file'
  await replaceFile(await resolveTarget(what, configured), text, { what, mode: 0o600 })
  return 'restored'
}
