import type { Parser } from '../../databases/gate/parse.ts'

/**
 * What a text asks for: SQL that is to run, a question in words, or `SHOW something`, which is either until
 * one knows whether there is such a table.
 */
export type Intent =
  | { readonly kind: 'sql' }
  | { readonly kind: 'question' }
  | { readonly kind: 'either'; readonly name: string }

/**
 * Beginnings of statements, more than the first word: English sentences begin with `show`, `with`, `update`,
 * `explain` and `delete`, too. What matches is SQL even when it has a mistake, so that its author hears of it.
 */
const BEGINNINGS = [
  /^select\b/,
  /^\(\s*(select|with|values|table)\b/,
  /^with\s+(recursive\s|("[^"]*"|\w+)\s*(\(|as\b))/,
  /^values\s*\(/,
  /^table\s+(only\s+)?[\w."]+\s*$/,
  /^show\s+[\w."]+\s*(;|$)/,
  /^(explain|analy[sz]e)\s*(\(|(analy[sz]e|verbose|select|with|values|table|insert|update|delete|create|execute|declare)\b)/,
  /^insert\s+into\b/,
  /^update\s+(only\s+)?[\w."]+\s+((as\s+)?\w+\s+)?set\b/,
  /^delete\s+from\b/,
  /^merge\s+into\b/,
  /^(create|alter|drop)\s+(or\s|if\s|temp|unlogged|unique|global|local|table|view|materialized|index|function|procedure|schema|sequence|role|user\s|database|extension|type|trigger|policy|domain|foreign|server|publication|subscription|event|aggregate|operator|rule|tablespace|collation|cast|language)/,
  /^truncate\b/,
  /^(grant|revoke)\s.*\s(on|to|from)\s/,
  /^set\s+(session|local|transaction|role|constraints|time|[\w."]+\s*(=|to\b))/,
  /^reset\s+[\w."]+\s*;?\s*$/,
  /^(begin|start\s+transaction|commit|rollback|end|abort|savepoint|release)\b\s*(work|transaction|\w*\s*;|;|$)/,
  /^copy\s+[\w."(]+.*\s(to|from)\s/,
  /^do\s+(\$|language\b|')/,
  /^call\s+[\w."]+\s*\(/,
  /^(lock|vacuum|reindex|cluster|refresh\s+materialized|listen|notify|unlisten|prepare|execute|deallocate|declare|fetch|move|discard|checkpoint|load|comment\s+on|security\s+label|import\s+foreign|reassign)\b/,
]

const COMMENTS = /^(\s+|--[^\n]*(\n|$)|\/\*[^*]*\*+([^/*][^*]*\*+)*\/)+/

/** Tells SQL from a question. The parser has the first word; only what it cannot read may be a question. */
export function readIntent(parser: Pick<Parser, 'parse'>, text: string): Intent {
  const parsed = parser.parse(text)
  if (parsed.ok) {
    const [only] = parsed.value.stmts ?? []
    const stmt = (only as { stmt?: { VariableShowStmt?: { name?: string } } } | undefined)?.stmt
    const shown = stmt?.VariableShowStmt?.name
    return shown === undefined || parsed.value.stmts?.length !== 1
      ? { kind: 'sql' }
      : { kind: 'either', name: shown }
  }
  // Too long, too deep, or with characters that no statement has: the gate says so.
  if (parsed.error.code !== 'sql_syntax') return { kind: 'sql' }
  const beginning = text.replace(COMMENTS, '').slice(0, 300).toLowerCase()
  if (!/\p{L}{2}/u.test(beginning)) return { kind: 'sql' }
  return BEGINNINGS.some((pattern) => pattern.test(beginning)) ? { kind: 'sql' } : { kind: 'question' }
}
