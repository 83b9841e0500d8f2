import * as z from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { SchemaCatalogue } from '../../databases/schema/catalogue.ts'
import type { Relation } from '../../databases/schema/relation.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Tool } from '../tool.ts'
import { databaseArgument, identifierArgument } from './arguments.ts'
import { defineTool } from './define.ts'
import { findRelation } from './find-relation.ts'
import { fitting } from './fitting.ts'
import type { BuiltinParts } from './parts.ts'
import { relationJson, relationSchema } from './relation-json.ts'
import { compactText, relationText } from './relation-text.ts'

/** Of both forms of the answer, so that a large schema does not fill a model's context. */
const MOST_DETAILED = 40
const MOST_COMPACT = 300

const input = z.strictObject({
  schema_name: identifierArgument.optional().describe('Only this schema'),
  table_name: identifierArgument.optional().describe('Only this table or view, in full detail'),
  compact: z.boolean().optional().describe('Names of tables and columns only; saves most of the words'),
  database: databaseArgument,
})

const output = z.object({
  database: z.string(),
  tables: z.array(relationSchema),
  total: z.int(),
  truncated: z.boolean(),
  compact: z.boolean(),
})

export const getSchemaInfo = (parts: BuiltinParts): Tool =>
  defineTool(parts, {
    name: 'get_schema_info',
    title: 'Describe the schema',
    description: `Describe tables and views: columns, types, keys, comments, estimated rows. Without arguments all of them (compact when there are more than ${MOST_DETAILED}); narrow it by schema_name or table_name. In a large schema use schema_search instead.`,
    input,
    output,
    async run({ schema_name: schema, table_name: table, compact: wanted }, database) {
      const catalogue = await parts.schema.of(database)
      const chosen = choose(catalogue, schema, table)
      if (!chosen.ok) return { outcome: 'refused', refusal: chosen.error }
      const all = chosen.value
      const compact = wanted ?? all.length > MOST_DETAILED
      const few = all.slice(0, compact ? MOST_COMPACT : MOST_DETAILED)
      const shown = fitting(few, parts.limits.resultBytes, (relation) => relationText(relation).length)
      const truncated = shown.length < all.length || (table === undefined && catalogue.incomplete)
      const lines = shown.map(compact ? compactText : relationText)
      if (lines.length === 0) lines.push(`There is no table or view in ${database} that may be read.`)
      if (truncated) {
        lines.push(
          `… ${shown.length} of ${all.length} tables: give schema_name or table_name${compact ? '' : ', compact: true'}, or use schema_search`,
        )
      }
      return {
        outcome: 'done',
        content: [{ type: 'text', text: lines.join(compact ? '\n' : '\n\n') }],
        structured: {
          database,
          tables: shown.map((relation) => relationJson(relation, compact)),
          total: all.length,
          truncated,
          compact,
        },
        rowCount: shown.length,
      }
    },
  })

function choose(
  catalogue: SchemaCatalogue,
  schema: string | undefined,
  table: string | undefined,
): Result<readonly Relation[], Refusal> {
  if (table !== undefined) {
    const found = findRelation(catalogue, table, schema)
    return found.ok ? ok([found.value]) : found
  }
  if (schema === undefined) return ok(catalogue.relations)
  const inSchema = catalogue.relations.filter((relation) => relation.schema === schema)
  if (inSchema.length > 0) return ok(inSchema)
  const schemas = [...new Set(catalogue.relations.map((relation) => relation.schema))].slice(0, 20)
  return err(
    refusal(
      'not_found',
      'schema',
      `there is no table in a schema "${schema}" that may be read; there is ${schemas.join(', ') || 'none'}`,
      { candidates: schemas },
    ),
  )
}
