import { err, ok, type Result } from '../src/lib/result.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'

const ADMIN_URL = 'POSTERN_DATABASE_ADMIN_URL'

export const command: Command = {
  name: 'database protect',
  summary: 'show each tenant its own rows of a database only, by row security',
  description:
    'Prints the SQL, with the reason for each statement, and changes nothing without --apply. It makes a login role for each ' +
    'tenant and policies for each table with the tenant column. Run it again for new tables and tenants; --undo takes everything ' +
    `back. It needs a role that owns the tables and may make roles: ${ADMIN_URL}, or tenancy.provisioner of the database.`,
  arguments: [{ name: 'NAME', summary: 'the configured database' }],
  options: [
    { name: 'column', value: 'NAME', summary: 'the column that holds the tenant', standard: 'tenant_id' },
    {
      name: 'schema',
      value: 'NAME',
      summary: 'a schema to look for tables in',
      standard: 'public',
      many: true,
    },
    {
      name: 'table',
      value: 'NAME',
      summary: 'only this table, with its partitions; schema.table outside the first schema',
      standard: 'all that have the column',
      many: true,
    },
    {
      name: 'shared',
      value: 'NAME',
      summary: 'a table or view that all tenants may read as it is',
      many: true,
    },
    {
      name: 'key-column',
      value: 'TABLE:COLUMN',
      summary: 'a table that has the tenant in another column',
      many: true,
    },
    { name: 'undo', summary: 'take everything back: policies, grants, roles, schema' },
    { name: 'apply', summary: 'run the statements, in one transaction, after asking' },
    { name: 'yes', summary: 'do not ask' },
  ],
  examples: [
    ['postern database protect shop > protect.sql', 'the SQL, to read it or to run it with psql'],
    [
      'postern database protect shop --shared countries --key-column tenants:id --apply',
      'print it, ask, and run it',
    ],
    ['postern database protect shop --undo --apply', 'as it was before'],
  ],
  run,
}

const CHOICES = ['column', 'schema', 'table', 'shared', 'key-column'] as const

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  if (given.flag('undo') && given.any(...CHOICES))
    return invocation.misuse(
      '--undo takes back everything that was protected: it goes with no choice of tables',
    )
  if (given.flag('yes') && !given.flag('apply'))
    return invocation.misuse('--yes answers the question of --apply: without --apply nothing is run')
  const keyColumns = readKeyColumns(given.list('key-column') ?? [])
  if (!keyColumns.ok) return invocation.misuse(keyColumns.error, 'invalid_value')

  const { withAudit } = await import('./with-audit.ts')
  return await withAudit(invocation, given, async (desk) => {
    const name = given.argument('NAME') ?? ''
    const { chosenDatabase, noSuchDatabase } = await import('./open-database.ts')
    const database = chosenDatabase(desk.settings, name)
    if (database === undefined) return noSuchDatabase(invocation, desk.settings, name)
    const { protectDatabase } = await import('./protect-database.ts')
    return await protectDatabase(invocation, desk, database, {
      undo: given.flag('undo'),
      apply: given.flag('apply'),
      asked: !given.flag('yes'),
      column: given.text('column') ?? 'tenant_id',
      schemas: given.list('schema') ?? ['public'],
      tables: given.list('table') ?? null,
      shared: given.list('shared') ?? [],
      keyColumns: keyColumns.value,
    })
  })
}

/** The last colon parts the two: a table may have one in its name, in quotes. */
function readKeyColumns(
  texts: readonly string[],
): Result<readonly (readonly [table: string, column: string])[], string> {
  const read = texts.map((text) => /^(.+):([^:]+)$/.exec(text))
  const wrong = read.indexOf(null)
  if (wrong !== -1) return err(`--key-column takes TABLE:COLUMN, and "${texts[wrong] ?? ''}" has no colon`)
  return ok(read.flatMap((match) => (match ? [[match[1] ?? '', match[2] ?? ''] as const] : [])))
}
