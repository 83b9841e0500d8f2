import { keys } from './keys.ts'
import type { Fields, Spec, Standard } from './spec.ts'

const WIDTH = 100

const HEAD =
  'The configuration of Postern. Every key is here with its default or an example, and switched off: ' +
  'remove the # before a key to switch it on. "postern config check" names every problem at once; ' +
  'docs/configuration.md says more. $env:NAME takes a value from the environment, $env:NAME|default ' +
  'with something to fall back on.'

interface Line {
  readonly text: string
  readonly indent: number
  /** The column of the `#` when the line is switched off or prose. */
  readonly off: number | null
  readonly prose: boolean
}

/**
 * A commented configuration to begin with. It says nothing, so it means the defaults, which are closed.
 *
 * @param on values of keys that are to be switched on, by path: `auth.jwt.secretFile`
 */
export function startingFile(on: Readonly<Record<string, string>> = {}): string {
  const { shape } = keys
  if (shape.kind !== 'section') return ''
  const groups = [
    [prose(HEAD, 0)],
    ...Object.entries(shape.fields).map(([name, spec]) => linesOf(name, spec, 0, null, { path: name, on })),
  ]
  return groups
    .filter((group) => group.length > 0)
    .map((group) => `${group.flatMap(print).join('\n')}\n`)
    .join('\n')
}

const prose = (text: string, indent: number): Line => ({ text, indent, off: indent, prose: true })

/** Where a key is, and which ones are to be switched on. */
interface Place {
  readonly path: string
  readonly on: Readonly<Record<string, string>>
}

/** One key and what is below it; `off` is the column where its lines are switched off, `null` when they are on. */
function linesOf(
  name: string,
  { shape, about }: Spec<unknown>,
  indent: number,
  off: number | null,
  place: Place,
): readonly Line[] {
  if (shape.kind === 'leaf') {
    const wanted = off === null ? place.on[place.path] : undefined
    if (wanted !== undefined)
      return [prose(about, indent), { text: `${name}: ${yaml(wanted)}`, indent, off: null, prose: false }]
    const value = shape.standard ?? shape.example
    if (value === undefined) return []
    const column = off ?? indent
    return [prose(about, column), { text: `${name}: ${yaml(value)}`, indent, off: column, prose: false }]
  }
  const optional = shape.kind === 'section' && shape.presence === 'optional'
  const column = off ?? (optional ? indent : null)
  const head = [prose(about, column ?? indent), { text: `${name}:`, indent, off: column, prose: false }]
  if (shape.kind === 'section') return [...head, ...fieldsOf(shape.fields, indent + 2, column, place)]
  const inner = column ?? indent + 2
  const { shape: item } = shape.item
  if (shape.kind === 'named' && item.kind === 'leaf') {
    const text = `${shape.naming.example}: ${yaml(item.example ?? '')}`
    return [...head, { text, indent: indent + 2, off: inner, prose: false }]
  }
  if (item.kind !== 'section') return head
  const fields = fieldsOf(item.fields, indent + 4, inner, place)
  if (shape.kind === 'named')
    return [
      ...head,
      { text: `${shape.naming.example}:`, indent: indent + 2, off: inner, prose: false },
      ...fields,
    ]
  const first = fields.findIndex((line) => !line.prose)
  return [
    ...head,
    ...fields.map((line, at) =>
      at === first ? { ...line, text: `- ${line.text}`, indent: line.indent - 2 } : line,
    ),
  ]
}

const fieldsOf = (fields: Fields, indent: number, off: number | null, { path, on }: Place): readonly Line[] =>
  Object.entries(fields).flatMap(([name, spec]) =>
    linesOf(name, spec, indent, off, { path: `${path}.${name}`, on }),
  )

function print({ text, indent, off, prose }: Line): readonly string[] {
  if (prose) return wrap(text, WIDTH - indent - 2).map((line) => `${' '.repeat(indent)}# ${line}`)
  if (off === null) return [`${' '.repeat(indent)}${text}`]
  return [`${' '.repeat(off)}#${' '.repeat(indent - off)}${text}`]
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** A value as YAML writes it: JSON is YAML, and plain words need no quotes. */
function yaml(value: Standard): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[A-Za-z0-9./$_-][A-Za-z0-9./$_:@?=-]*$/.test(value) && !/^[\d:.e+-]+$/i.test(value)
    ? value
    : JSON.stringify(value)
}
