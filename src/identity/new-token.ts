import { err, ok, type Result } from '../lib/result.ts'
import { type Allowed, type Level, LEVELS } from './grant.ts'
import { RECOMMENDED_AGE_MS } from './lifetimes.ts'
import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'
import type { NewToken } from './tokens.ts'

/** A request for a token, checked and with every default filled in. Times are milliseconds since the epoch. */
export interface TokenPlan {
  readonly note: string
  readonly owner: string
  readonly level: Level
  readonly tenant: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
  readonly createdAt: number
  readonly expiresAt: number | null
}

const LONGEST_NOTE = 200
const LONGEST_NAME = 128
const MOST_NAMES = 100
const LONGEST_LIFE_MS = 100 * 365 * 86_400_000

/** Control characters, and the invisible ones that reorder or hide text in a list on a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u

export function planToken(
  input: NewToken,
  tenantDefault: string,
  now: number,
): Result<TokenPlan, TokenRefusal> {
  const problems: TokenRefusal[] = []
  const refuse = (field: string, message: string, allowed?: string): void => {
    problems.push(
      tokenRefusal('invalid_arguments', `token.${field}`, message, allowed === undefined ? {} : { allowed }),
    )
  }
  const checkText = (field: string, text: string, longest: number): void => {
    if (typeof text !== 'string') refuse(field, `the ${field} must be text`)
    else if (text.length > longest) refuse(field, `the ${field} is longer than ${longest} characters`)
    else if (UNPRINTABLE.test(text)) refuse(field, `the ${field} has characters that cannot be printed`)
  }
  const checkNames = (field: string, names: Allowed | undefined): void => {
    if (names === undefined || names === 'all') return
    if (!Array.isArray(names)) return refuse(field, `${field} must be a list of names`)
    if (names.length > MOST_NAMES) refuse(field, `more than ${MOST_NAMES} ${field}`)
    for (const name of names as readonly string[]) {
      checkText(field, name, LONGEST_NAME)
      if (name === '') refuse(field, `${field} has an empty name`)
    }
  }
  const level = input.level ?? 'read-only'
  checkText('note', input.note, LONGEST_NOTE)
  checkText('owner', input.owner ?? '', LONGEST_NAME)
  checkText('tenant', input.tenant ?? tenantDefault, LONGEST_NAME)
  if (input.tenant === '') refuse('tenant', 'the tenant is empty')
  if (!LEVELS.includes(level)) refuse('level', 'there is no such level', `levels ${LEVELS.join(', ')}`)
  checkNames('databases', input.databases)
  checkNames('servers', input.servers)
  checkNames('scopes', input.scopes)
  const lifeMs = input.expiresInMs === undefined ? RECOMMENDED_AGE_MS[level] : input.expiresInMs
  if (lifeMs !== null && !(lifeMs > 0 && lifeMs <= LONGEST_LIFE_MS)) {
    refuse('expiry', 'the expiry must lie between now and 100 years from now, or be never')
  }
  const [first] = problems
  if (first) return err(first)
  const note = input.note.trim()
  return ok({
    note,
    owner: input.owner?.trim() || note.slice(0, LONGEST_NAME),
    level,
    tenant: input.tenant ?? tenantDefault,
    databases: input.databases ?? 'all',
    servers: input.servers ?? 'all',
    scopes: input.scopes ?? 'all',
    createdAt: now,
    expiresAt: lifeMs === null ? null : now + Math.round(lifeMs),
  })
}
