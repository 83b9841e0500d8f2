import { Secret } from '../lib/secret.ts'
import { asWritten } from './as-written.ts'
import { type Fingerprinted, isFingerprint } from './fingerprint.ts'
import type { Settings } from './settings.ts'

/** One setting that two configurations do not share. Secrets are compared, never shown. */
export interface Change {
  /** The key as a file has it; databases, servers and tokens by name: `databases.shop.port`. */
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** As text; `null` where there is nothing, and for whole databases and tokens. */
  readonly before: string | null
  readonly after: string | null
}

/** What differs between two configurations, in the order of the settings. Both as they are, or both with fingerprints. */
export function difference(
  before: Settings | Fingerprinted,
  after: Settings | Fingerprinted,
): readonly Change[] {
  const changes: Change[] = []
  compare('', asWritten(before), asWritten(after), changes)
  return changes
}

/** `databases.shop.port: 5432 → 5433` */
export function formatChange({ path, kind, before, after }: Change): string {
  if (kind === 'changed') return before === after ? `${path}: changed` : `${path}: ${before} → ${after}`
  return `${path}: ${kind}`
}

function compare(path: string, before: unknown, after: unknown, changes: Change[]): void {
  if (isNamedList(before) && isNamedList(after)) {
    compareNamed(path, before, after, changes)
    return
  }
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare(path === '' ? key : `${path}.${key}`, before[key], after[key], changes)
    return
  }
  if (same(before, after)) return
  const kind = isNothing(before) ? 'added' : isNothing(after) ? 'removed' : 'changed'
  changes.push({ path, kind, before: show(path, before), after: show(path, after) })
}

function compareNamed(
  path: string,
  before: readonly Item[],
  after: readonly Item[],
  changes: Change[],
): void {
  for (const item of before) {
    const other = after.find(({ name }) => name === item.name)
    if (other) compare(`${path}.${item.name}`, item, other, changes)
    else changes.push({ path: `${path}.${item.name}`, kind: 'removed', before: null, after: null })
  }
  for (const item of after)
    if (!before.some(({ name }) => name === item.name))
      changes.push({ path: `${path}.${item.name}`, kind: 'added', before: null, after: null })
  // The first database is the default one, so the order is a setting, too.
  const kept = (list: readonly Item[], others: readonly Item[]): string =>
    list
      .filter(({ name }) => others.some((other) => other.name === name))
      .map(({ name }) => name)
      .join(', ')
  const order = { before: kept(before, after), after: kept(after, before) }
  if (order.before !== order.after) changes.push({ path: `${path} (order)`, kind: 'changed', ...order })
}

interface Item {
  readonly name: string
}

const isNamedList = (value: unknown): value is readonly Item[] =>
  Array.isArray(value) && value.every((item) => isRecord(item) && typeof item['name'] === 'string')

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret)

const isNothing = (value: unknown): boolean => value === null || value === undefined

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal()
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => same(item, b[at]))
  return a === b || (isNothing(a) && isNothing(b))
}

/** What stands in a change for a value that is not shown. */
export const SECRET = '[secret]'

/** A query may hold a key. */
export const withoutQuery = (url: string): string => url.replace(/\?[\s\S]*$/, '?…')

function show(path: string, value: unknown): string | null {
  if (isNothing(value)) return null
  // Before the names are looked at: a variable of a program may be called `url`.
  if (value instanceof Secret || isFingerprint(value)) return SECRET
  if (/^mcpServers\..*\.url$/.test(path)) return withoutQuery(String(value))
  // A program can be given its key on the command line, for want of another way.
  if (/^mcpServers\..*\.args$/.test(path)) return '[arguments]'
  if (/^auth\.tokens\..*\.hash$/.test(path)) return `${String(value).slice(0, 12)}…`
  if (path.endsWith('.sslRootCert')) return '[certificate]'
  if (path.endsWith('.toolFilter') && isRecord(value))
    return `${String(value['mode'])} ${show('', value['tools'])}`
  if (isRecord(value)) return 'set'
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
}
