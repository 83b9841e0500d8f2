import { displayName, type Relation, type SchemaColumn } from '../../databases/schema/relation.ts'

/** Everything one needs to write SQL for a relation, in few words: columns, keys, how to join. */
export function relationText(relation: Relation): string {
  const rows = relation.estimatedRows === null ? '' : `, about ${relation.estimatedRows} rows`
  const lines = [`${displayName(relation)} (${relation.kind}${rows})${remark(relation.comment)}`]
  for (const column of relation.columns) lines.push(`  ${columnText(column, relation)}`)
  if (relation.primaryKey.length > 1) lines.push(`  primary key (${relation.primaryKey.join(', ')})`)
  for (const key of relation.uniqueKeys) lines.push(`  unique (${key.join(', ')})`)
  for (const { columns, target } of relation.foreignKeys) {
    if (columns.length > 1)
      lines.push(`  (${columns.join(', ')}) -> ${displayName(target)} (${target.columns.join(', ')})`)
  }
  if (relation.referencedBy.length > 0) {
    const sources = relation.referencedBy.map(
      ({ source }) => `${displayName(source)}.${source.columns.join('+')}`,
    )
    lines.push(`  referenced by ${sources.join(', ')}`)
  }
  return lines.join('\n')
}

/** One line: the names only, and where keys lead. */
export function compactText(relation: Relation): string {
  const columns = relation.columns.map((column) => `${column.name}${leadsTo(column, relation)}`)
  return `${displayName(relation)}(${columns.join(', ')})`
}

function columnText(column: SchemaColumn, relation: Relation): string {
  const parts = [`${column.name} ${column.values ? `enum(${column.values.join('|')})` : column.type}`]
  const isKey = relation.primaryKey.length === 1 && relation.primaryKey[0] === column.name
  if (isKey) parts.push('primary key')
  else if (!column.nullable) parts.push('not null')
  if (column.default !== null)
    parts.push(column.default === 'identity' ? 'identity' : `default ${column.default}`)
  return `${parts.join(' ')}${leadsTo(column, relation)}${remark(column.comment)}`
}

function leadsTo(column: SchemaColumn, relation: Relation): string {
  const key = relation.foreignKeys.find(({ columns }) => columns.length === 1 && columns[0] === column.name)
  return key ? ` -> ${displayName(key.target)}.${key.target.columns[0] ?? ''}` : ''
}

/** Comments are somebody's text: on one line, they cannot pass for another table. */
const remark = (comment: string | null): string =>
  comment === null ? '' : ` -- ${comment.replaceAll(/\s+/g, ' ')}`
