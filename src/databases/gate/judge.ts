import type { Refusal } from '../../access/refusal.ts'
import type { Result } from '../../lib/result.ts'
import type { GateCatalogue } from './catalogue.ts'

/** What the gate knows of one statement it lets through. Frozen, shared between requests. */
export interface Judged {
  /** Kind of the statement's own node, such as `SelectStmt`, `ExplainStmt`, `VariableShowStmt`. */
  readonly statement: string
  readonly access: 'read' | 'write'
  readonly explain: boolean
  /**
   * True when the syntax tree and the catalogue prove that nothing survives the statement: only plain
   * tables, only vetted functions, operators and types of PostgreSQL itself. Everything else needs the
   * careful way (a transaction that is rolled back, and a scrub).
   */
  readonly leavesNothing: boolean
  /** Changes the state of the session itself (SET, PREPARE, DECLARE…): runs only inside a named session. */
  readonly sessionState: boolean
  /** Relations the statement names, as `schema.name` where the catalogue knows them. */
  readonly relations: readonly string[]
  /** The text that was judged: what runs. */
  readonly sql: string
}

export interface JudgeOptions {
  /** Lets a single statement that is not a read through, as `access: 'write'`. For admins. */
  readonly writes?: boolean
}

export interface Gate {
  judge(sql: string, catalogue: GateCatalogue, options?: JudgeOptions): Result<Judged, Refusal>
}
