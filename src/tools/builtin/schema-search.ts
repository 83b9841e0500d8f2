import * as z from 'zod'
import type { Tool } from '../tool.ts'
import { databaseArgument } from './arguments.ts'
import { defineTool } from './define.ts'
import { fitting } from './fitting.ts'
import type { BuiltinParts } from './parts.ts'
import { relationJson, relationSchema } from './relation-json.ts'
import { relationText } from './relation-text.ts'

const DEFAULT_MATCHES = 8

const input = z.strictObject({
  query: z.string().min(1).max(1_000).describe('Words to look for, such as "customer" or "late deliveries"'),
  limit: z.int().min(1).max(50).default(DEFAULT_MATCHES).describe('Most tables to answer'),
  database: databaseArgument,
})

const output = z.object({
  database: z.string(),
  matches: z.array(relationSchema.extend({ score: z.number(), reasons: z.array(z.string()) })),
})

export const schemaSearch = (parts: BuiltinParts): Tool =>
  defineTool(parts, {
    name: 'schema_search',
    title: 'Search the schema',
    description:
      'Find tables and views by words in their names, columns, comments and keys. Finds parts of words and misspelt ones. Answers the best matches with columns, types, keys and joins: enough to write SQL. Use it first when you do not know the schema.',
    input,
    output,
    async run({ query, limit }, database) {
      const catalogue = await parts.schema.of(database)
      const matches = fitting(
        catalogue.search(query, limit),
        parts.limits.resultBytes,
        ({ relation }) => relationText(relation).length,
      )
      const text =
        matches.length === 0
          ? `Nothing in ${database} matches. Try other words, or get_schema_info for all of it.`
          : matches
              .map(({ relation, reasons }) => `${relationText(relation)}\n  (found by ${reasons.join('; ')})`)
              .join('\n\n')
      return {
        outcome: 'done',
        content: [{ type: 'text', text }],
        structured: {
          database,
          matches: matches.map(({ relation, score, reasons }) => ({
            ...relationJson(relation),
            score,
            reasons: [...reasons],
          })),
        },
        rowCount: matches.length,
      }
    },
  })
