import type { ConnectionKind } from './connection.ts'
import type { Wrapping } from './exchange.ts'
import type { Judged } from './gate/judge.ts'

/** How one statement is run, once it is known on which connection. */
export interface Plan {
  readonly wrapping: Wrapping
  readonly scrub: boolean
  readonly limitRows: boolean
  readonly beyondBytes: 'stop' | 'skip'
}

/** What the connection is like. */
export interface Ground {
  readonly kind: ConnectionKind
  /** The connection belongs to a named session. */
  readonly session: boolean
  /** The server reports every change of the read-only default (PostgreSQL 14 and later). */
  readonly reportsReadOnly: boolean
}

const FAST: Plan = { wrapping: 'bare', scrub: false, limitRows: true, beyondBytes: 'stop' }
const CAREFUL: Plan = { wrapping: 'read-only', scrub: true, limitRows: true, beyondBytes: 'stop' }
const WRITE: Plan = { wrapping: 'bare', scrub: true, limitRows: false, beyondBytes: 'skip' }
/** A session keeps what its statements leave, and survives an answer that is too large. */
const inSession = (plan: Plan): Plan => ({ ...plan, scrub: false, beyondBytes: 'skip' })

/**
 * The second wall, chosen. A read runs bare only where the gate has proven that nothing survives it and
 * the connection would tell of a changed default; any other read gets a transaction of its own, whose mode
 * cannot be changed and which is rolled back. Reasons and figures: docs/decisions/0001-read-path.md.
 */
export function planStatement(judged: Judged, ground: Ground): Plan {
  const plan = withoutSession(judged, ground)
  return ground.session ? inSession(plan) : plan
}

function withoutSession(judged: Judged, { kind, reportsReadOnly }: Ground): Plan {
  if (judged.access === 'write') return WRITE
  return kind === 'read' && judged.leavesNothing && reportsReadOnly ? FAST : CAREFUL
}
