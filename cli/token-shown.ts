import type { Allowed } from '../src/identity/grant.ts'
import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import type { IssuedToken, TokenRecord } from '../src/identity/tokens.ts'
import type { Style } from './command.ts'
import { fromNow, shortDate, shortTime } from './moment.ts'
import { padShown, printable } from './text.ts'

/** Labels in one column, values in the next. */
export function labelled(
  rows: readonly (readonly [label: string, value: string])[],
  style: Style,
  indent = 2,
): string {
  const width = Math.max(...rows.map(([label]) => label.length)) + 1
  return rows
    .map(([label, value]) => `${' '.repeat(indent)}${style.dim(padShown(`${label}:`, width))}  ${value}`)
    .join('\n')
}

const names = (allowed: Allowed): string =>
  allowed === 'all' ? 'all' : allowed.length === 0 ? 'none' : allowed.map(printable).join(', ')

const plural = (allowed: Allowed, one: string, many: string): string =>
  allowed !== 'all' && allowed.length === 1 ? one : many

/** A token without an owner of its own belongs to its note or to itself. */
const hidesOwner = ({ owner, note, id }: TokenRecord): boolean => ['', note, id].includes(owner)

/** What a token was narrowed to: rows that say `all` would only be noise. */
function narrowed(record: TokenRecord): readonly (readonly [string, string])[] {
  return [
    ...(record.tenant === FIRST_TENANT ? [] : [['Tenant', printable(record.tenant)] as const]),
    ...(record.servers === 'all'
      ? []
      : [[plural(record.servers, 'Server', 'Servers'), names(record.servers)] as const]),
    ...(record.scopes === 'all'
      ? []
      : [[plural(record.scopes, 'Scope', 'Scopes'), names(record.scopes)] as const]),
  ]
}

/** The reply that issues a token, for people. */
export function issuedText(heading: string, issued: IssuedToken, now: number, style: Style): string {
  const { record, token } = issued
  const rows = labelled(
    [
      ['Token', style.bold(token.reveal())],
      ['ID', record.id],
      ['Note', printable(record.note) || '(none)'],
      ...(hidesOwner(record) ? [] : [['Owner', printable(record.owner)] as const]),
      ['Level', record.level],
      [plural(record.databases, 'Database', 'Databases'), names(record.databases)],
      ...narrowed(record),
      [
        'Expires',
        record.expiresAt === null
          ? 'Never'
          : `${shortDate(record.expiresAt)} (${fromNow(record.expiresAt, now)})`,
      ],
      ['Hash', `${record.hashPrefix} (first 12 characters)`],
    ],
    style,
  )
  return [
    style.bold(heading),
    '',
    rows,
    '',
    'Keep the token in a safe place now. It is shown this once: only its hash is stored.',
  ].join('\n')
}

const STATUS = { valid: 'Valid', expired: 'Expired', revoked: 'Revoked' } as const

const SOURCE = {
  store: 'store',
  'token-file': 'token file',
  config: 'configuration file',
} as const

function status(record: TokenRecord, style: Style): string {
  if (record.status === 'valid')
    return record.rotationDue ? `${STATUS.valid}, ${style.bold('rotation due')}` : STATUS.valid
  return style.bold(STATUS[record.status])
}

function block(record: TokenRecord, now: number, style: Style): string {
  return labelled(
    [
      ['ID', style.bold(record.id)],
      ['Note', printable(record.note) || '(none)'],
      ...(hidesOwner(record) ? [] : [['Owner', printable(record.owner)] as const]),
      ['Level', record.level],
      ...(record.databases === 'all'
        ? []
        : [[plural(record.databases, 'Database', 'Databases'), names(record.databases)] as const]),
      ...narrowed(record),
      ['Hash', `${record.hashPrefix}…`],
      ['Created', record.createdAt === null ? 'unknown' : shortTime(record.createdAt)],
      [
        'Expires',
        record.expiresAt === null
          ? 'Never'
          : `${shortTime(record.expiresAt)} (${fromNow(record.expiresAt, now)})`,
      ],
      ['Last used', record.lastUsedAt === null ? 'never' : fromNow(record.lastUsedAt, now)],
      ['Status', status(record, style)],
      ['Kept in', SOURCE[record.source]],
    ],
    style,
  )
}

/** The list for people: one block per token, the number at the end. Times are UTC. */
export function listText(records: readonly TokenRecord[], now: number, style: Style): string {
  if (records.length === 0) return 'There are no tokens yet. Issue one with: postern token add'
  const count = (of: TokenRecord['status']): number => records.filter((record) => record.status === of).length
  const parts = (['valid', 'expired', 'revoked'] as const)
    .map((of) => [count(of), of] as const)
    .filter(([found]) => found > 0)
    .map(([found, of]) => `${found} ${of}`)
  return [
    `${style.bold('API tokens')} ${style.dim('(times are UTC)')}`,
    ...records.map((record) => block(record, now, style)),
    `Total tokens: ${records.length} (${parts.join(', ')})`,
  ].join('\n\n')
}
