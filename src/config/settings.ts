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
  readonly limits: LimitSettings
  readonly audit: AuditSettings
  readonly model: ModelSettings | null
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'json' | 'text' }
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

export interface LimitSettings {
  readonly bodyBytes: number
  readonly jsonDepth: number
  readonly headerBytes: number
  /** Rows of one answer unless the call asks for fewer. */
  readonly rows: number
  /** Bytes of one answer. */
  readonly resultBytes: number
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

/** Any endpoint that speaks the OpenAI chat completions API. */
export interface ModelSettings {
  readonly baseUrl: string
  readonly apiKey: Secret | null
  readonly model: string
  readonly timeoutMs: number
}
