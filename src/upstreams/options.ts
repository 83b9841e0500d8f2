import type { Level } from '../identity/grant.ts'
import type { Secret } from '../lib/secret.ts'

/** One MCP server behind Postern, as the configuration has it; names of units are in the members. */
export interface UpstreamOptions {
  readonly name: string
  readonly reach: StdioReach | HttpReach
  readonly rules: UpstreamRules
  /** A credential of each principal's own, kept encrypted by Postern, in place of the server's. */
  readonly userCredential: UserCredentialPlace | null
  readonly limits: UpstreamLimits
}

export interface StdioReach {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** The whole environment beyond PATH, HOME, LANG, TMPDIR and the like: never Postern's own. */
  readonly env: Readonly<Record<string, Secret>>
  /** Absolute; `null` for Postern's own. */
  readonly cwd: string | null
  /** `caller`: one process for each credential. `shared`: one for all, which can then ask its client nothing. */
  readonly process: 'caller' | 'shared'
}

export interface HttpReach {
  readonly kind: 'http'
  readonly url: string
  /** `auto`: found out by probing, once. */
  readonly transport: 'auto' | 'sse' | 'streamable' | 'stateless'
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, Secret>>
  readonly clientCredentials: ClientCredentials | null
}

/** OAuth 2.0 client credentials (RFC 6749 §4.4) for the upstream. */
export interface ClientCredentials {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly scopes: readonly string[]
  /** RFC 8707; `null` without. */
  readonly resource: string | null
}

/** Where a principal's own credential goes. */
export type UserCredentialPlace =
  | { readonly kind: 'header'; readonly header: string; readonly prefix: string; readonly required: boolean }
  | { readonly kind: 'env'; readonly name: string; readonly required: boolean }

/** Who may use the server and each of its tools. */
export interface UpstreamRules {
  /** Names of static tokens; `null`: any valid credential. An issued credential that names the server may, too. */
  readonly authTokens: readonly string[] | null
  /** Scopes needed for anything of this server. */
  readonly scopes: readonly string[]
  /** The level of its tools, unless a tool has its own or a trusted hint says otherwise. */
  readonly level: Level
  /** Believe `readOnlyHint` and `destructiveHint`. */
  readonly trustHints: boolean
  readonly toolFilter: { readonly mode: 'allow' | 'deny'; readonly tools: readonly string[] } | null
  readonly tools: Readonly<
    Record<string, { readonly level: Level | null; readonly scopes: readonly string[] }>
  >
}

export interface UpstreamLimits {
  /** From a request to its answer. */
  readonly timeoutMs: number
  /** From a connection or a new process to its first answer. */
  readonly connectTimeoutMs: number
  /** Bytes of one message from the server. */
  readonly messageBytes: number
  /** Requests that run at once, of all callers. */
  readonly concurrency: number
  /** Processes or sessions that may be open at once, of all callers. */
  readonly conversations: number
  /** How long a conversation without requests is kept for the next one of a client that has no session. */
  readonly idleMs: number
}
