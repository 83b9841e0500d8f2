import * as z from 'zod'
import type { Tool } from '../tool.ts'
import { asReader } from './as-reader.ts'
import { databaseArgument, MOST_SQL_CHARS } from './arguments.ts'
import { defineTool } from './define.ts'
import { ownExplain } from './own-explain.ts'
import type { BuiltinParts } from './parts.ts'
import { paramsArgument } from './params.ts'

const input = z.strictObject({
  query: z.string().min(1).max(MOST_SQL_CHARS).describe('One SELECT statement'),
  analyze: z.boolean().default(false).describe('Run it, to see real times and rows instead of estimates'),
  params: paramsArgument,
  database: databaseArgument,
})

const output = z.object({
  database: z.string(),
  analyzed: z.boolean(),
  plan: z.string(),
  truncated: z.boolean(),
})

export const executeExplain = (parts: BuiltinParts): Tool =>
  defineTool(parts, {
    name: 'execute_explain',
    title: 'Explain a query',
    description:
      "Show PostgreSQL's plan for a SELECT: which indexes it uses, estimated rows and cost. With analyze it also runs the query, without returning its rows.",
    input,
    output,
    async run({ query, analyze, params }, database, { caller, signal, trace }) {
      // Somebody who wrote EXPLAIN themselves gets what they wrote; the gate judges either.
      const own = ownExplain(parts.parser, query)
      // Options in parentheses, so that a query cannot begin with options of its own.
      const prefix = analyze
        ? 'EXPLAIN (ANALYZE, BUFFERS)'
        : // Where tenants share a database, estimates tell one the values of another.
          `EXPLAIN (COSTS ${parts.databases.tenantView(database) === null ? 'on' : 'off'})`
      const answer = await parts.databases.run({
        caller: asReader(caller),
        database,
        sql: own ? query : `${prefix}\n${query}`,
        ...(params === undefined ? {} : { params }),
        maxRows: parts.limits.rows,
        signal,
        trace,
      })
      if (!answer.ok) return { outcome: 'refused', refusal: answer.error }
      const lines = answer.value.rows.map(([line]) =>
        typeof line === 'string' ? line : JSON.stringify(line),
      )
      const plan = lines.join('\n')
      const { truncated } = answer.value
      return {
        outcome: 'done',
        content: [{ type: 'text', text: truncated ? `${plan}\n… truncated at ${lines.length} lines` : plan }],
        structured: { database, analyzed: own?.analyzes ?? analyze, plan, truncated },
        rowCount: lines.length,
      }
    },
  })
