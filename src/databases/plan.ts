import type { ConnectionKind } from './connection.ts'
import type { Wrapping } from './exchange.ts'
import type { Judged } from './gate/judge.ts'

/** How one statement is run, once it is known on which connection. */
export interface Plan {
  readonly wrapping: Wrapping
  readonly scrub: boolean
  readonly beyond: 'cut' | 'drain'
}

/** What the connection is like. */
export interface Ground {
  readonly kind: ConnectionKind
  /** The connection belongs to a named session. */
  readonly session: boolean
  /** An admin's session has a transaction open. */
  readonly inTransaction: boolean
  /** The server reports every change of the read-only default (PostgreSQL 14 and later). */
  readonly reportsReadOnly: boolean
}

const FAST: Plan = { wrapping: 'bare', scrub: false, beyond: 'cut' }
const CAREFUL: Plan = { wrapping: 'read-only', scrub: true, beyond: 'cut' }
const CAREFUL_IN_SESSION: Plan = { wrapping: 'read-only', scrub: false, beyond: 'cut' }
const WRITE: Plan = { wrapping: 'bare', scrub: true, beyond: 'drain' }
const WRITE_IN_SESSION: Plan = { wrapping: 'bare', scrub: false, beyond: 'drain' }

/**
 * The second wall, chosen. A read runs bare only where the gate has proven that nothing survives it and
 * the connection would tell of a changed default; any other read gets a transaction of its own, whose mode
 * cannot be changed and which is rolled back. Reasons and figures: docs/decisions/0001-read-path.md.
 */
export function planStatement(judged: Judged, ground: Ground): Plan {
  if (ground.kind === 'read') {
    if (judged.leavesNothing && ground.reportsReadOnly) return FAST
    return ground.session ? CAREFUL_IN_SESSION : CAREFUL
  }
  if (!ground.session) return judged.access === 'read' ? CAREFUL : WRITE
  return judged.access === 'read' && !ground.inTransaction ? CAREFUL_IN_SESSION : WRITE_IN_SESSION
}
