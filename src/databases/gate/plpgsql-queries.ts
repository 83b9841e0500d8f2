import type { Parser } from './parse.ts'

/** Statements of PL/pgSQL that only compute or read. `CALL`, `COMMIT`, `ROLLBACK` and `EXECUTE` are not here. */
const ALLOWED_STATEMENTS: ReadonlySet<string> = new Set(
  `block assign if case loop while fori fors forc foreach_a exit return return_next return_query raise assert
   perform getdiag open fetch close execsql`
    .split(/\s+/)
    .map((name) => `PLpgSQL_stmt_${name}`),
)

/** Fields that hold SQL made at run time. */
const DYNAMIC_FIELDS: ReadonlySet<string> = new Set(['dynquery'])

/** How the parser says an expression is to be read (`RawParseMode` of PostgreSQL). */
const STATEMENT = 0
const EXPRESSION = 2

/**
 * The SQL inside a PL/pgSQL function, as statements that can be judged one by one; `null` when something
 * in it is not a read or is put together only when it runs.
 */
export function plpgsqlQueries(parser: Parser, createFunction: string): readonly string[] | null {
  const tree = parser.parsePlpgsql(createFunction)
  if (tree === null) return null
  const queries: string[] = []
  return collect(tree, queries, parser) ? queries : null
}

function collect(value: unknown, queries: string[], parser: Parser): boolean {
  if (Array.isArray(value)) return value.every((item: unknown) => collect(item, queries, parser))
  if (typeof value !== 'object' || value === null) return true
  for (const [name, inner] of Object.entries(value)) {
    if (name.startsWith('PLpgSQL_stmt_') && !ALLOWED_STATEMENTS.has(name)) return false
    if (DYNAMIC_FIELDS.has(name)) return false
    if (name === 'PLpgSQL_expr') {
      if (!addExpression(inner as { query?: unknown; parseMode?: unknown }, queries, parser)) return false
    } else if (!collect(inner, queries, parser)) return false
  }
  return true
}

function addExpression(
  expression: { query?: unknown; parseMode?: unknown },
  queries: string[],
  parser: Parser,
): boolean {
  const { query, parseMode } = expression
  if (typeof query !== 'string') return false
  if (parseMode === STATEMENT) queries.push(query)
  else if (parseMode === EXPRESSION) queries.push(`SELECT ${query}`)
  else return addAssignment(query, queries, parser)
  return true
}

/** `target := value`: splits at the first sign that leaves an expression on both sides (`x[a = b] := 1`). */
function addAssignment(query: string, queries: string[], parser: Parser): boolean {
  for (const { index, 0: sign } of query.matchAll(/:?=/g)) {
    const target = `SELECT ${query.slice(0, index)}`
    const value = `SELECT ${query.slice(index + sign.length)}`
    if (!parser.parse(target).ok || !parser.parse(value).ok) continue
    queries.push(target, value)
    return true
  }
  return false
}
