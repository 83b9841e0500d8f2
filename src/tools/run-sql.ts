import { z } from 'zod'
import { OWN_SERVER } from '../access/decide.ts'
import type { Databases, StreamedRows, StreamedStatement } from '../databases/database.ts'
import { LONGEST_SQL_BYTES } from '../databases/gate/parse.ts'
import type { RowSink } from '../databases/rows/row-sink.ts'
import { err, ok } from '../lib/result.ts'
import type { Tool } from './tool.ts'

/** A whole number that JSON readers round has been rounded already: binding it would be quietly wrong. */
const NUMBER = z
  .number()
  .refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value) || Math.abs(value) > 1e21, {
    error: 'a whole number beyond ±9,007,199,254,740,991 loses digits: send it as a string',
  })

/** A value that can be bound: PostgreSQL reads it as text of the type that the statement wants. */
const VALUE = z.union([
  z.string().refine((text) => text.isWellFormed() && !text.includes('\0'), {
    error: 'holds a NUL or half a character, which no PostgreSQL text can',
  }),
  NUMBER,
  z.boolean(),
  z.null(),
  z.array(z.unknown()),
  z.record(z.string(), z.unknown()),
])

export const SQL_ARGUMENTS = z.strictObject({
  sql: z
    .string()
    .min(1)
    .max(LONGEST_SQL_BYTES)
    .describe(`One SQL statement of at most ${LONGEST_SQL_BYTES} bytes; bind long values as parameters`),
  params: z
    .array(VALUE)
    .max(65_535)
    .optional()
    .describe('Values for $1, $2, …: a list becomes an array, an object becomes JSON'),
  database: z.string().min(1).max(128).optional().describe('A database by name; the default one when absent'),
  session: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'use up to 64 letters, digits, dots, hyphens or underscores')
    .optional()
    .describe('Calls with the same name share one connection; without it nothing is kept between calls'),
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

/** Everything of an answer but its rows. */
export type SqlFacts = Omit<z.input<typeof SQL_RESULT>, 'rows'>

/** The arguments as the wire hands them on: those of the caller, and where the rows are to go. */
const STREAMED = SQL_ARGUMENTS.extend({
  into: z.custom<RowSink>((value) => typeof value === 'object' && value !== null),
  bounds: z.enum(['answer', 'stream']),
})

export type StreamedSql = z.input<typeof SQL_ARGUMENTS> & Pick<StreamedStatement, 'into' | 'bounds'>

const INPUT_SCHEMA = z.toJSONSchema(SQL_ARGUMENTS, { io: 'input' })
const OUTPUT_SCHEMA = z.toJSONSchema(SQL_RESULT)

/**
 * Plain SQL for scripts: unlike `query_database` it never takes its text for a question, and it hands the rows
 * on while they come. Its structured result is `SqlFacts`.
 */
export function runSqlTool(databases: Pick<Databases, 'resolve' | 'stream'>): Tool {
  return {
    rule: { name: 'sql', server: OWN_SERVER, level: 'read-only', scopes: [], needsDatabase: true },
    title: 'Run SQL',
    description: 'Runs one SQL statement and answers with its rows.',
    inputSchema: INPUT_SCHEMA,
    outputSchema: OUTPUT_SCHEMA,
    annotations: { openWorldHint: false },
    parse(args) {
      const parsed = STREAMED.safeParse(args)
      if (!parsed.success) return err(z.prettifyError(parsed.error))
      const { sql, params, database, session, into, bounds } = parsed.data
      return ok({
        ...(database === undefined ? {} : { database }),
        async run({ caller, signal, trace }) {
          const resolved = databases.resolve(caller, database)
          if (!resolved.ok) return { outcome: 'refused', refusal: resolved.error }
          const target = resolved.value
          const result = await databases.stream({
            caller,
            database: target,
            sql,
            ...(params === undefined ? {} : { params }),
            ...(session === undefined ? {} : { session }),
            into,
            bounds,
            signal,
            trace,
          })
          if (!result.ok) return { outcome: 'refused', refusal: result.error, target }
          const structured = factsJson(result.value)
          return { outcome: 'done', content: [], structured, rowCount: structured.row_count, target }
        },
      })
    },
  }
}

function factsJson(rows: StreamedRows): SqlFacts {
  return {
    database: rows.database,
    columns: rows.columns.map(({ name, type }) => ({ name, type })),
    row_count: rows.rowCount,
    truncated: rows.truncated,
    ...(rows.truncatedBy === undefined ? {} : { truncated_by: rows.truncatedBy }),
    command: rows.command,
    ...(rows.affected === undefined ? {} : { affected: rows.affected }),
    duration_ms: rows.durationMs,
  }
}
