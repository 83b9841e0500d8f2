import type { UserCredentialPlace } from '../options.ts'

/** Characters: what fits into a header beside others, with room to spare for a token of any kind. */
export const LONGEST_CREDENTIAL = 8_192

/** RFC 9110 §5.5 without `obs-text`, and without blanks at its ends, which are not part of a value. */
const FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/** What is wrong with a value for its place, as a sentence that does not repeat it; `null` when nothing is. */
export function checkCredential(place: UserCredentialPlace, value: string): string | null {
  if (value === '') return 'the credential is empty'
  if (value.length > LONGEST_CREDENTIAL)
    return `the credential is longer than ${LONGEST_CREDENTIAL} characters`
  if (place.kind === 'header' && !FIELD_VALUE.test(value))
    return 'the credential goes into a header, which holds printable ASCII characters only, and no blank at either end'
  // A C string ends there: the server would get a part of it.
  if (value.includes('\0')) return 'the credential holds a NUL character'
  return null
}
