import type { AuditEntry } from '../src/audit/open.ts'
import type { Command, Given } from './command.ts'
import { shortTime } from './moment.ts'
import { padShown, printable } from './text.ts'

const MOST_ENTRIES = 1_000

export const command: Command = {
  name: 'audit search',
  summary: 'list entries of the record, newest first',
  options: [
    { name: 'who', value: 'NAME', summary: 'entries of this principal: a user, or the owner of a token' },
    { name: 'credential', value: 'ID', summary: 'entries of this credential' },
    { name: 'tool', value: 'NAME', summary: 'entries of this tool, or of an act such as token.add' },
    {
      name: 'kind',
      value: 'KIND',
      summary: 'entries of this kind',
      choices: ['authentication', 'decision', 'execution', 'administration', 'system'],
    },
    {
      name: 'outcome',
      value: 'OUTCOME',
      summary: 'entries that ended like this',
      choices: ['allow', 'refuse', 'done', 'failed'],
    },
    { name: 'since', value: 'TIME', summary: 'entries from this time on (ISO 8601)' },
    { name: 'until', value: 'TIME', summary: 'entries before this time (ISO 8601)' },
    { name: 'limit', value: 'N', summary: `how many, at most ${MOST_ENTRIES}`, standard: '50' },
  ],
  examples: [['postern audit search --outcome refuse --limit 20', 'the last twenty refusals']],
  async run(invocation, given) {
    const limit = Number(given.text('limit') ?? 50)
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_ENTRIES) {
      return invocation.misuse(`--limit takes a number from 1 to ${MOST_ENTRIES}`, 'invalid_value')
    }
    const times: Record<string, number> = {}
    for (const option of ['since', 'until']) {
      const text = given.text(option)
      if (text === undefined) continue
      const time = Date.parse(text)
      if (Number.isNaN(time)) {
        return invocation.misuse(`--${option} takes a time such as 2026-11-22T10:00:00Z`, 'invalid_value')
      }
      times[option] = time
    }
    const { withAudit } = await import('./with-audit.ts')
    return await withAudit(invocation, given, async (desk) => {
      const [{ entryJson }, { namesIn, searchByName }] = await Promise.all([
        import('../src/audit/json.ts'),
        import('./names-in-record.ts'),
      ])
      const filter = { ...words(given), ...times }
      const who = given.text('who')
      const entries =
        who === undefined
          ? (await desk.audit.search(filter, limit)).entries
          : await searchByName(desk, who, filter, limit)
      const names = invocation.json ? new Map<string, string>() : await namesIn(desk.store, entries)
      invocation.answer(
        entries.map((entry) => entryJson(entry)),
        entries.length === 0 ? 'No entry matches.\n' : `${lines(entries, names).join('\n')}\n`,
      )
      return 0
    })
  },
}

/** The options that name a column, under the names that the search gives these. */
function words(given: Given): Record<string, string> {
  const columns = {
    kind: 'kind',
    credential: 'credentialId',
    tool: 'action',
    outcome: 'outcome',
  } as const
  const found: Record<string, string> = {}
  for (const [option, column] of Object.entries(columns)) {
    const text = given.text(option)
    if (text !== undefined) found[column] = text
  }
  return found
}

/** One line an entry, in columns as wide as their widest text; users by their names. */
function lines(entries: readonly AuditEntry[], names: ReadonlyMap<string, string>): readonly string[] {
  const named = (text: string | undefined): string => printable(names.get(text ?? '') ?? text ?? '-')
  const rows = entries.map((entry) => [
    String(entry.seq),
    shortTime(entry.at),
    entry.kind,
    entry.outcome,
    named(entry.principal),
    printable(entry.action ?? '-'),
    named(entry.target),
    printable(entry.rule ?? ''),
  ])
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) =>
    row
      .map((text, column) => padShown(text, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
