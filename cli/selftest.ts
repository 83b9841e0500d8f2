import type { SelftestLine, SelftestReport } from '../src/databases/gate/selftest.ts'
import type { Caller } from '../src/identity/caller.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'

export const command: Command = {
  name: 'selftest',
  summary: 'try every known SQL attack on a configured database and report',
  description:
    'Sends the statements of the corpus the way a read-only caller does, and compares the state of the ' +
    'database before and after. Exit code 0 means that every statement did what it must and nothing changed.',
  options: [
    {
      name: 'database',
      value: 'NAME',
      summary: 'the configured database to try',
      standard: 'the first one',
    },
    {
      name: 'timeout',
      value: 'TIME',
      summary: 'how long one statement may run: 500ms, 2s',
      standard: '2s, or less where the configuration says so',
    },
  ],
  examples: [['postern selftest --config postern.yaml', 'the first database of a configuration']],
  run,
}

const STANDARD_TIMEOUT_MS = 2_000

/** Who the statements come from: a read-only caller without a credential that could be revoked. */
const TESTER: Caller = {
  principal: { kind: 'local', id: 'selftest', name: 'selftest' },
  credential: { id: 'selftest', kind: 'none', name: 'selftest', createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' },
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const { parseDuration } = await import('../src/lib/duration.ts')
  const timeout = parseDuration(given.text('timeout') ?? STANDARD_TIMEOUT_MS)
  if (!timeout.ok) return invocation.misuse(timeout.error, 'invalid_value')
  const { readSettings } = await import('./read-settings.ts')
  const read = await readSettings(invocation, given)
  if (!read.ok) return read.error
  const { settings } = read.value
  const { chosenDatabase, noSuchDatabase, withDatabase } = await import('./open-database.ts')
  const wanted = given.text('database')
  const database = chosenDatabase(settings, wanted)
  if (database === undefined) return noSuchDatabase(invocation, settings, wanted)

  const [{ loadGate }, { runSelftest }, { readState }] = await Promise.all([
    import('../src/databases/gate/judge.ts'),
    import('../src/databases/gate/selftest.ts'),
    import('../src/databases/gate/state.ts'),
  ])
  const statementTimeoutMs = Math.min(database.statementTimeoutMs, Math.max(1, timeout.value))
  const options = { ...database, statementTimeoutMs }
  return await withDatabase(invocation, settings, options, await loadGate(), async ({ name, databases }) => {
    const controller = new AbortController()
    const forget = invocation.onSignal('SIGINT', () => {
      controller.abort()
    })
    try {
      const report = await runSelftest(
        (sql) => databases.run({ caller: TESTER, database: name, sql, signal: controller.signal }),
        () => readState((sql) => databases.catalogueQuery(name, sql)),
        createProgress(invocation),
      )
      show(invocation, name, report)
      return report.passed ? 0 : 1
    } finally {
      forget()
    }
  })
}

/** A line that counts, on a terminal only. */
function createProgress(invocation: Invocation): (line: SelftestLine) => void {
  let done = 0
  return () => {
    done += 1
    if (invocation.interactive) invocation.stderr.write(`\r  ${done} statements`)
  }
}

function show(invocation: Invocation, database: string, report: SelftestReport): void {
  if (invocation.interactive) invocation.stderr.write(`\r${' '.repeat(24)}\r`)
  const { style } = invocation
  const failed = report.lines.filter((line) => !line.passed)
  const expected = (of: SelftestLine['outcome']): number =>
    report.lines.filter((line) => line.outcome === of && line.passed).length
  const verdict = report.passed
    ? `${style.bold('Passed')}: the database ${database} stands every statement of the corpus`
    : `${style.bold('Failed')}: the database ${database} is not safe behind this configuration`
  invocation.answer(
    {
      passed: report.passed,
      database,
      statements: report.lines.length,
      changed: report.changed,
      failed: failed.map(({ statement, outcome, got, detail, why }) => ({
        statement,
        expected: outcome,
        got,
        detail,
        why,
      })),
    },
    [
      verdict,
      '',
      `  ${expected('refuse')} refused, ${expected('bound')} bounded, ${expected('allow')} allowed, as they must be`,
      ...failed.map(
        (line) => `  ${style.bold('Wrong')}: ${line.statement}  (${line.outcome} expected, it ${line.got})`,
      ),
      report.changed.length === 0
        ? '  Nothing in the database changed'
        : `  ${style.bold('Changed')}: ${report.changed.join(', ')}`,
    ].join('\n'),
  )
}
