import * as z from 'zod'
import type { Relation } from '../../databases/schema/relation.ts'

const names = z.array(z.string())

const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.boolean().optional(),
  default: z.string().optional(),
  comment: z.string().optional(),
  values: names.optional(),
})

/** A relation as the tools answer it. What is empty is left out. */
export const relationSchema = z.object({
  schema: z.string(),
  name: z.string(),
  kind: z.string(),
  comment: z.string().optional(),
  estimated_rows: z.number().optional(),
  columns: z.array(columnSchema),
  primary_key: names.optional(),
  unique_keys: z.array(names).optional(),
  foreign_keys: z
    .array(
      z.object({
        columns: names,
        references: z.object({ schema: z.string(), table: z.string(), columns: names }),
      }),
    )
    .optional(),
  referenced_by: z
    .array(z.object({ schema: z.string(), table: z.string(), columns: names, to: names }))
    .optional(),
})

export type RelationJson = z.infer<typeof relationSchema>

export function relationJson(relation: Relation, compact = false): RelationJson {
  const base = {
    schema: relation.schema,
    name: relation.name,
    kind: relation.kind,
    ...(relation.comment === null ? {} : { comment: relation.comment }),
    ...(relation.estimatedRows === null ? {} : { estimated_rows: relation.estimatedRows }),
  }
  if (compact) {
    const columns = relation.columns.map(({ name, type }) => ({ name, type }))
    return { ...base, columns }
  }
  const { primaryKey, uniqueKeys, foreignKeys, referencedBy } = relation
  return {
    ...base,
    columns: relation.columns.map((column) => ({
      name: column.name,
      type: column.type,
      nullable: column.nullable,
      ...(column.default === null ? {} : { default: column.default }),
      ...(column.comment === null ? {} : { comment: column.comment }),
      ...(column.values === undefined ? {} : { values: [...column.values] }),
    })),
    ...(primaryKey.length === 0 ? {} : { primary_key: [...primaryKey] }),
    ...(uniqueKeys.length === 0 ? {} : { unique_keys: uniqueKeys.map((key) => [...key]) }),
    ...(foreignKeys.length === 0
      ? {}
      : {
          foreign_keys: foreignKeys.map(({ columns, target }) => ({
            columns: [...columns],
            references: { schema: target.schema, table: target.name, columns: [...target.columns] },
          })),
        }),
    ...(referencedBy.length === 0
      ? {}
      : {
          referenced_by: referencedBy.map(({ columns, source }) => ({
            schema: source.schema,
            table: source.name,
            columns: [...source.columns],
            to: [...columns],
          })),
        }),
  }
}
