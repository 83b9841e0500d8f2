import type { Rows } from '../../databases/database.ts'

/** A longer value is cut in the text; the structured result has it whole. */
const MOST_CELL_CHARS = 500

/**
 * Rows as a model reads them cheaply: a line of names, a line for each row, tabs between. Tabs and line
 * breaks inside a value are escaped, so that no value can look like another row.
 */
export function rowsText(rows: Pick<Rows, 'columns' | 'rows'>): string {
  if (rows.columns.length === 0) return ''
  const lines = [rows.columns.map((column) => escape(column.name)).join('\t')]
  for (const row of rows.rows) lines.push(row.map(cell).join('\t'))
  return lines.join('\n')
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (text.length <= MOST_CELL_CHARS) return escape(text)
  return `${escape(text.slice(0, MOST_CELL_CHARS))}… [${text.length - MOST_CELL_CHARS} more characters]`
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\r', '\\r').replaceAll('\n', '\\n')
}
