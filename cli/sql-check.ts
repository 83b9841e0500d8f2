import type { Refusal } from '../src/access/refusal.ts'
import type { Judged } from '../src/databases/gate/judge.ts'
import type { Result } from '../src/lib/result.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { printable } from './text.ts'

export const command: Command = {
  name: 'sql check',
  summary: 'say whether the SQL gate lets a statement through, and which rule decides',
  description:
    'Nothing is run. With a configured database its own functions and views are judged, too; without one, ' +
    'only what PostgreSQL itself brings is known. Exit code 0 means allowed, 1 refused.',
  arguments: [{ name: 'SQL', summary: 'one statement, in quotes; - reads it from standard input' }],
  options: [
    {
      name: 'database',
      value: 'NAME',
      summary: 'the configured database to judge it for',
      standard: 'the first one, if there is any',
    },
  ],
  examples: [
    [`postern sql check "SELECT * FROM orders FOR UPDATE"`, 'why a statement is refused'],
    ['postern sql check - < report.sql', 'a statement from a file'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const sql = await readSql(invocation, given.argument('SQL') ?? '')
  const { readSettings } = await import('./read-settings.ts')
  const read = await readSettings(invocation, given)
  if (!read.ok) return read.error
  const { settings } = read.value
  const { chosenDatabase, noSuchDatabase, withDatabase } = await import('./open-database.ts')
  const wanted = given.text('database')
  const database = chosenDatabase(settings, wanted)
  if (wanted !== undefined && database === undefined) return noSuchDatabase(invocation, settings, wanted)

  const { loadGate } = await import('../src/databases/gate/judge.ts')
  const gate = await loadGate()
  if (database === undefined) {
    const { loadSystemCatalogue } = await import('./system-catalogue.ts')
    return show(invocation, gate.judge(sql, loadSystemCatalogue()), null)
  }
  return await withDatabase(invocation, settings, database, gate, async ({ name, databases }) => {
    const { loadGateCatalogue } = await import('../src/databases/gate/catalogue.ts')
    const catalogue = await loadGateCatalogue(
      (query) => databases.catalogueQuery(name, query),
      undefined,
      databases.tenantView(name),
    )
    return show(invocation, gate.judge(sql, catalogue), name)
  })
}

/** More than the gate reads at all: reading on would only fill the memory. */
const LONGEST_INPUT_BYTES = 1_000_000

async function readSql(invocation: Invocation, argument: string): Promise<string> {
  if (argument !== '-') return argument
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of invocation.stdin) {
    const part = Buffer.from(chunk as Uint8Array)
    chunks.push(part)
    bytes += part.length
    if (bytes > LONGEST_INPUT_BYTES) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

function show(invocation: Invocation, judged: Result<Judged, Refusal>, database: string | null): ExitCode {
  const against =
    database === null
      ? 'Checked without a database: only what PostgreSQL itself brings is known.'
      : `Checked for the database ${database}.`
  const { style } = invocation
  if (!judged.ok) {
    const { code, rule, message, node, allowed } = judged.error
    invocation.answer(
      {
        allowed: false,
        error: 'refused',
        message,
        code,
        rule,
        node: node ?? null,
        instead: allowed ?? null,
        database,
      },
      [
        `${style.bold('Refused')}: ${printable(message)}`,
        '',
        `  ${style.dim('Rule:')}     ${rule}`,
        ...(node === undefined ? [] : [`  ${style.dim('Node:')}     ${node}`]),
        ...(allowed === undefined ? [] : [`  ${style.dim('Allowed:')}  ${allowed}`]),
        '',
        style.dim(against),
      ].join('\n'),
    )
    return 1
  }
  const { statement, access, explain, relations } = judged.value
  invocation.answer(
    { allowed: true, statement, access, explain, relations, database },
    [
      `${style.bold('Allowed')}: a read`,
      '',
      `  ${style.dim('Statement:')}  ${statement}`,
      ...(relations.length === 0
        ? []
        : [`  ${style.dim('Reads:')}      ${relations.map(printable).join(', ')}`]),
      '',
      style.dim(against),
    ].join('\n'),
  )
  return 0
}
