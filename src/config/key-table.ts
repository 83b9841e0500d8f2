import { keys } from './keys.ts'
import { type Row, rowsOf } from './rows.ts'

/** Every key as Markdown: a heading and a table for each section. Published in `docs/configuration.md`. */
export function keyTable(): string {
  const groups = Map.groupBy(rowsOf(keys), (row) => row.path.split(/[.[]/, 1)[0] ?? '')
  const parts: string[] = []
  const single: Row[] = []
  for (const [name, rows] of groups) {
    if (rows.length === 1) single.push(...rows)
    else parts.push(`### ${name}\n\n${rows[0]?.about ?? ''}\n\n${table(rows.slice(1))}`)
  }
  return [`### At the top\n\n${table(single)}`, ...parts].join('\n\n')
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) =>
      `| \`${row.path}\` | ${cell(typeOf(row))} | ${cell(defaultOf(row))} | ${cell(row.about)}${variable(row)} |`,
  )
  return ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const variable = (row: Row): string => (row.variable === null ? '' : `<br>\`${row.variable}\``)

function typeOf({ type, shape }: Row): string {
  if (type) return type.name
  return shape.kind === 'list' ? 'list' : shape.kind === 'named' ? 'keys of your choice' : 'section'
}

function defaultOf({ shape }: Row): string {
  if (shape.kind !== 'leaf') return shape.kind === 'section' && shape.presence === 'optional' ? 'none' : ''
  if (shape.presence === 'required') return 'required'
  if (shape.says !== undefined) return shape.says
  if (shape.standard === undefined) return 'none'
  return typeof shape.standard === 'object'
    ? `\`${JSON.stringify(shape.standard)}\``
    : `\`${shape.standard}\``
}
