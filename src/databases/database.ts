import type { Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Result } from '../lib/result.ts'
import type { TraceContext } from '../observe/trace-context.ts'

export interface Column {
  readonly name: string
  /** PostgreSQL type name, such as `int8` or `numeric`. */
  readonly type: string
}

/** Rows as PostgreSQL gave them, JSON-ready: numbers that fit, strings otherwise, `null`, booleans, objects for json. */
export interface Rows {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly unknown[])[]
  /** True when a cap (rows or bytes) cut the answer off. */
  readonly truncated: boolean
  /** Which cap cut it off. */
  readonly truncatedBy?: 'rows' | 'bytes'
  /** `SELECT`, `INSERT 0 3`, … from CommandComplete; empty when the portal was suspended. */
  readonly command: string
  /** Rows changed by a write. */
  readonly affected?: number
  readonly durationMs: number
  readonly database: string
}

export interface Statement {
  readonly caller: Caller
  /** Absent: the caller's default database. The caller's right to it has been decided already. */
  readonly database?: string
  readonly sql: string
  /** Bound as text and typed by PostgreSQL. */
  readonly params?: readonly unknown[]
  /** Statements with the same session name and credential share one connection. */
  readonly session?: string
  /** Caps, already bounded by the configured limits. */
  readonly maxRows?: number
  readonly maxBytes?: number
  readonly signal: AbortSignal
  readonly trace?: TraceContext | undefined
}

/** What the tools need of the databases: names, one guarded way to run SQL, and the catalogue. */
export interface Databases {
  /** Names of the configured databases, in the order of configuration. */
  readonly names: readonly string[]
  /** The name a caller means when they name none; a refusal when they may use none. */
  resolve(caller: Caller, name: string | undefined): Result<string, Refusal>
  /**
   * Judges and runs one statement. A read goes the read-only way whoever asks; anything else is refused
   * unless the caller's level allows it. Throws `Fault` (`database_unavailable`, `database_busy`).
   */
  run(statement: Statement): Promise<Result<Rows, Refusal>>
}
