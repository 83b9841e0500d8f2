import type { Secret } from '../lib/secret.ts'

/**
 * The whole configuration after loading: every reference resolved, every default filled in, frozen.
 * Rooms never import this file; `src/gateway.ts` hands each room the plain values it needs.
 */
export interface Settings {
  readonly server: ServerSettings
  /** Absolute path. */
  readonly dataDir: string
  readonly store:
    { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: Secret }
  readonly auth: AuthSettings
  readonly databases: readonly DatabaseSettings[]
  readonly mcpServers: readonly McpServerSettings[]
  readonly aggregate: AggregateSettings
  readonly limits: LimitSettings
  readonly audit: AuditSettings
  readonly model: ModelSettings | null
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'json' | 'text' }
  readonly metrics: { readonly enabled: boolean }
  readonly traces: TraceSettings | null
}

export interface ServerSettings {
  readonly name: string
  /** Empty for every interface, IPv4 and IPv6, as `server.listen` of Node takes it. */
  readonly host: string
  /** 0 asks the system for a free port. */
  readonly port: number
  /**
   * Public URL without a trailing slash; what metadata documents and challenges name. `null`: the address
   * that the server listens on, whose port may be known only then.
   */
  readonly baseUrl: string | null
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** `Host` values accepted besides loopback names, the listening address and the base URL's host. */
  readonly allowedHosts: readonly string[]
  /** `Origin` values accepted besides the base URL's. */
  readonly allowedOrigins: readonly string[]
}

export interface AuthSettings {
  /** False only with `--no-auth` on a loopback address. */
  readonly enabled: boolean
  readonly tokens: readonly StaticTokenSettings[]
  /** Absolute path of a watched token file; `null` without one. */
  readonly tokenFile: string | null
  readonly jwt: {
    readonly algorithm: 'HS256' | 'RS256' | 'EdDSA'
    /** Absolute path; `null` for `jwt.secret` in the data directory. */
    readonly secretFile: string | null
    /** Absolute path; `null` for `jwt.key` in the data directory. */
    readonly keyFile: string | null
    readonly ttlSeconds: number
    /** Before our own claims: `postern` for `postern.tenant_id`. */
    readonly namespace: string
    readonly issuer: string
    readonly audience: string
  }
  /** Of new hashes: KiB, passes, threads. */
  readonly argon2: { readonly memoryKb: number; readonly timeCost: number; readonly parallelism: number }
  readonly passwords: {
    readonly minBytes: number
    readonly refuseCommon: boolean
    /** Absolute path; `null` without a list of the operator's own. */
    readonly commonFile: string | null
    readonly commonFileMode: 'add' | 'replace'
  }
  readonly oidc: readonly OidcProviderSettings[]
}

/** A provider that people sign in with. Of the same shape as the options of `src/identity/oidc`. */
export interface OidcProviderSettings {
  /** A part of its addresses here. */
  readonly name: string
  readonly title: string
  readonly issuer: string
  readonly clientId: string
  /** `null` for a public client. */
  readonly clientSecret: Secret | null
  readonly scopes: readonly string[]
  readonly usernameClaim: string
  readonly emailClaim: string
  readonly groupsClaim: string
  readonly requireVerifiedEmail: boolean
  /** Groups of each role. */
  readonly roles: {
    readonly admin: readonly string[]
    readonly writer: readonly string[]
    readonly reader: readonly string[]
  }
  /** Groups of each tenant; empty where there is a `tenantClaim`, or only the tenant `default`. */
  readonly tenants: readonly { readonly name: string; readonly groups: readonly string[] }[]
  readonly tenantClaim: string | null
  readonly createTenants: boolean
  /** For everything that is asked of the provider in one sign-in. */
  readonly timeoutMs: number
}

/** A named token of the configuration. Exactly one of `value` and `hash` is set. */
export interface StaticTokenSettings {
  readonly name: string
  readonly value: Secret | null
  /** SHA-256 of the token, 64 hex digits. */
  readonly hash: string | null
  readonly level: 'read-only' | 'read-write' | 'admin'
  readonly owner: string
  readonly tenant: string
  readonly scopes: 'all' | readonly string[]
  readonly servers: 'all' | readonly string[]
  readonly databases: 'all' | readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | null
}

export interface DatabaseSettings {
  readonly name: string
  /** Host name, address, or (starting with `/`) the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: Secret | null
  readonly sslmode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** Certificate authorities in PEM, for `verify-ca` and `verify-full`; `null`: those of the system. */
  readonly sslRootCert: string | null
  /** The role that writes run as; `null` when writes use the same role as reads. */
  readonly writer: { readonly user: string; readonly password: Secret | null } | null
  /** Tenants whose callers may use it; `null`: all of a protected database, otherwise the first tenant's. */
  readonly tenants: 'all' | readonly string[] | null
  /** A protected database, where every caller's statements run as a role of their tenant. */
  readonly tenancy: TenancySettings | null
  /** Start although the role is a superuser. */
  readonly allowSuperuser: boolean
  /** Connections one credential may have open at once. */
  readonly maxConnectionsPerCredential: number
  /** Connections of all credentials together. */
  readonly maxConnections: number
  readonly idleTimeoutMs: number
  /** How long a call waits for a connection before it is refused as busy. */
  readonly acquireTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
}

export interface TenancySettings {
  /** What the names of roles and of the schema begin with. */
  readonly rolePrefix: string
  /** The role that makes those of a tenant at their first use; `null`: they are made by command only. */
  readonly provisioner: { readonly user: string; readonly password: Secret | null } | null
}

/** One MCP server behind Postern. Of the same shape as the options of `src/upstreams`, which gets them as they are. */
export interface McpServerSettings {
  readonly name: string
  readonly reach: StdioReachSettings | HttpReachSettings
  readonly rules: McpServerRules
  /** Where a credential of each principal's own goes; `null`: only the server's. */
  readonly userCredential: UserCredentialSettings | null
  readonly limits: McpServerLimits
}

export interface StdioReachSettings {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** The environment beyond PATH, HOME, LANG, TMPDIR and the like. */
  readonly env: Readonly<Record<string, Secret>>
  /** Absolute; `null` for Postern's own. */
  readonly cwd: string | null
  /** `caller`: one process for each credential. `shared`: one for all. */
  readonly process: 'caller' | 'shared'
}

export interface HttpReachSettings {
  readonly kind: 'http'
  /** May have a query, which can hold a key and is never shown. */
  readonly url: string
  /** `auto`: found out by probing. */
  readonly transport: 'auto' | 'sse' | 'streamable' | 'stateless'
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, Secret>>
  readonly clientCredentials: ClientCredentialsSettings | null
}

/** OAuth 2.0 client credentials (RFC 6749 §4.4). */
export interface ClientCredentialsSettings {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Secret
  readonly scopes: readonly string[]
  /** RFC 8707; `null` without. */
  readonly resource: string | null
}

export type UserCredentialSettings =
  | { readonly kind: 'header'; readonly header: string; readonly prefix: string; readonly required: boolean }
  | { readonly kind: 'env'; readonly name: string; readonly required: boolean }

export interface McpServerRules {
  /** Names of static tokens; `null`: any valid credential. */
  readonly authTokens: readonly string[] | null
  readonly scopes: readonly string[]
  readonly level: 'read-only' | 'read-write' | 'admin'
  readonly trustHints: boolean
  readonly toolFilter: { readonly mode: 'allow' | 'deny'; readonly tools: readonly string[] } | null
  /** Has no prototype: a tool may be called `constructor`. */
  readonly tools: Readonly<
    Record<
      string,
      { readonly level: 'read-only' | 'read-write' | 'admin' | null; readonly scopes: readonly string[] }
    >
  >
}

export interface McpServerLimits {
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  /** Bytes of one message from the server. */
  readonly messageBytes: number
  /** Requests that run at once, of all callers. */
  readonly concurrency: number
  /** Processes or sessions that may be open at once, of all callers. */
  readonly conversations: number
  readonly idleMs: number
}

/** The endpoints that show all servers as one. */
export interface AggregateSettings {
  /** Between the name of a server and that of its tool. */
  readonly delimiter: string
  readonly listTimeoutMs: number
}

export interface LimitSettings {
  readonly bodyBytes: number
  readonly jsonDepth: number
  readonly headerBytes: number
  /** Rows of one answer unless the call asks for fewer. */
  readonly rows: number
  /** Bytes of one answer. */
  readonly resultBytes: number
  /** Rows of one streamed answer; 0 for any number. */
  readonly streamRows: number
  readonly streamTimeMs: number
  readonly sessionsPerCredential: number
  readonly sessions: number
  readonly sessionIdleMs: number
  readonly requestTimeoutMs: number
  /** How long SIGTERM waits for open requests. */
  readonly drainMs: number
}

export interface AuditSettings {
  /** Events held in memory before callers wait. */
  readonly bufferEvents: number
  readonly flushIntervalMs: number
  readonly retentionMs: number
}

/** Where spans go: OTLP over HTTP. */
export interface TraceSettings {
  readonly endpoint: string
  readonly headers: Readonly<Record<string, Secret>>
  /** Part of the requests without a parent of their own that is traced, 0 to 1. */
  readonly ratio: number
  readonly serviceName: string
}

/** Any endpoint that speaks the OpenAI chat completions API. */
export interface ModelSettings {
  readonly baseUrl: string
  readonly apiKey: Secret | null
  readonly model: string
  readonly timeoutMs: number
}
