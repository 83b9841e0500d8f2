import { parseExpiry } from '../src/lib/duration.ts'
import { err, ok, type Result } from '../src/lib/result.ts'
import { nearestWord } from '../src/lib/spelling.ts'
import { createAsker, type NoAnswer, type Question } from './ask.ts'
import type { Invocation } from './command.ts'

/** What `token add` needs to know and was not told. */
export interface TokenDetails {
  readonly note?: string
  readonly databases?: readonly string[]
  /** Milliseconds; `null` for never. */
  readonly expiresInMs?: number | null
}

const NOTE: Question<string> = {
  text: 'Note, what the token is for',
  read: (line) =>
    line === '' ? err('a note is needed, so that the token can be told apart later') : ok(line),
}

const expiryQuestion = (standardDays: number): Question<number | null | undefined> => ({
  text: 'Expiry (12h, 30d, 2w, 1y or never)',
  standard: `${standardDays}d`,
  read: (line) => (line === '' ? ok(undefined) : parseExpiry(line)),
})

const databaseQuestion = (configured: readonly string[]): Question<readonly string[]> => ({
  text: 'Database, by number or name',
  standard: configured[0] ?? '',
  read: (line) => (line === '' ? ok(configured.slice(0, 1)) : pickDatabases(line, configured)),
})

/** Reads numbers and names, separated by commas. A database may be called `2`: names go first. */
function pickDatabases(line: string, configured: readonly string[]): Result<readonly string[], string> {
  const picked: string[] = []
  for (const word of line.split(',').map((part) => part.trim())) {
    const name = configured.includes(word) ? word : configured[Number(word) - 1]
    if (name === undefined || (!configured.includes(word) && !/^\d+$/.test(word))) {
      const meant = nearestWord(word, configured)
      return err(
        meant === undefined
          ? `"${word}" is not on the list: answer with a number from 1 to ${configured.length} or a name`
          : `"${word}" is not on the list, did you mean ${meant}?`,
      )
    }
    if (!picked.includes(name)) picked.push(name)
  }
  return ok(picked)
}

/**
 * Asks for what is missing. A question about databases makes sense only where there are several; blank
 * means the first configured one, which is also where a token without a binding goes.
 */
export async function askForDetails(
  invocation: Invocation,
  known: TokenDetails,
  options: { readonly databases: readonly string[]; readonly standardDays: number },
): Promise<Result<TokenDetails, NoAnswer>> {
  const asker = createAsker(invocation)
  try {
    const details: { -readonly [K in keyof TokenDetails]: TokenDetails[K] } = { ...known }
    if (details.note === undefined) {
      const note = await asker.ask(NOTE)
      if (!note.ok) return note
      details.note = note.value
    }
    if (details.databases === undefined && options.databases.length > 1) {
      const { noteStyle } = invocation
      invocation.note(
        [
          'Databases',
          ...options.databases.map((name, index) => `  ${noteStyle.dim(`${index + 1}`)}  ${name}`),
        ].join('\n'),
      )
      const databases = await asker.ask(databaseQuestion(options.databases))
      if (!databases.ok) return databases
      details.databases = databases.value
    }
    if (details.expiresInMs === undefined) {
      const expiry = await asker.ask(expiryQuestion(options.standardDays))
      if (!expiry.ok) return expiry
      if (expiry.value !== undefined) details.expiresInMs = expiry.value
    }
    return ok(details)
  } finally {
    asker.close()
  }
}
