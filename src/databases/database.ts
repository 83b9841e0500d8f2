import type { Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Allowed, Grant } from '../identity/grant.ts'
import type { Result } from '../lib/result.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { RowSink } from './rows/row-sink.ts'

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

/** An answer whose rows went to a `RowSink`. */
export interface StreamedRows extends Omit<Rows, 'rows'> {
  readonly rowCount: number
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

/** A statement whose rows are taken while they come. */
export interface StreamedStatement extends Statement {
  readonly into: RowSink
  /**
   * What the answer is bounded by. `answer`: like any other, by rows, bytes and the statement timeout.
   * `stream`: it is passed on as it comes, so its length costs no memory; bounded by `limits.streamRows`,
   * `limits.streamTime` and the bytes of one row.
   */
  readonly bounds: 'answer' | 'stream'
}

/** What the tools need of the databases: names, one guarded way to run SQL, and the catalogue. */
export interface Databases {
  /** Names of the configured databases, in the order of configuration. */
  readonly names: readonly string[]
  /** The databases of a grant that its tenant may use; `all` where none is kept from it. */
  reach(grant: Grant): Allowed
  /** The name a caller means when they name none; a refusal when they may use none. */
  resolve(caller: Caller, name: string | undefined): Result<string, Refusal>
  /**
   * Judges and runs one statement. A read goes the read-only way whoever asks; anything else is refused
   * unless the caller's level allows it. Throws `Fault` (`database_unavailable`, `database_busy`).
   */
  run(statement: Statement): Promise<Result<Rows, Refusal>>
  /** The same, but row by row: `into` is called until this settles, and not afterwards. */
  stream(statement: StreamedStatement): Promise<Result<StreamedRows, Refusal>>
}
