import { err, ok, type Result } from '../../lib/result.ts'

/** A user name as it is kept. */
export interface UserName {
  /** Normalised: as it is compared and shown. */
  readonly name: string
  /** The same for names that an eye cannot tell apart. */
  readonly shape: string
}

const LONGEST_NAME = 64
const LONGEST_EMAIL = 254

/** Scripts whose letters resemble those of another; a name has letters of one of them at most. */
const SCRIPTS = [
  ['Latin', /\p{Script=Latin}/u],
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
] as const

/**
 * Small letters, and digits, that look like a Latin one (a part of Unicode UTS #39, "confusables"): with them a whole
 * name of one script can pass for a name of another, such as Cyrillic `сосо` for `coco`.
 */
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: 'аɑα',
    b: 'Ьƅь',
    c: 'сϲᴄ',
    d: 'ԁ',
    e: 'еҽєε',
    g: 'ɡց',
    h: 'һհ',
    i: 'іıɩι',
    j: 'јϳ',
    k: 'кκᴋ',
    l: '1ӏǀ',
    m: 'мᴍ',
    n: 'ոп',
    o: '0оοօσ',
    p: 'рρ',
    q: 'ԛզ',
    r: 'гᴦ',
    s: 'ѕꜱ',
    t: 'тτ',
    u: 'υսᴜ',
    v: 'νѵᴠ',
    w: 'ѡԝաω',
    x: 'хχ',
    y: 'уγүყ',
    z: 'ᴢ',
  }).flatMap(([letter, others]) => Array.from(others, (other) => [other, letter] as const)),
)

/** Unicode's case folding, as far as ECMAScript has it: `ß`, `ẞ` and `SS` are alike. */
const fold = (text: string): string => text.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC')

/**
 * Reads a user name: NFKC and case folding first, so that one name has one spelling, then what may be in it. The error
 * is a sentence.
 */
export function readUserName(text: string): Result<UserName, string> {
  if (text.length > LONGEST_NAME * 4) return err(`the user name is longer than ${LONGEST_NAME} characters`)
  const name = fold(text.trim())
  if (name === '') return err('the user name is empty')
  if (Array.from(name).length > LONGEST_NAME) {
    return err(`the user name is longer than ${LONGEST_NAME} characters`)
  }
  if (!/^[\p{L}\p{N}\p{M}._@+-]+$/u.test(name)) {
    return err(
      'the user name may hold letters, digits and . _ - + @ only: no spaces, no invisible characters',
    )
  }
  if (!/^[\p{L}\p{N}]/u.test(name)) return err('the user name must begin with a letter or a digit')
  const scripts = SCRIPTS.filter(([, letters]) => letters.test(name)).map(([script]) => script)
  if (scripts.length > 1) {
    return err(
      `the user name mixes ${scripts.join(' and ')} letters, some of which look alike: use letters of one script`,
    )
  }
  return ok({ name, shape: shapeOf(name) })
}

/** Accents and other marks, which are easily overlooked, count as nothing. */
function shapeOf(name: string): string {
  const bare = name.normalize('NFKD').replace(/\p{M}/gu, '')
  return Array.from(bare, (letter) => LOOK_ALIKES.get(letter) ?? letter).join('')
}

/** An address as it is compared; the error is a sentence. Whether mail arrives there only mail can tell. */
export function readEmail(text: string): Result<string, string> {
  const email = fold(text.trim())
  const wrong =
    email.length > LONGEST_EMAIL || !/^[^\s@\p{Cc}\p{Cf}]{1,64}@[^\s@\p{Cc}\p{Cf}]{1,255}$/u.test(email)
  return wrong ? err('the e-mail address is not one, such as alice@example.com') : ok(email)
}
