import * as z from 'zod'
import type { Refusal } from '../../access/refusal.ts'
import type { Rows } from '../../databases/database.ts'
import type { SchemaCatalogue } from '../../databases/schema/catalogue.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { answerQuestion } from '../model/answer-question.ts'
import { readIntent } from '../model/intent.ts'
import { schemaExtract } from '../model/schema-extract.ts'
import type { CallContext, Tool, ToolResult } from '../tool.ts'
import { asReader } from './as-reader.ts'
import { databaseArgument, MOST_SQL_CHARS } from './arguments.ts'
import { defineTool } from './define.ts'
import { isOrdered, pageOf } from './page.ts'
import { paramsArgument } from './params.ts'
import type { BuiltinParts } from './parts.ts'
import { relationJson } from './relation-json.ts'
import { rowsText } from './rows-text.ts'

const MOST_OFFSET = 1_000_000_000

const input = z.strictObject({
  query: z
    .string()
    .min(1)
    .max(MOST_SQL_CHARS)
    .describe('One SQL statement that reads, or a question in words'),
  limit: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('Most rows to answer; the server has a cap of its own'),
  offset: z
    .int()
    .min(0)
    .max(MOST_OFFSET)
    .default(0)
    .describe('Rows to leave out first; needs ORDER BY to be reliable'),
  params: paramsArgument,
  session: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'use up to 64 letters, digits, dots, hyphens or underscores')
    .optional()
    .describe('Calls with the same name share one connection; without it nothing is kept between calls'),
  database: databaseArgument,
})

type Input = z.infer<typeof input>

const output = z.object({
  database: z.string(),
  sql: z.string().optional().describe('What ran, when the query was a question'),
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.array(z.unknown())),
  row_count: z.int(),
  truncated: z.boolean(),
  truncated_by: z.enum(['rows', 'bytes']).optional(),
  next_offset: z.int().optional().describe('Ask again with this offset for the next rows'),
  affected: z.int().optional().describe('Rows changed by a write'),
  duration_ms: z.number().optional(),
  needs_sql: z
    .boolean()
    .optional()
    .describe('True when a question was not answered: write SQL from schema and ask again'),
  message: z.string().optional(),
  schema: z.array(z.looseObject({ schema: z.string(), name: z.string() })).optional(),
})

export const queryDatabase = (parts: BuiltinParts): Tool =>
  defineTool(parts, {
    name: 'query_database',
    title: 'Query the database',
    description:
      'Run one read-only SQL statement (PostgreSQL: SELECT, VALUES, TABLE, EXPLAIN, SHOW) and answer its rows. Rows and time are capped; a cut answer says how to go on with offset. A question in words is answered with SQL written for it, or with the part of the schema it needs.',
    input,
    output,
    adminWrites: true,
    async run(args, database, context) {
      // Most calls are SQL: it runs at once, and only what cannot run is looked at again.
      const rows = await page(parts, args, database, context)
      if (rows.ok) return done(parts, rows.value, args, database, undefined)
      const catalogue = await asQuestion(parts, args.query, rows.error, database)
      return catalogue === null
        ? { outcome: 'refused', refusal: rows.error }
        : answer(parts, args, catalogue, database, context)
    },
  })

/** The schema to answer from, when the text that could not run is a question; otherwise `null`. */
async function asQuestion(
  parts: BuiltinParts,
  text: string,
  refused: Refusal,
  database: string,
): Promise<SchemaCatalogue | null> {
  if (refused.code !== 'sql_syntax' && refused.code !== 'sql_failed') return null
  const intent = readIntent(parts.parser, text)
  if (intent.kind === 'sql') return null
  const catalogue = await parts.schema.of(database)
  if (intent.kind === 'either' && catalogue.find(intent.name).length === 0) return null
  return catalogue
}

async function answer(
  parts: BuiltinParts,
  args: Input,
  catalogue: SchemaCatalogue,
  database: string,
  context: CallContext,
): Promise<ToolResult> {
  const extract = schemaExtract(catalogue, args.query)
  if (parts.model === null) {
    return askForSql(database, extract, 'No language model is configured here to answer questions.')
  }
  const answered = await answerQuestion({
    question: args.query,
    extract,
    model: parts.model,
    run: async (sql) =>
      page(parts, { ...args, query: sql, params: undefined }, database, {
        ...context,
        caller: asReader(context.caller),
      }),
    signal: context.signal,
  })
  if (answered.outcome === 'rows') return done(parts, answered.rows, args, database, answered.sql)
  if (answered.outcome === 'no_sql') return askForSql(database, extract, answered.reason)
  return { outcome: 'refused', refusal: answered.refusal }
}

/** The rows from `offset` on, as many as the caller may have. */
async function page(
  parts: BuiltinParts,
  args: Input,
  database: string,
  { caller, signal, trace }: CallContext,
): Promise<Result<Rows, Refusal>> {
  const limit = Math.min(args.limit ?? parts.limits.rows, parts.limits.rows)
  const prepared =
    args.offset === 0
      ? ok({ sql: args.query, skip: 0, shift: 0 })
      : pageOf(parts.parser, args.query, args.offset)
  if (!prepared.ok) return prepared
  const { sql, skip, shift } = prepared.value
  const answer = await parts.databases.run({
    caller,
    database,
    sql,
    ...(args.params === undefined ? {} : { params: args.params }),
    ...(args.session === undefined ? {} : { session: args.session }),
    maxRows: Math.min(limit + skip, parts.limits.rows),
    maxBytes: parts.limits.resultBytes,
    signal,
    trace,
  })
  if (!answer.ok) return err(atOwnPlace(answer.error, shift))
  return skip === 0 ? answer : ok({ ...answer.value, rows: answer.value.rows.slice(skip) })
}

function atOwnPlace(refused: Refusal, shift: number): Refusal {
  return refused.position === undefined
    ? refused
    : { ...refused, position: Math.max(1, refused.position - shift) }
}

function done(
  parts: BuiltinParts,
  rows: Rows,
  args: Input,
  database: string,
  sql: string | undefined,
): ToolResult {
  const count = rows.rows.length
  const nextOffset = rows.truncated && count > 0 ? args.offset + count : undefined
  const lines: string[] = []
  if (sql !== undefined) lines.push(`SQL: ${sql}`, '')
  if (rows.columns.length > 0) lines.push(rowsText(rows))
  if (rows.columns.length === 0 && rows.command !== '') lines.push(`(${rows.command})`)
  else
    lines.push(
      rows.truncated
        ? truncatedNote(rows, nextOffset, isOrdered(parts.parser, sql ?? args.query))
        : `(${count} ${count === 1 ? 'row' : 'rows'})`,
    )
  return {
    outcome: 'done',
    content: [{ type: 'text', text: lines.join('\n') }],
    structured: {
      database,
      ...(sql === undefined ? {} : { sql }),
      columns: rows.columns.map(({ name, type }) => ({ name, type })),
      rows: rows.rows,
      row_count: count,
      truncated: rows.truncated,
      ...(rows.truncatedBy === undefined ? {} : { truncated_by: rows.truncatedBy }),
      ...(nextOffset === undefined ? {} : { next_offset: nextOffset }),
      ...(rows.affected === undefined ? {} : { affected: rows.affected }),
      duration_ms: Math.round(rows.durationMs * 1000) / 1000,
    },
    rowCount: count,
  }
}

function truncatedNote(rows: Rows, nextOffset: number | undefined, ordered: boolean): string {
  if (nextOffset === undefined)
    return '… truncated: the first row alone is larger than an answer may be; ask for fewer columns'
  const order = ordered ? '' : ', and add ORDER BY so that no row is missed'
  return `… truncated at ${rows.rows.length} rows${rows.truncatedBy === 'bytes' ? ' by size' : ''}; ask again with offset=${nextOffset}${order}`
}

/** A question that nobody here turns into SQL is answered with what its asker needs to do so. */
function askForSql(database: string, extract: ReturnType<typeof schemaExtract>, why: string): ToolResult {
  const message = `${why} Write one SQL statement from this part of the schema and call query_database again.`
  return {
    outcome: 'done',
    content: [{ type: 'text', text: `${message}\n\n${extract.text}` }],
    structured: {
      database,
      columns: [],
      rows: [],
      row_count: 0,
      truncated: false,
      needs_sql: true,
      message,
      schema: extract.relations.map((relation) => relationJson(relation)),
    },
    rowCount: 0,
  }
}
