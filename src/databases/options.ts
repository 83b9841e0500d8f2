import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/secret.ts'
import type { Observe } from '../observe/observation.ts'

/** One PostgreSQL database that Postern serves. */
export interface DatabaseOptions {
  readonly name: string
  /** Host name, address, or (starting with `/`) the directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: Secret | null
  /** As libpq means it; see `tls.ts`. */
  readonly sslmode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** Certificate authorities in PEM, for `verify-ca` and `verify-full`; absent: those of the system. */
  readonly sslRootCert?: string | null
  /** The role that writes run as; `null` when writes use the same role as reads. */
  readonly writer: { readonly user: string; readonly password: Secret | null } | null
  /** Tenants whose callers may use it; absent: all of a protected database, otherwise those of the first tenant. */
  readonly tenants?: 'all' | readonly string[] | null
  /** A protected database: statements of callers run as roles of their tenant, `user` reads the catalogue only. */
  readonly tenancy?: TenancyOptions | null
  /** Serve the database although the role is a superuser. */
  readonly allowSuperuser: boolean
  /** Connections one credential may have open at once, its sessions included. */
  readonly maxConnectionsPerCredential: number
  /** Connections of all credentials together; Postern's own catalogue connection comes on top. */
  readonly maxConnections: number
  /** How long an unused connection stays open. */
  readonly idleTimeoutMs: number
  /** How long a call waits for a connection before it is told that the database is busy. */
  readonly acquireTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
}

/** How the roles of tenants in a protected database are called and made. */
export interface TenancyOptions {
  /** `ROLE_PREFIX` of `tenancy/tenant-roles.ts`. */
  readonly rolePrefix: string
  /** The role that makes those of a tenant at their first use; `null`: they are made by command only. */
  readonly provisioner: { readonly user: string; readonly password: Secret | null } | null
}

/** The part of the limits that concerns databases. */
export interface DatabaseLimits {
  /** Rows of one answer unless the call asks for fewer. */
  readonly rows: number
  /** Bytes of one answer, as PostgreSQL sends it. */
  readonly resultBytes: number
  /** Rows of one streamed answer; 0 for any number. */
  readonly streamRows: number
  /** Milliseconds that one streamed answer may take. */
  readonly streamTimeMs: number
  /** Named sessions of one credential on one database. */
  readonly sessionsPerCredential: number
  /** A session that is not used for so long is closed. */
  readonly sessionIdleMs: number
}

/** What the databases need of the rest of Postern, apart from the gate. */
export interface DatabaseContext {
  readonly lifelines: Pick<Lifelines, 'hold'>
  readonly clock: Clock
  readonly observe: Observe
  readonly limits: DatabaseLimits
  /** `tenantKey` of this installation; needed where a database is protected. */
  readonly tenantKey?: Uint8Array
}
