import { z } from 'zod'
import { OWN_SERVER } from '../access/decide.ts'
import type { Databases, Rows } from '../databases/database.ts'
import { LONGEST_SQL_BYTES } from '../databases/gate/parse.ts'
import { err, ok } from '../lib/result.ts'
import type { Tool } from './tool.ts'

/** A value that can be bound: PostgreSQL reads it as text of the type that the statement wants. */
const VALUE = z.union([z.string(), z.number(), z.boolean(), z.null()])

export const SQL_ARGUMENTS = z.strictObject({
  sql: z
    .string()
    .min(1)
    .max(LONGEST_SQL_BYTES)
    .describe(`One SQL statement of at most ${LONGEST_SQL_BYTES} bytes; bind long values as parameters`),
  params: z.array(VALUE).max(65_535).optional().describe('Values for $1, $2, …'),
  database: z.string().min(1).max(128).optional().describe('A database by name; the default one when absent'),
})

export const SQL_RESULT = z.object({
  database: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.array(z.unknown())),
  row_count: z.int(),
  truncated: z.boolean(),
  truncated_by: z.enum(['rows', 'bytes']).optional(),
  command: z.string(),
  /** Rows changed by a write. */
  affected: z.int().optional(),
  duration_ms: z.number(),
})

/** Plain SQL for scripts: unlike `query_database` it never takes its text for a question. */
export function runSqlTool(
  databases: Pick<Databases, 'resolve' | 'run'>,
  limits: { readonly rows: number; readonly resultBytes: number },
): Tool {
  return {
    rule: { name: 'sql', server: OWN_SERVER, level: 'read-only', scopes: [], needsDatabase: true },
    title: 'Run SQL',
    description: 'Runs one SQL statement and answers with its rows.',
    inputSchema: z.toJSONSchema(SQL_ARGUMENTS, { io: 'input' }),
    outputSchema: z.toJSONSchema(SQL_RESULT),
    annotations: { openWorldHint: false },
    parse(args) {
      const parsed = SQL_ARGUMENTS.safeParse(args)
      if (!parsed.success) return err(z.prettifyError(parsed.error))
      const { sql, params, database } = parsed.data
      return ok({
        ...(database === undefined ? {} : { database }),
        async run({ caller, signal, trace }) {
          const resolved = databases.resolve(caller, database)
          if (!resolved.ok) return { outcome: 'refused', refusal: resolved.error }
          const target = resolved.value
          const result = await databases.run({
            caller,
            database: target,
            sql,
            ...(params === undefined ? {} : { params }),
            maxRows: limits.rows,
            maxBytes: limits.resultBytes,
            signal,
            trace,
          })
          if (!result.ok) return { outcome: 'refused', refusal: result.error, target }
          const structured = rowsJson(result.value)
          return { outcome: 'done', content: [], structured, rowCount: structured.row_count, target }
        },
      })
    },
  }
}

function rowsJson(rows: Rows): z.input<typeof SQL_RESULT> {
  return {
    database: rows.database,
    columns: rows.columns.map(({ name, type }) => ({ name, type })),
    rows: rows.rows.map((row) => [...row]),
    row_count: rows.rows.length,
    truncated: rows.truncated,
    ...(rows.truncatedBy === undefined ? {} : { truncated_by: rows.truncatedBy }),
    command: rows.command,
    ...(rows.affected === undefined ? {} : { affected: rows.affected }),
    duration_ms: rows.durationMs,
  }
}
