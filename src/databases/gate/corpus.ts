import { readFileSync } from 'node:fs'
import { Fault } from '../../lib/fault.ts'

/** `refuse`: nothing runs. `bound`: runs, is cut off by a limit, harmless. `allow`: runs. */
export type CorpusOutcome = 'refuse' | 'bound' | 'allow'

export interface CorpusLine {
  readonly outcome: CorpusOutcome
  /** The rule that refuses it; `null` for what is not refused. */
  readonly rule: string | null
  readonly statement: string
  readonly why: string
}

/** The statements that every database served by Postern must answer as stated. They name the tables of the sample. */
export function loadCorpus(): readonly CorpusLine[] {
  const text = readFileSync(new URL('corpus.tsv', import.meta.url), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [outcome, rule, statement, why] = line.split('\t')
      if (!isOutcome(outcome) || rule === undefined || statement === undefined || why === undefined)
        throw new Fault('internal', 'the SQL corpus is damaged: install Postern again')
      return { outcome, rule: rule === '-' ? null : rule, statement, why }
    })
}

const isOutcome = (text: string | undefined): text is CorpusOutcome =>
  text === 'refuse' || text === 'bound' || text === 'allow'
