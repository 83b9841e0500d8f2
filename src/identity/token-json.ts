import type { Allowed } from './grant.ts'
import type { IssuedToken, TokenRecord } from './tokens.ts'

/** A token as every JSON document shows it: command line, administration API, console. Never its value. */
export interface TokenJson {
  readonly id: string
  readonly note: string
  readonly owner: string
  readonly level: string
  readonly tenant: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
  /** ISO 8601 in UTC; `null` where the source does not say. */
  readonly created_at: string | null
  /** ISO 8601 in UTC; `null` for one that does not expire. */
  readonly expires_at: string | null
  readonly hash_prefix: string
}

export interface ListedTokenJson extends TokenJson {
  readonly status: TokenRecord['status']
  readonly last_used_at: string | null
  readonly rotation_due: boolean
  readonly source: TokenRecord['source']
}

const isoTime = (time: number | null): string | null => (time === null ? null : new Date(time).toISOString())

function tokenJson(record: TokenRecord): TokenJson {
  return {
    id: record.id,
    note: record.note,
    owner: record.owner,
    level: record.level,
    tenant: record.tenant,
    databases: record.databases,
    servers: record.servers,
    scopes: record.scopes,
    created_at: isoTime(record.createdAt),
    expires_at: isoTime(record.expiresAt),
    hash_prefix: record.hashPrefix,
  }
}

export function listedTokenJson(record: TokenRecord): ListedTokenJson {
  return {
    ...tokenJson(record),
    status: record.status,
    last_used_at: isoTime(record.lastUsedAt),
    rotation_due: record.rotationDue,
    source: record.source,
  }
}

/** The one document that holds a token's value: the reply that issues it. */
export function issuedTokenJson({ token, record }: IssuedToken): TokenJson & { readonly token: string } {
  return { ...tokenJson(record), token: token.reveal() }
}
