import { type Refusal, refusal } from '../access/refusal.ts'
import { stopRefusal } from '../access/stop-refusal.ts'
import { Fault } from '../lib/fault.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Answer, EndedBy } from './exchange.ts'
import type { ServerError } from './server-error.ts'

/** What must be known to say in words what an answer means. */
export interface AnswerContext {
  readonly database: string
  readonly role: string
  readonly access: 'read' | 'write'
  readonly statementTimeoutMs: number
  readonly maxBytes: number
  readonly durationMs: number
  /** The answer was taken row by row: how long the server may have been silent. */
  readonly silenceMs?: number
}

export type AnsweredRows = Extract<Answer, { kind: 'rows' }>

const QUERY_CANCELED = '57014'
const READ_ONLY_TRANSACTION = '25006'
const INSUFFICIENT_PRIVILEGE = '42501'
/**
 * The server stops, crashed or cannot answer now; SQLSTATE class 08 is about the connection, but for 08P01,
 * which a caller gets by giving another number of values than the statement has.
 */
const SERVER_GONE = /^(?:57P0[1-5]|08(?!P01)...)$/

/** Turns an answer into rows or a refusal. Throws `Fault` (`database_unavailable`) where the server failed. */
export function judgeAnswer(answer: Answer, context: AnswerContext): Result<AnsweredRows, Refusal> {
  switch (answer.kind) {
    case 'rows':
      return ok(answer)
    case 'error':
      return err(judgeError(answer.error, context))
    case 'too_large':
      return err(
        refusal(
          'result_too_large',
          'limit.bytes',
          `not even the first row fits into the ${context.maxBytes} bytes that one answer may have`,
          { allowed: 'select fewer or shorter columns, for example with left(column, 1000)' },
        ),
      )
    case 'ended':
      if (answer.by === 'deadline' && context.silenceMs !== undefined) return err(tooSlow(context))
      if (answer.by === 'deadline') throw noAnswer(context)
      return err(endedRefusal(answer.by))
    case 'changed':
      return err(
        refusal(
          'sql_refused',
          'read_only.settings',
          `the statement changed the setting ${answer.parameter}, which guards read-only access; its connection was closed`,
        ),
      )
    case 'lost':
      break
  }
  throw lost(answer.error, context)
}

/** What a caller is told whose wait or statement was ended from this side. */
export function endedRefusal(by: EndedBy): Refusal {
  if (by === 'session')
    return refusal('session_unknown', 'session.lost', 'the session ended while this call waited for it')
  if (by === 'deadline') return refusal('sql_timeout', 'limit.time', 'the statement took too long')
  return stopRefusal(by)
}

function tooSlow({ silenceMs = 0, statementTimeoutMs }: AnswerContext): Refusal {
  return refusal(
    'sql_timeout',
    'limit.time',
    `the statement was stopped: for ${silenceMs / 1000} s it gave no row, or its rows took longer than ${statementTimeoutMs / 1000} s in all`,
    { allowed: 'narrow it with WHERE or LIMIT, or read the rows faster' },
  )
}

function judgeError(error: ServerError, context: AnswerContext): Refusal {
  const { sqlstate, message, position, hint } = error
  if (SERVER_GONE.test(sqlstate)) throw lost(error, context)
  const detail = { sqlstate, ...(position === null ? {} : { position }), ...(hint === null ? {} : { hint }) }
  // The wording is in the server's language; the time tells a timeout from somebody's pg_cancel_backend.
  if (sqlstate === QUERY_CANCELED && context.durationMs >= context.statementTimeoutMs * 0.9) {
    return refusal(
      'sql_timeout',
      'limit.time',
      `the statement was stopped after ${context.statementTimeoutMs / 1000} s, the limit for one statement`,
      { allowed: 'narrow it with WHERE or LIMIT, or aggregate over less' },
    )
  }
  if (sqlstate === READ_ONLY_TRANSACTION) {
    return refusal('sql_refused', 'read_only.transaction', `PostgreSQL refused a write: ${message}`, {
      ...detail,
      allowed: 'statements that only read',
    })
  }
  if (sqlstate === INSUFFICIENT_PRIVILEGE) {
    return refusal(
      'sql_failed',
      'database.permission',
      `database role "${context.role}" may not do that: ${message}`,
      { ...detail, allowed: grantedTo(context.role) },
    )
  }
  const place = position === null ? '' : ` at character ${position}`
  return refusal('sql_failed', 'database.error', `${message} (SQLSTATE ${sqlstate}${place})`, {
    ...detail,
    ...(hint === null ? {} : { allowed: hint }),
  })
}

/** The roles of tenants are Postern's own: what they may reach is decided by `postern database protect`. */
const grantedTo = (role: string): string =>
  /_[rw]_[0-9a-f]{32}$/.test(role)
    ? 'rows of your own tenant, in tables that were protected or shared; "postern database protect" takes in new tables'
    : 'what the role was granted; whoever runs the database can grant more'

const uncertain = (context: AnswerContext): string =>
  context.access === 'write' ? '; whether the write took effect is not known' : ''

function lost(error: ServerError | null, context: AnswerContext): Fault {
  return new Fault(
    'database_unavailable',
    `the connection to database "${context.database}" was lost while the statement ran${uncertain(context)}`,
    { retryAfterS: 2, ...(error === null ? {} : { cause: new Error(error.message) }) },
  )
}

function noAnswer(context: AnswerContext): Fault {
  return new Fault(
    'database_unavailable',
    `database "${context.database}" did not answer in time${uncertain(context)}`,
    { retryAfterS: 2 },
  )
}
