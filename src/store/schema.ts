import type { Generated } from 'kysely'

/**
 * Every table of the store as the queries see it. Times are milliseconds since the epoch. Both engines
 * hand 64-bit integers over as JavaScript numbers: all of ours stay below 2^53.
 */
export interface StoreSchema {
  meta: MetaTable
  changes: ChangesTable
  tokens: TokensTable
  token_uses: TokenUsesTable
  upstream_credentials: UpstreamCredentialsTable
  tenants: TenantsTable
  users: UsersTable
  revoked_jwts: RevokedJwtsTable
  user_identities: UserIdentitiesTable
  redeemed_states: RedeemedStatesTable
  audit_entries: AuditEntriesTable
  audit_head: AuditHeadTable
}

/** Small facts about the store itself, such as that the first credential was made. */
export interface MetaTable {
  key: string
  value: string
}

/** One row per topic; `revision` rises by one with every committed change of that topic. */
export interface ChangesTable {
  topic: string
  revision: number
}

/** Issued tokens. `databases`, `servers` and `scopes` are NULL for `all`, otherwise a JSON list. */
export interface TokensTable {
  id: string
  /** SHA-256 of the token, 64 lower-case hex digits. */
  hash: string
  note: string
  owner: string
  level: string
  tenant: string
  databases: string | null
  servers: string | null
  scopes: string | null
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  /** The token that was issued in place of this one. */
  replaced_by: string | null
  /** The revision of topic `tokens` that wrote this row last: what other processes read after. */
  revision: number
}

/** When a credential of any kind was last used. Apart from `tokens`, because it is written often. */
export interface TokenUsesTable {
  credential_id: string
  last_used_at: number
}

/** Credentials that principals left for MCP servers. */
export interface UpstreamCredentialsTable {
  tenant: string
  principal: string
  server: string
  /** As `lib/seal.ts` writes it; NULL once it was removed. */
  sealed: string | null
  created_at: number
  updated_at: number
  /** The revision of topic `upstream_credentials` that wrote this row last. */
  revision: number
}

/** A deleted one keeps its row, and its id. */
export interface TenantsTable {
  id: string
  created_at: number
  deleted_at: Generated<number | null>
  /** The revision of topic `tenants` that deleted it. */
  revision: Generated<number>
}

/** People. A deleted one keeps its row without name shape, address and hash, so that every process hears of it. */
export interface UsersTable {
  /** UUIDv7. */
  id: string
  tenant: string
  /** Normalised: as it is compared and shown. */
  name: string
  /** The name as an eye sees it: two names of one shape cannot be told apart. NULL once deleted. */
  name_shape: string | null
  /** In small letters. NULL without one, and once deleted. */
  email: string | null
  level: string
  /** In PHC form, with its own parameters. Empty once deleted. */
  password_hash: string
  /** Rises with whatever must end the JWTs that were issued before. */
  epoch: number
  created_at: number
  disabled_at: number | null
  deleted_at: number | null
  /** The revision of topic `users` that wrote this row last. */
  revision: number
}

/** JWTs that were ended before their time, until that time. */
export interface RevokedJwtsTable {
  jti: string
  expires_at: number
  /** The revision of topic `users` that wrote this row. */
  revision: number
}

/**
 * Which account of a provider is which user. Outlives the user, so that a deleted one does not come back by signing in.
 */
export interface UserIdentitiesTable {
  issuer: string
  subject: string
  user_id: string
  created_at: number
}

/** Sign-ins with a provider whose answer was taken, until no answer to them would be taken anyway. */
export interface RedeemedStatesTable {
  /** SHA-256 of the state. */
  state_hash: string
  expires_at: number
}

/** The audit chain. The columns after `hash` are generated from `entry`, for searching only. */
export interface AuditEntriesTable {
  seq: number
  at: number
  entry: string
  previous_hash: string
  hash: string
  kind: Generated<string>
  outcome: Generated<string>
  principal: Generated<string | null>
  credential_id: Generated<string | null>
  action: Generated<string | null>
  target: Generated<string | null>
  tenant: Generated<string | null>
}

/** One row: the last entry of the chain and the one before the oldest that is kept. */
export interface AuditHeadTable {
  id: number
  seq: number
  hash: string
  floor_seq: number
  floor_hash: string
}
