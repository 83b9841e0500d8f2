import { withoutPassword } from '../leaves.ts'

/** Words in the name of a variable, header or option that say that its value is a credential. */
const SECRET_NAME =
  /key|token|secret|pass|pwd|cred|auth|dsn|conn|cookie|sess|priv|cert|licen|sign|salt|hash|bearer/i

/** Beginnings of tokens that well-known services issue, and of JWTs. */
const ISSUED =
  /^(?:sk-|sk_|pk_|rk_|gh[opsu]_|github_pat_|glpat-|xox[abeprs]-|AKIA|AIza|eyJ|pst_|ds_live_|secret_|ntn_|npm_|hf_)/

/** Long and mixed as nothing is that a person writes. */
const looksRandom = (text: string): boolean =>
  /^[0-9a-f]{32,}$/i.test(text) ||
  (/^[\w+/=-]{20,}$/.test(text) && /\d/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text))

export const looksLikeToken = (text: string): boolean => ISSUED.test(text) || looksRandom(text)

const HARMLESS =
  /^(?:|-?\d{1,9}|true|false|[a-z0-9][a-z0-9._-]{0,15}|(?:~|\.{1,2})?\/[\w./@+ -]*|https?:\/\/[\w.-]+(?::\d+)?(?:\/[\w./-]*)?)$/

/**
 * Whether a value called so can stand in a file. When in doubt it cannot: a reference too many is an annoyance, a
 * password in a file is a leak.
 */
export const isHarmless = (name: string, value: string): boolean =>
  !SECRET_NAME.test(name) && HARMLESS.test(value) && !looksLikeToken(value)

/** The part of an argument that is a credential, with what the credential is called. */
export interface SensitivePart {
  readonly before: string
  readonly value: string
  readonly name: string
}

/**
 * Looks for a credential in one argument of a program: `--api-key X`, `--api-key=X`, `-e API_KEY=X`,
 * `--header "Authorization: Bearer X"`, a URL with a password, or what looks like a token.
 */
export function sensitiveArgument(previous: string | undefined, text: string): SensitivePart | undefined {
  const part = (name: string, value: string): SensitivePart | undefined =>
    value === '' ? undefined : { before: text.slice(0, text.length - value.length), value, name }
  const assigned = /^(?:--?)?([A-Za-z][\w-]*)=([\s\S]+)$/.exec(text)
  if (assigned) {
    const [, name = '', value = ''] = assigned
    return SECRET_NAME.test(name) || isCredential(value) ? part(name, value) : undefined
  }
  const header = /^([A-Za-z][\w-]*):\s*(?:(?:Bearer|Basic|Token)\s+)?([\s\S]+)$/i.exec(text)
  if (header && !text.includes('://')) {
    const [, name = '', value = ''] = header
    return SECRET_NAME.test(name) || isCredential(value) ? part(name, value) : undefined
  }
  const option = /^--?([A-Za-z][\w-]*)$/.exec(previous ?? '')?.[1]
  if (option !== undefined && option.length > 1 && SECRET_NAME.test(option) && !text.startsWith('-'))
    return part(option, text)
  if (!isCredential(text)) return undefined
  return part(text.startsWith('postgres') ? 'database_url' : text.includes('://') ? 'url' : 'argument', text)
}

const isCredential = (text: string): boolean => !withoutPassword(text) || looksLikeToken(text)
