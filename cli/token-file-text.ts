import { Fault } from '../src/lib/fault.ts'
import { parseTokenFile } from '../src/identity/token-file/parse.ts'
import { readTokenFile } from '../src/identity/token-file/read.ts'

/** A file that is being written is whole a moment later. */
const ATTEMPTS = 5

/**
 * A token file as it is, or `null` without one. It is parsed as well: what is not a list of hashes must not get into a
 * backup.
 *
 * @throws Fault `config_invalid`
 */
export async function readTokenFileText(file: string): Promise<string | null> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const content = await readTokenFile(file).catch((error: unknown) => {
      throw unusable(file, error)
    })
    if (!content) continue
    const { text } = content
    try {
      if (text.trim() !== '') parseTokenFile(text)
      return text
    } catch (error) {
      if (attempt === ATTEMPTS) throw unusable(file, error)
    }
  }
  return null
}

const unusable = (file: string, error: unknown): Fault =>
  new Fault(
    'config_invalid',
    `the token file ${file}: ${error instanceof Error ? error.message : 'cannot be read'}`,
    { cause: error },
  )
