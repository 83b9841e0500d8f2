/** A relation or a function that a syntax tree names, anywhere in it; names of common table expressions may be among them. */
export interface Named {
  readonly kind: 'relation' | 'function'
  readonly name: readonly string[]
}

/** All names of relations and of called functions in a tree, of whatever statement. */
export function* namedIn(tree: unknown): Generator<Named, void, undefined> {
  const waiting: unknown[] = [tree]
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue
    const { schemaname, relname, funcname } = value as Readonly<Record<string, unknown>>
    if (Array.isArray(funcname)) yield { kind: 'function', name: strings(funcname) }
    if (typeof relname === 'string')
      yield { kind: 'relation', name: typeof schemaname === 'string' ? [schemaname, relname] : [relname] }
    for (const inner of Object.values(value)) if (typeof inner === 'object') waiting.push(inner)
  }
}

/** The texts of a list of `String` nodes. */
const strings = (list: readonly unknown[]): string[] =>
  list.flatMap((item) => {
    const text = (item as { readonly String?: { readonly sval?: unknown } } | null)?.String?.sval
    return typeof text === 'string' ? [text] : []
  })
