import type { LeafType, Shape, Spec } from './spec.ts'

/** One line of the key table. */
export interface Row {
  /** `server.addr`, `databases[].name`, `auth.tokens.*.level` */
  readonly path: string
  readonly about: string
  readonly shape: Shape
  /** The type of a leaf; `null` for what only holds others. */
  readonly type: LeafType | null
  /** The environment variable that overrides it; `<NAME>` stands for a database or token. */
  readonly variable: string | null
}

const PREFIX = 'POSTERN'

/** `server.baseUrl` → `POSTERN_SERVER_BASE_URL`; `databases[].url` → `POSTERN_DATABASES_<NAME>_URL`. */
export function variableOf(path: string): string {
  const words = path
    .replaceAll('[]', '.<NAME>')
    .replaceAll('*', '<NAME>')
    .split('.')
    .map((word) => (word === '<NAME>' ? word : variableWord(word.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2'))))
  return [PREFIX, ...words].join('_')
}

/** A word, or the name of a database or token, as a part of a variable's name. */
export const variableWord = (word: string): string => word.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')

/**
 * The variable's own name says which database it is for; and of two names in one variable nobody could tell
 * where the first ends.
 */
const hasVariable = (path: string): boolean => !path.endsWith('[].name') && path.split('*').length <= 2

/** Every key of a table, each section before its keys. */
export function rowsOf(spec: Spec<unknown>, path = ''): readonly Row[] {
  const { shape, about } = spec
  const own: Row = {
    path,
    about,
    shape,
    type: shape.kind === 'leaf' ? shape.type : null,
    variable: shape.kind === 'leaf' && hasVariable(path) ? variableOf(path) : null,
  }
  if (shape.kind === 'leaf') return [own]
  if (shape.kind === 'list') return [own, ...rowsOf(shape.item, `${path}[]`).slice(1)]
  if (shape.kind === 'named') return [own, ...rowsOf(shape.item, `${path}.*`)]
  const inner = Object.entries(shape.fields).flatMap(([name, field]) =>
    rowsOf(field, path === '' ? name : `${path}.${name}`),
  )
  return path === '' ? inner : [own, ...inner]
}
