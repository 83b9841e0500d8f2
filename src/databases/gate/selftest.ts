import type { Refusal } from '../../access/refusal.ts'
import type { Result } from '../../lib/result.ts'
import { type CorpusLine, loadCorpus } from './corpus.ts'

/** What one statement of the corpus did. */
export interface SelftestLine extends CorpusLine {
  readonly passed: boolean
  /** `refused` by the gate, `cut` by a limit, `failed` in PostgreSQL (such as a table that is not here), or `ran`. */
  readonly got: 'refused' | 'cut' | 'failed' | 'ran'
  /** The rule or code of what came back. */
  readonly detail: string | null
}

export interface SelftestReport {
  readonly passed: boolean
  readonly lines: readonly SelftestLine[]
  /** Parts of the database's state that differ from before, by name; empty when nothing changed. */
  readonly changed: readonly string[]
}

/** Parts of a database's state by name, each as a text that changes with it. */
export type DatabaseState = Readonly<Record<string, string>>

export type RunStatement = (sql: string) => Promise<Result<{ readonly truncated: boolean }, Refusal>>

/**
 * Sends every line of the corpus through `run`, which must be the way callers' statements take, and
 * compares the state of the database before and after.
 *
 * @param checkState reads the state; see `state.ts`
 */
export async function runSelftest(
  run: RunStatement,
  checkState: () => Promise<DatabaseState>,
  onLine: (line: SelftestLine) => void = () => undefined,
): Promise<SelftestReport> {
  const before = await checkState()
  const lines: SelftestLine[] = []
  for (const line of loadCorpus()) {
    const judged = judgeOutcome(line, await run(line.statement))
    lines.push(judged)
    onLine(judged)
  }
  const changed = changedParts(before, await checkState())
  return { passed: changed.length === 0 && lines.every(({ passed }) => passed), lines, changed }
}

/** Whether what happened is what the corpus says. */
export function judgeOutcome(
  line: CorpusLine,
  result: Result<{ readonly truncated: boolean }, Refusal>,
): SelftestLine {
  const got = outcomeOf(result)
  // A protected database is stricter: what shows one tenant to another is refused whatever the corpus says.
  const amongTenants = !result.ok && result.error.rule === 'sql.tenants'
  const passed =
    amongTenants || line.outcome === 'refuse'
      ? got === 'refused'
      : line.outcome === 'bound'
        ? got === 'cut' || got === 'failed'
        : got !== 'refused'
  return { ...line, passed, got, detail: result.ok ? null : result.error.rule }
}

function outcomeOf(result: Result<{ readonly truncated: boolean }, Refusal>): SelftestLine['got'] {
  if (result.ok) return result.value.truncated ? 'cut' : 'ran'
  const { code } = result.error
  if (code === 'sql_timeout' || code === 'result_too_large') return 'cut'
  return code === 'sql_failed' ? 'failed' : 'refused'
}

/** Names of the parts that differ. */
export function changedParts(before: DatabaseState, after: DatabaseState): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].filter((name) => before[name] !== after[name])
}
