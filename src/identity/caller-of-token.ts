import type { Caller, CredentialKind } from './caller.ts'
import type { TokenRecord } from './tokens.ts'

const KINDS: Readonly<Record<TokenRecord['source'], CredentialKind>> = {
  store: 'issued',
  'token-file': 'token-file',
  config: 'static',
}

/** A listed token as a decision would see it, if it were shown. */
export function callerOfToken(record: TokenRecord): Caller {
  const { tenant, level, scopes, servers, databases } = record
  return {
    principal: { kind: 'service', id: record.owner, name: record.owner },
    credential: {
      id: record.id,
      kind: KINDS[record.source],
      name: record.note,
      createdAt: record.createdAt,
      expiresAt: record.expiresAt,
    },
    grant: { tenant, level, scopes, servers, databases },
  }
}
