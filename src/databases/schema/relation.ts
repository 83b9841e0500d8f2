/** One column of a relation, as somebody who writes SQL needs to know it. */
export interface SchemaColumn {
  readonly name: string
  /** As PostgreSQL writes it: `numeric(12,2)`, `timestamp with time zone`. */
  readonly type: string
  readonly nullable: boolean
  /** SQL of the default; `null` without one. */
  readonly default: string | null
  readonly comment: string | null
  /** Values of an enum type, in their order. */
  readonly values?: readonly string[]
}

/** A foreign key: `columns` of this relation lead to `targetColumns` of another. */
export interface ForeignKey {
  readonly columns: readonly string[]
  readonly target: { readonly schema: string; readonly name: string; readonly columns: readonly string[] }
}

/** The same key, seen from the relation it leads to. */
export interface Reference {
  readonly columns: readonly string[]
  readonly source: { readonly schema: string; readonly name: string; readonly columns: readonly string[] }
}

export type RelationKind = 'table' | 'partitioned table' | 'view' | 'materialized view' | 'foreign table'

/** A table or view that the database role may read. */
export interface Relation {
  readonly schema: string
  readonly name: string
  readonly kind: RelationKind
  readonly comment: string | null
  /** The planner's estimate; `null` for views and tables never analysed. */
  readonly estimatedRows: number | null
  readonly columns: readonly SchemaColumn[]
  /** Empty without one. */
  readonly primaryKey: readonly string[]
  readonly uniqueKeys: readonly (readonly string[])[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly referencedBy: readonly Reference[]
}

/** `customers` in the schema that a bare name means, otherwise `sales.customers`. Not quoted: for reading, not for SQL. */
export const displayName = (relation: { readonly schema: string; readonly name: string }): string =>
  relation.schema === 'public' ? relation.name : `${relation.schema}.${relation.name}`
