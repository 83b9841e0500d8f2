import { type Refusal, refusal } from '../access/refusal.ts'
import type { Statement } from './database.ts'
import type { Judged } from './gate/judge.ts'
import { SESSION_NAME } from './session.ts'

/** Bind counts its values in 16 bits (PostgreSQL manual, "Message Formats"). */
const MOST_PARAMETERS = 65_535

/** What can be said of a statement before anything reads it; `null` when nothing is wrong. */
export function checkStatement({ sql, params, session }: Statement): Refusal | null {
  // A NUL ends the text of a Parse message: what follows would be read as protocol, unjudged. An unpaired
  // surrogate becomes another character on the way, so that what runs is not what was judged.
  if (sql.includes('\0') || !sql.isWellFormed()) {
    return refusal('sql_refused', 'sql.text', 'the statement holds a NUL or half a character', {
      allowed: 'text in UTF-8 without NUL',
    })
  }
  if (params !== undefined && params.length > MOST_PARAMETERS) {
    return refusal('invalid_arguments', 'sql.parameters', `${params.length} bound values are too many`, {
      allowed: `${MOST_PARAMETERS} bound values`,
    })
  }
  if (session !== undefined && !SESSION_NAME.test(session)) {
    return refusal('invalid_arguments', 'session.name', 'that is not a name for a session', {
      allowed: '1 to 64 of the characters A-Z a-z 0-9 . _ -',
    })
  }
  return null
}

/** Whether the statement's level lets it run once the gate has said what it is; `null` when it may. */
export function checkJudged(judged: Judged, { caller, session }: Statement): Refusal | null {
  if (judged.access === 'read') return null
  const { level } = caller.grant
  const node = judged.statement
  if (level === 'read-only') {
    return refusal(
      'level_too_low',
      'level',
      'writing needs level read-write, this credential has read-only',
      {
        allowed: 'statements that only read',
        node,
      },
    )
  }
  if (level === 'read-write') {
    return refusal(
      'write_needs_confirmation',
      'confirmation',
      'writes by a read-write credential need a confirmation, which this version cannot ask for yet; reads work, and an admin credential may write',
      { allowed: 'statements that only read', node },
    )
  }
  if (session === undefined && judged.sessionState) {
    return refusal(
      'sql_refused',
      'session.needed',
      'the statement changes its connection only, and without a session that ends with the call',
      { allowed: 'the same statement with a session name', node },
    )
  }
  return null
}
