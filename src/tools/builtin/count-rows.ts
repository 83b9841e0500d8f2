import * as z from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Parser } from '../../databases/gate/parse.ts'
import type { Relation } from '../../databases/schema/relation.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Tool } from '../tool.ts'
import { asReader } from './as-reader.ts'
import { databaseArgument, identifierArgument } from './arguments.ts'
import { defineTool } from './define.ts'
import { findRelation, quoteName } from './find-relation.ts'
import type { BuiltinParts } from './parts.ts'

const input = z
  .strictObject({
    table: identifierArgument.optional().describe('Table or view, as name or schema.name'),
    table_name: identifierArgument.optional().describe('The same as table'),
    schema_name: identifierArgument.optional().describe('Its schema'),
    where: z
      .string()
      .min(1)
      .max(10_000)
      .optional()
      .describe("SQL condition on its columns, such as status = 'shipped'"),
    database: databaseArgument,
  })
  .refine((args) => (args.table === undefined) !== (args.table_name === undefined), {
    message: 'give the table to count, as "table" or "table_name"',
  })

const output = z.object({
  database: z.string(),
  table: z.string(),
  count: z.int(),
  where: z.string().optional(),
})

export const countRows = (parts: BuiltinParts): Tool =>
  defineTool(parts, {
    name: 'count_rows',
    title: 'Count rows',
    description: 'Count the rows of a table or view, all or those that meet a condition.',
    input,
    output,
    async run({ table, table_name, schema_name: schema, where }, database, { caller, signal, trace }) {
      const found = findRelation(await parts.schema.of(database), table ?? table_name ?? '', schema)
      if (!found.ok) return { outcome: 'refused', refusal: found.error }
      const sql = countStatement(parts.parser, found.value, where)
      if (!sql.ok) return { outcome: 'refused', refusal: sql.error }
      const answer = await parts.databases.run({
        caller: asReader(caller),
        database,
        sql: sql.value,
        maxRows: 1,
        signal,
        trace,
      })
      if (!answer.ok) return { outcome: 'refused', refusal: answer.error }
      const count = Number(answer.value.rows[0]?.[0])
      const name = `${found.value.schema}.${found.value.name}`
      return {
        outcome: 'done',
        content: [
          { type: 'text', text: `${count} rows in ${name}${where === undefined ? '' : ` where ${where}`}` },
        ],
        structured: { database, table: name, count, ...(where === undefined ? {} : { where }) },
        rowCount: 1,
      }
    },
  })

/**
 * The statement that counts. A condition is text from a caller: the parsed statement must be a count of that
 * one table with a WHERE and nothing else, so that `true) UNION SELECT …` or a closing comment cannot
 * turn it into another. The gate judges it afterwards like any other.
 */
export function countStatement(
  parser: Pick<Parser, 'parse'>,
  relation: Pick<Relation, 'schema' | 'name'>,
  where: string | undefined,
): Result<string, Refusal> {
  const counting = `SELECT count(*) FROM ${quoteName(relation)}`
  if (where === undefined) return ok(counting)
  const sql = `${counting} WHERE (\n${where}\n)`
  const parsed = parser.parse(sql)
  if (!parsed.ok) return parsed
  const plain = parser.parse(`${counting} WHERE (\ntrue\n)`)
  if (!plain.ok) return plain
  return shape(parsed.value) === shape(plain.value)
    ? ok(sql)
    : err(
        refusal(
          'invalid_arguments',
          'arguments',
          'argument "where" must be one condition, without WHERE or any other clause',
          {
            allowed: "a condition such as status = 'shipped' AND customer_id = 7",
          },
        ),
      )
}

/** A parsed statement without its condition and without places in the text. */
function shape(tree: unknown): string {
  return JSON.stringify(tree, (key, value: unknown) =>
    key === 'whereClause'
      ? true
      : key === 'location' || key === 'stmt_len' || key === 'stmt_location'
        ? undefined
        : value,
  )
}
