import type { Allowed, Level } from '../grant.ts'
import { LEVELS } from '../grant.ts'
import { STATIC_ID_PREFIX } from '../static-tokens.ts'
import { ISSUED_ID_PREFIX } from '../token-text.ts'

/** One token of a token file. */
export interface FileToken {
  readonly id: string
  /** SHA-256 of the token, 64 lower-case hex digits. */
  readonly hash: string
  readonly note: string
  readonly owner: string
  readonly level: Level
  /** Absent where the file names none: the default tenant. */
  readonly tenant?: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
  readonly createdAt: number | null
  readonly expiresAt: number | null
}

/** An entry as it is written: every scalar is text, whatever YAML would make of it. */
export interface RawEntry {
  /** The key of the map shape. */
  readonly key?: string
  readonly fields: ReadonlyMap<string, string | readonly string[]>
}

/** What is wrong with a token file, as a sentence that quotes nothing of its content but ids. */
export class TokenFileProblem extends Error {}

/** @throws TokenFileProblem */
export function readEntries(entries: readonly RawEntry[]): readonly FileToken[] {
  const ids = new Set<string>()
  const idByHash = new Map<string, string>()
  return entries.map((entry, index) => {
    const token = readEntry(entry, index)
    if (ids.has(token.id)) throw new TokenFileProblem(`two entries have the id ${token.id}`)
    const twin = idByHash.get(token.hash)
    if (twin !== undefined) throw new TokenFileProblem(`entries ${twin} and ${token.id} have the same hash`)
    ids.add(token.id)
    idByHash.set(token.hash, token.id)
    return token
  })
}

function readEntry({ key, fields }: RawEntry, index: number): FileToken {
  const where = `entry ${index + 1}`
  const text = (name: string, longest: number): string => {
    const value = fields.get(name) ?? ''
    if (typeof value !== 'string') throw new TokenFileProblem(`${where}: ${name} must be text`)
    if (value.length > longest)
      throw new TokenFileProblem(`${where}: ${name} is longer than ${longest} characters`)
    // Control characters in a name could forge lines of a log or of a list on a terminal.
    if (/\p{Cc}/u.test(value)) throw new TokenFileProblem(`${where}: ${name} has a control character`)
    return isNull(value) ? '' : value
  }
  const names = (name: string): readonly string[] | undefined => {
    const value = fields.get(name)
    if (value === undefined || (typeof value === 'string' && isNull(value))) return undefined
    const list = typeof value === 'string' ? [value] : value
    if (list.some((item) => item === '' || item.length > 128 || /\p{Cc}/u.test(item))) {
      throw new TokenFileProblem(`${where}: ${name} has an empty, overlong or unprintable name`)
    }
    return list.length === 1 && list[0] === 'all' ? undefined : list
  }
  const id = readId(key, text('id', 128), where)
  const hash = text('hash', 64).toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new TokenFileProblem(`${where}: hash must be 64 hexadecimal digits, the SHA-256 of the token`)
  }
  const database = names('database')
  const databases = names('databases')
  if (database && databases) {
    throw new TokenFileProblem(`${where}: give either database or databases, not both`)
  }
  const tenant = text('tenant', 128)
  return {
    id,
    hash,
    note: text('note', 1_000) || text('annotation', 1_000),
    owner: text('owner', 128),
    level: readLevel(text('level', 20), where),
    ...(tenant === '' ? {} : { tenant }),
    databases: database ?? databases ?? 'all',
    servers: names('servers') ?? 'all',
    scopes: names('scopes') ?? 'all',
    createdAt: readTime(text('created_at', 64), 'created_at', where),
    expiresAt: readTime(text('expires_at', 64), 'expires_at', where),
  }
}

function readId(key: string | undefined, field: string, where: string): string {
  const id = field === '' ? (key ?? '') : field
  if (id === '' || id.length > 128 || /[\p{Cc}\s]/u.test(id)) {
    throw new TokenFileProblem(`${where}: id must be 1 to 128 characters without spaces`)
  }
  // Ids are unique among all sources: the streams of one credential must never be those of another.
  if (id.startsWith(ISSUED_ID_PREFIX) || id.startsWith(STATIC_ID_PREFIX)) {
    throw new TokenFileProblem(
      `${where}: ids that begin with ${ISSUED_ID_PREFIX} or ${STATIC_ID_PREFIX} belong to other sources`,
    )
  }
  return id
}

function readLevel(text: string, where: string): Level {
  if (text === '') return 'read-only'
  const level = LEVELS.find((name) => name === text)
  if (!level) throw new TokenFileProblem(`${where}: level must be ${LEVELS.join(', ')}`)
  return level
}

/**
 * RFC 3339 with its offset. Anything else is refused rather than guessed: half a date would make a token
 * live too long. The zero time is what Go writes for a time that was never set.
 */
function readTime(text: string, name: string, where: string): number | null {
  if (text === '' || text.startsWith('0001-01-01T')) return null
  if (!/^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/.test(text)) {
    throw new TokenFileProblem(`${where}: ${name} must be a time such as 2030-01-31T12:00:00Z, or null`)
  }
  const time = Date.parse(text.replace(' ', 'T'))
  if (Number.isNaN(time)) throw new TokenFileProblem(`${where}: ${name} is not a time that exists`)
  return time
}

const isNull = (text: string): boolean => text === '' || text === '~' || /^(null|Null|NULL)$/.test(text)
