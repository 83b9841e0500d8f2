import type { Caller, CredentialKind } from './caller.ts'
import type { Allowed, Level } from './grant.ts'
import { rotationDue } from './lifetimes.ts'
import type { TokenRecord } from './tokens.ts'

/** A token that some source vouches for, ready to be the answer of `authenticate`. */
export interface Known {
  /** SHA-256 of the token, 64 lower-case hex digits. */
  readonly hash: string
  readonly caller: Caller
}

/** What every source says about a token, whatever its own format. */
export interface KnownFacts {
  readonly id: string
  readonly hash: string
  readonly note: string
  readonly owner: string
  readonly level: Level
  readonly tenant: string
  readonly databases: Allowed
  readonly servers: Allowed
  readonly scopes: Allowed
  readonly createdAt: number | null
  readonly expiresAt: number | null
}

export function toKnown(kind: CredentialKind, facts: KnownFacts): Known {
  const { id, hash, note, owner, level, tenant, databases, servers, scopes, createdAt, expiresAt } = facts
  const principalId = owner === '' ? id : owner
  return Object.freeze({
    hash,
    caller: Object.freeze({
      principal: Object.freeze({ kind: 'service', id: principalId, name: principalId }),
      credential: Object.freeze({ id, kind, name: note === '' ? id : note, createdAt, expiresAt }),
      grant: Object.freeze({ tenant, level, scopes, servers, databases }),
    }),
  })
}

/** True when both allow the same to the same principal: nothing that was opened with one needs to end. */
export function sameRights(a: Known, b: Known): boolean {
  return JSON.stringify([a.caller.principal, rights(a)]) === JSON.stringify([b.caller.principal, rights(b)])
}

const rights = ({ caller: { grant } }: Known): unknown => [
  grant.tenant,
  grant.level,
  grant.scopes,
  grant.servers,
  grant.databases,
]

const SOURCES = {
  static: 'config',
  'token-file': 'token-file',
  issued: 'store',
  jwt: 'store',
  none: 'config',
} as const satisfies Record<CredentialKind, TokenRecord['source']>

export function toRecord(
  { hash, caller: { principal, credential, grant } }: Known,
  now: number,
  more: { readonly revoked?: boolean; readonly lastUsedAt?: number | undefined } = {},
): TokenRecord {
  const expired = credential.expiresAt !== null && credential.expiresAt <= now
  const status = more.revoked === true ? 'revoked' : expired ? 'expired' : 'valid'
  return {
    id: credential.id,
    note: credential.name === credential.id ? '' : credential.name,
    owner: principal.id,
    level: grant.level,
    tenant: grant.tenant,
    databases: grant.databases,
    servers: grant.servers,
    scopes: grant.scopes,
    createdAt: credential.createdAt,
    expiresAt: credential.expiresAt,
    hashPrefix: hash.slice(0, 12),
    source: SOURCES[credential.kind],
    status,
    lastUsedAt: more.lastUsedAt ?? null,
    rotationDue: status === 'valid' && rotationDue(grant.level, credential.createdAt, now),
  }
}
