import type { CommonPasswords } from './common.ts'

/** What a new password has to be. Passwords that were set before are not judged by it. */
export interface PasswordPolicy {
  /** Bytes of UTF-8. */
  readonly minBytes: number
  /** Refuses those that attackers try first. */
  readonly refuseCommon: boolean
}

/** Longer ones gain nothing, and each byte of them is hashed. Bytes of UTF-8. */
export const LONGEST_PASSWORD_BYTES = 1_024

/**
 * What is wrong with a new password, as a sentence that does not hold it; `null` when nothing is. Length, a list and
 * the name, and no rules about kinds of characters: NIST SP 800-63B §3.1.1.2.
 *
 * @param names what the person is called: a password that is one of them is tried first
 */
export function checkPassword(
  password: string,
  names: readonly string[],
  policy: PasswordPolicy,
  common: CommonPasswords,
): string | null {
  const bytes = Buffer.byteLength(password)
  if (bytes < policy.minBytes) return `the password is too short: it needs at least ${policy.minBytes} bytes`
  if (bytes > LONGEST_PASSWORD_BYTES) {
    return `the password is too long: it may have at most ${LONGEST_PASSWORD_BYTES} bytes`
  }
  // Elsewhere a NUL ends a text: what follows it would be a password only here.
  if (password.includes('\0')) return 'the password holds a NUL character, which not every program can send'
  if (!password.isWellFormed()) return 'the password is not valid Unicode'
  const core = coreOf(password)
  if (names.some((name) => name !== '' && coreOf(name) === core)) return 'the password is the user name'
  if (policy.refuseCommon && isCommon(password, core, common)) {
    return 'the password is one that attackers try first: choose another, such as four words that do not belong together'
  }
  return null
}

const fold = (text: string): string => text.normalize('NFKC').toLowerCase()

/** Without what people put around a word to make it pass: `Password123!` is `password`. */
function coreOf(text: string): string {
  const folded = fold(text)
  const core = folded.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '')
  return unit(core === '' ? folded : core)
}

/** The part that a text repeats: `abcabc` is `abc`. */
function unit(text: string): string {
  const at = `${text}${text}`.indexOf(text, 1)
  return at > 0 && at < text.length ? text.slice(0, at) : text
}

/** Fewer letters than this around digits are no word of a list but part of a password, as in `a8812…`. */
const SHORTEST_CORE = 4

function isCommon(password: string, core: string, common: CommonPasswords): boolean {
  const folded = fold(password)
  if (common.has(password) || common.has(folded) || common.has(unit(folded))) return true
  if (unit(folded).length < SHORTEST_CORE || isRow(folded)) return true
  // A common word counts where it is most of the password; what stands around it must be worth something.
  return core.length >= SHORTEST_CORE && common.has(core) && folded.length - core.length <= 6
}

/** `123456789012`, `abcdefghijkl`, and the same backwards. */
function isRow(text: string): boolean {
  const steps = new Set<number>()
  for (let at = 1; at < text.length; at += 1) {
    const step = text.charCodeAt(at) - text.charCodeAt(at - 1)
    // 9 is followed by 0.
    steps.add(step === -9 ? 1 : step === 9 ? -1 : step)
  }
  return steps.size === 1 && (steps.has(1) || steps.has(-1) || steps.has(0))
}
