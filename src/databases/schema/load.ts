import { escapeLiteral } from 'pg'
import type { CatalogueRow } from '../open.ts'
import type { TenantView } from '../tenancy/tenancy.ts'
import type { ForeignKey, Reference, Relation, RelationKind, SchemaColumn } from './relation.ts'

export type CatalogueQuery = (sql: string, params?: readonly unknown[]) => Promise<readonly CatalogueRow[]>

/** Relations of one query: some megabytes at most, and a pause for other work after each. */
const PAGE_RELATIONS = 500
/** More than this, and the catalogue says that it is incomplete. */
export const MOST_RELATIONS = 20_000
const MOST_COMMENT_CHARS = 1_000
const MOST_DEFAULT_CHARS = 200
const MOST_ENUM_VALUES = 100

/** The first argument of a question about rights: the group of those who read, or nobody but the one that asks. */
const asked = (tenants: TenantView | null): string =>
  tenants === null ? '' : `${escapeLiteral(tenants.readers)}, `

/** What can be read, apart from PostgreSQL's own and other sessions' temporary tables; partitions belong to their parent. */
const readable = (tenants: TenantView | null): string => `
  c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'${tenants === null ? '' : ` AND n.nspname <> ${escapeLiteral(tenants.schema)}`}
  AND has_schema_privilege(${asked(tenants)}n.oid, 'USAGE')
  AND (has_table_privilege(${asked(tenants)}c.oid, 'SELECT') OR has_any_column_privilege(${asked(tenants)}c.oid, 'SELECT'))`

const relationsQuery = (tenants: TenantView | null): string => `
SELECT c.oid::int8::text AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
  CASE WHEN c.relkind IN ('r', 'm', 'f') AND c.reltuples >= 0 THEN c.reltuples::int8
       WHEN c.relkind = 'p' THEN (
         SELECT sum(greatest(leaf.reltuples, 0))::int8 FROM pg_partition_tree(c.oid) AS tree
         JOIN pg_class AS leaf ON leaf.oid = tree.relid WHERE tree.isleaf)
  END::text AS estimated_rows,
  left(obj_description(c.oid, 'pg_class'), ${MOST_COMMENT_CHARS}) AS comment,
  coalesce(columns.list, '[]')::text AS columns, coalesce(keys.list, '[]')::text AS keys
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(
    a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    CASE WHEN a.attidentity <> '' THEN 'identity' ELSE left(pg_get_expr(d.adbin, d.adrelid), ${MOST_DEFAULT_CHARS}) END,
    left(col_description(c.oid, a.attnum), ${MOST_COMMENT_CHARS}),
    CASE WHEN t.typtype = 'e' THEN (
      SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM (
        SELECT * FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder LIMIT ${MOST_ENUM_VALUES}) AS e)
    END, a.attnum) ORDER BY a.attnum) AS list
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND (has_table_privilege(${asked(tenants)}c.oid, 'SELECT') OR has_column_privilege(${asked(tenants)}c.oid, a.attnum, 'SELECT'))
) AS columns ON true
LEFT JOIN LATERAL (
  SELECT json_agg(json_build_array(k.contype, to_json(k.conkey), k.confrelid::int8::text, to_json(k.confkey)) ORDER BY k.conname) AS list
  FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f')
) AS keys ON true
WHERE c.oid > $1::text::int8::oid AND ${readable(tenants)}
ORDER BY c.oid LIMIT ${PAGE_RELATIONS}`

/**
 * Changes whenever a relation, column, key, comment or privilege does: rows of the catalogue are replaced,
 * not changed in place, so the transactions that wrote them tell. ANALYZE changes in place and is not seen.
 */
const SIGNATURE = `
WITH own AS (
  SELECT c.oid, c.xmin FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%')
SELECT concat_ws('/', current_user,
  (SELECT count(*) || ':' || sum(hashint8extended(own.xmin::text::int8, 0)) FROM own),
  (SELECT count(*) || ':' || sum(hashint8extended(a.xmin::text::int8, 0)) FROM pg_attribute AS a JOIN own ON own.oid = a.attrelid AND a.attnum > 0),
  (SELECT count(*) || ':' || sum(hashint8extended(k.xmin::text::int8, 0)) FROM pg_constraint AS k JOIN own ON own.oid = k.conrelid),
  (SELECT count(*) || ':' || sum(hashint8extended(d.xmin::text::int8, 0)) FROM pg_description AS d JOIN own ON own.oid = d.objoid),
  (SELECT count(*) || ':' || sum(hashint8extended(e.xmin::text::int8, 0)) FROM pg_enum AS e),
  (SELECT count(*) || ':' || sum(hashint8extended(n.xmin::text::int8, 0)) FROM pg_namespace AS n WHERE n.nspname NOT LIKE 'pg\\_%'),
  (SELECT count(*) || ':' || sum(hashint8extended(m.xmin::text::int8, 0)) FROM pg_auth_members AS m)
) AS signature`

/** A short text that is another one after any change that a reader of the schema could notice. */
export async function loadSignature(query: CatalogueQuery): Promise<string> {
  const [row] = await query(SIGNATURE)
  return String(row?.['signature'])
}

type ColumnRow = [
  name: string,
  type: string,
  notNull: boolean,
  byDefault: string | null,
  comment: string | null,
  values: string[] | null,
  number: number,
]

type KeyRow = [kind: 'p' | 'u' | 'f', columns: number[], target: string, targetColumns: number[] | null]

/**
 * The tables and views that the role of `query` may read.
 *
 * @param tenants of a protected database, where the roles of tenants read and not that role: what is counted over the
 *   rows of all of them is left out
 */
export async function loadRelations(
  query: CatalogueQuery,
  tenants: TenantView | null = null,
): Promise<{ relations: Relation[]; incomplete: boolean }> {
  const loaded: Loaded[] = []
  let after = '0'
  for (;;) {
    const rows = await query(relationsQuery(tenants), [after])
    for (const row of rows) loaded.push(read(tenants === null ? row : { ...row, estimated_rows: null }))
    after = loaded.at(-1)?.oid ?? after
    if (rows.length < PAGE_RELATIONS || loaded.length >= MOST_RELATIONS) {
      return { relations: connect(loaded), incomplete: rows.length === PAGE_RELATIONS }
    }
  }
}

interface Loaded {
  readonly oid: string
  readonly relation: Omit<Relation, 'primaryKey' | 'uniqueKeys' | 'foreignKeys' | 'referencedBy'>
  /** Column names by attribute number; those the role may not read are missing. */
  readonly numbered: ReadonlyMap<number, string>
  readonly keys: readonly KeyRow[]
}

const KINDS: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
}

function read(row: CatalogueRow): Loaded {
  const columns = JSON.parse(String(row['columns'])) as ColumnRow[]
  const rows = row['estimated_rows']
  return {
    oid: String(row['oid']),
    relation: {
      schema: String(row['schema']),
      name: String(row['name']),
      kind: KINDS[String(row['kind'])] ?? 'table',
      comment: (row['comment'] ?? null) as string | null,
      estimatedRows: rows === null || rows === undefined ? null : Number(rows),
      columns: columns.map(([name, type, notNull, byDefault, comment, values]): SchemaColumn => ({
        name,
        type,
        nullable: !notNull,
        default: byDefault,
        comment,
        ...(values === null ? {} : { values }),
      })),
    },
    numbered: new Map(columns.map((column) => [column[6], column[0]])),
    keys: JSON.parse(String(row['keys'])) as KeyRow[],
  }
}

/** Puts keys on both ends. A key that names a column or table the role may not read is left out. */
function connect(loaded: readonly Loaded[]): Relation[] {
  const byOid = new Map(loaded.map((item) => [item.oid, item]))
  const references = new Map<string, Reference[]>()
  const withKeys = loaded.map((item): Relation & { oid: string } => {
    const foreignKeys: ForeignKey[] = []
    const unique: (readonly string[])[] = []
    let primaryKey: readonly string[] = []
    for (const [kind, numbers, targetOid, targetNumbers] of item.keys) {
      const columns = names(item.numbered, numbers)
      if (columns === null) continue
      if (kind === 'p') primaryKey = columns
      else if (kind === 'u') unique.push(columns)
      else {
        const target = byOid.get(targetOid)
        const targetColumns = target && names(target.numbered, targetNumbers ?? [])
        if (!target || !targetColumns) continue
        const { schema, name } = target.relation
        foreignKeys.push({ columns, target: { schema, name, columns: targetColumns } })
        const list = references.get(targetOid) ?? []
        references.set(targetOid, list)
        list.push({
          columns: targetColumns,
          source: { schema: item.relation.schema, name: item.relation.name, columns },
        })
      }
    }
    return { oid: item.oid, ...item.relation, primaryKey, uniqueKeys: unique, foreignKeys, referencedBy: [] }
  })
  return withKeys
    .map(({ oid, ...relation }): Relation => ({ ...relation, referencedBy: references.get(oid) ?? [] }))
    .sort((a, b) => compare(a.schema, b.schema) || compare(a.name, b.name))
}

function names(numbered: ReadonlyMap<number, string>, numbers: readonly number[]): string[] | null {
  const found = numbers.map((number) => numbered.get(number))
  return found.every((name) => name !== undefined) ? found : null
}

/** By code unit: the same order on every system. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
