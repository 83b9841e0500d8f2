import type { Parser } from '../../databases/gate/parse.ts'

interface ExplainOption {
  readonly DefElem?: {
    readonly defname?: string
    readonly arg?: {
      readonly Integer?: { readonly ival?: number }
      readonly String?: { readonly sval?: string }
    }
  }
}

/**
 * The EXPLAIN that a query is already, and whether it runs what it explains; `undefined` for any other text. Only
 * the parser knows: a comment may come first, and ANALYZE may be one of the options and switched off.
 */
export function ownExplain(
  parser: Pick<Parser, 'parse'>,
  query: string,
): { readonly analyzes: boolean } | undefined {
  const parsed = parser.parse(query)
  if (!parsed.ok) return undefined
  const [first] = parsed.value.stmts ?? []
  const explain = (first as { stmt?: { ExplainStmt?: { options?: readonly ExplainOption[] } } } | undefined)
    ?.stmt?.ExplainStmt
  if (explain === undefined) return undefined
  // As PostgreSQL reads its options: the last one counts.
  const option = explain.options?.findLast(({ DefElem }) => DefElem?.defname === 'analyze')?.DefElem
  return { analyzes: option !== undefined && isOn(option.arg) }
}

/** PostgreSQL's `defGetBoolean`. The tree leaves out an integer of 0; words it does not know are refused later. */
function isOn(arg: NonNullable<ExplainOption['DefElem']>['arg']): boolean {
  if (arg?.Integer) return (arg.Integer.ival ?? 0) !== 0
  return !/^(?:false|off)$/i.test(arg?.String?.sval ?? 'true')
}
