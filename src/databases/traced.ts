import { Fault } from '../lib/fault.ts'
import type { SpanOutcome, Tracing } from '../observe/tracing.ts'
import type { Refusal } from '../access/refusal.ts'
import type { Result } from '../lib/result.ts'
import type { Rows, Statement, StreamedRows } from './database.ts'
import type { OpenDatabases } from './open.ts'

/**
 * The same databases, with a span around every statement of a caller. It names the kind of statement and the
 * database: neither text nor values, which hold whatever the caller was asked about.
 */
export function traced(databases: OpenDatabases, tracing: Tracing): OpenDatabases {
  if (!tracing.on) return databases
  return {
    ...databases,
    run: (statement) =>
      within(
        statement,
        (result: Rows) => result.rows.length,
        (each) => databases.run(each),
      ),
    stream: (statement) =>
      within(
        statement,
        (result: StreamedRows) => result.rowCount,
        (each) => databases.stream(each),
      ),
  }

  async function within<S extends Statement, R extends Omit<Rows, 'rows'>>(
    statement: S,
    rowCount: (result: R) => number,
    run: (statement: S) => Promise<Result<R, Refusal>>,
  ): Promise<Result<R, Refusal>> {
    const span = tracing.begin({
      kind: 'client',
      name: statement.database ?? 'postgresql',
      parent: statement.trace,
      facts: { 'db.system.name': 'postgresql', 'db.namespace': statement.database },
    })
    try {
      const result = await run(statement)
      span.end(
        result.ok
          ? outcomeOf(result.value, rowCount(result.value))
          : { facts: { 'db.response.status_code': result.error.sqlstate }, error: result.error.code },
      )
      return result
    } catch (error) {
      span.end({ error: error instanceof Fault ? error.code : 'internal' })
      throw error
    }
  }
}

/** `SELECT 3` says what ran; a portal that was cut off says nothing. */
function outcomeOf({ command, database }: Pick<Rows, 'command' | 'database'>, rowCount: number): SpanOutcome {
  const operation = /^[A-Z]+/.exec(command)?.[0]
  return {
    name: operation === undefined ? database : `${operation} ${database}`,
    facts: {
      'db.operation.name': operation,
      'db.namespace': database,
      'db.response.returned_rows': rowCount,
    },
  }
}
