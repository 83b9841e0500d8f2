import { Fault } from '../lib/fault.ts'
import type { SpanOutcome, Tracing } from '../observe/tracing.ts'
import type { Rows } from './database.ts'
import type { OpenDatabases } from './open.ts'

/**
 * The same databases, with a span around every statement of a caller. It names the kind of statement and the
 * database: neither text nor values, which hold whatever the caller was asked about.
 */
export function traced(databases: OpenDatabases, tracing: Tracing): OpenDatabases {
  if (!tracing.on) return databases
  return {
    ...databases,
    async run(statement) {
      const span = tracing.begin({
        kind: 'client',
        name: statement.database ?? 'postgresql',
        parent: statement.trace,
        facts: { 'db.system.name': 'postgresql', 'db.namespace': statement.database },
      })
      try {
        const result = await databases.run(statement)
        span.end(
          result.ok
            ? outcomeOf(result.value)
            : { facts: { 'db.response.status_code': result.error.sqlstate }, error: result.error.code },
        )
        return result
      } catch (error) {
        span.end({ error: error instanceof Fault ? error.code : 'internal' })
        throw error
      }
    },
  }
}

/** `SELECT 3` says what ran; a portal that was cut off says nothing. */
function outcomeOf({ command, database, rows }: Rows): SpanOutcome {
  const operation = /^[A-Z]+/.exec(command)?.[0]
  return {
    name: operation === undefined ? database : `${operation} ${database}`,
    facts: {
      'db.operation.name': operation,
      'db.namespace': database,
      'db.response.returned_rows': rows.length,
    },
  }
}
