import { resolve } from 'node:path'
import { accountName } from './account-name.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { createNotices } from './notices.ts'
import { readSettings } from './read-settings.ts'
import { count } from './restored-shown.ts'

export const command: Command = {
  name: 'backup',
  summary: 'copy the store into one file, while the gateway runs',
  description:
    'The file holds users, tenants, tokens (hashes only), sealed credentials, the audit record and the token file, as of ' +
    'one moment, and restores into SQLite and into PostgreSQL. It holds none of the secret files (jwt.secret and what is ' +
    'beside it, secret.key): keep copies of those apart from it.',
  options: [
    { name: 'output', value: 'FILE', summary: 'the file to write, readable by its owner only' },
    { name: 'force', summary: 'replace a file that is there' },
  ],
  examples: [
    ['postern backup --output /backup/postern-monday.db', 'beside a gateway that runs'],
    ['postern restore /backup/postern-monday.db', 'brings it back'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const output = given.text('output')
  if (output === undefined) return invocation.misuse('--output FILE is needed', 'usage')
  const file = resolve(invocation.cwd, output)
  const read = await readSettings(invocation, given, 'administer')
  if (!read.ok) return read.error
  const { store, auth, audit } = read.value.settings
  const [{ writeBackup }, { recordBackup }, { readTokenFileText }, { version }] = await Promise.all([
    import('../src/backup/write-backup.ts'),
    import('../src/backup/record-backup.ts'),
    import('./token-file-text.ts'),
    import('../src/version.ts'),
  ])
  const now = invocation.clock.now()
  const tokenFile = auth.tokenFile === null ? null : await readTokenFileText(auth.tokenFile)
  const written = await writeBackup({
    store,
    file,
    force: given.flag('force'),
    tokenFile,
    version: version(),
    now,
  })
  const recorded = await recordBackup(store, audit, {
    outcome: written.ok ? 'done' : 'failed',
    now,
    principal: `local:${accountName()}`,
    ...(written.ok ? { target: written.value.digest } : { rule: written.error.code }),
    clock: invocation.clock,
    observe: createNotices(invocation),
  })
  if (!written.ok) return invocation.fail(written.error)
  if (!recorded)
    invocation.note(
      'postern: the backup is whole, but the audit record does not take its entry at the moment',
    )
  const { manifest, digest } = written.value
  const rows = (name: string): number => manifest.tables.find((table) => table.name === name)?.rows ?? 0
  invocation.answer(
    {
      file,
      created_at: manifest.created_at,
      store: manifest.store,
      schema_version: manifest.schema_version,
      tables: Object.fromEntries(manifest.tables.map((table) => [table.name, table.rows])),
      token_file: tokenFile !== null,
      digest,
      recorded,
    },
    [
      `Wrote ${file}`,
      `  ${count(rows('users'), 'user')}, ${count(rows('tokens'), 'token')}, ` +
        `${count(rows('audit_entries'), 'entry', 'entries')} of the audit` +
        (tokenFile === null ? '' : ', and the token file'),
      'Not in it, so keep copies of them elsewhere: the JWT secret and secret.key.',
      '',
    ].join('\n'),
  )
  return 0
}
