import type { Refusal } from '../../access/refusal.ts'
import type { Parser } from '../../databases/gate/parse.ts'
import { ok, type Result } from '../../lib/result.ts'

/** A statement prepared for one page of its rows. */
export interface Page {
  readonly sql: string
  /** Rows to leave out after they came, where SQL cannot. */
  readonly skip: number
  /** Characters put before the statement, by which a place in an error is off. */
  readonly shift: number
}

interface SelectShape {
  readonly limitCount?: unknown
  readonly limitOffset?: unknown
  readonly sortClause?: unknown
}

/**
 * Begins a statement at its row `offset`, with its meaning unchanged. A query in parentheses takes an OFFSET as
 * its own, ORDER BY inside included; one that has LIMIT or OFFSET already becomes a subquery, whose order
 * PostgreSQL keeps. EXPLAIN and SHOW take neither: their few rows are skipped here.
 */
export function pageOf(parser: Pick<Parser, 'parse'>, sql: string, offset: number): Result<Page, Refusal> {
  const parsed = parser.parse(sql)
  if (!parsed.ok) return parsed
  const [first] = parsed.value.stmts ?? []
  const statement = selectOf(first)
  if (statement === undefined || parsed.value.stmts?.length !== 1) return ok({ sql, skip: offset, shift: 0 })
  const text = statementText(sql, first as { stmt_location?: number; stmt_len?: number })
  const limited = statement.limitCount !== undefined || statement.limitOffset !== undefined
  const before = limited ? 'SELECT * FROM (' : '('
  // A line of its own, or a comment at the end would swallow the parenthesis.
  const after = limited ? `\n) AS page OFFSET ${offset}` : `\n) OFFSET ${offset}`
  return ok({ sql: `${before}${text}${after}`, skip: 0, shift: before.length })
}

/** Whether rows come in an order of their own: without one, two pages may show the same row twice, or never. */
export function isOrdered(parser: Pick<Parser, 'parse'>, sql: string): boolean {
  const parsed = parser.parse(sql)
  return parsed.ok && selectOf(parsed.value.stmts?.[0])?.sortClause !== undefined
}

const selectOf = (raw: unknown): SelectShape | undefined =>
  (raw as { stmt?: { SelectStmt?: SelectShape } } | undefined)?.stmt?.SelectStmt

/** Without the semicolon. The parser counts in bytes of UTF-8; a length of 0 means to the end. */
function statementText(sql: string, place: { stmt_location?: number; stmt_len?: number }): string {
  const length = place.stmt_len ?? 0
  if (length === 0) return sql
  const bytes = Buffer.from(sql, 'utf8')
  return bytes.subarray(0, (place.stmt_location ?? 0) + length).toString('utf8')
}
