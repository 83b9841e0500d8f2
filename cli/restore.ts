import { resolve } from 'node:path'
import { accountName } from './account-name.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { readSettings } from './read-settings.ts'

export const command: Command = {
  name: 'restore',
  summary: 'make the store what a backup holds; stop the gateway first',
  description:
    'Checks the whole backup, then replaces the configured store in one step: SQLite or PostgreSQL, whichever the backup ' +
    'comes from. Everybody signs in again. What was removed since the backup comes back unless the store that is ' +
    'replaced still says that it was removed.',
  arguments: [{ name: 'FILE', summary: 'what postern backup wrote' }],
  options: [{ name: 'force', summary: 'replace a store that holds something' }],
  examples: [['postern restore /backup/postern-monday.db --force', 'goes back to Monday']],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const file = resolve(invocation.cwd, given.argument('FILE') ?? '')
  const read = await readSettings(invocation, given, 'administer')
  if (!read.ok) return read.error
  const { store, auth } = read.value.settings
  const [{ restoreBackup }, { bringBackTokenFile, checkTokenFile }, { restoredText, restoredJson }] =
    await Promise.all([
      import('../src/backup/restore.ts'),
      import('./bring-back-token-file.ts'),
      import('./restored-shown.ts'),
    ])
  const restored = await restoreBackup({
    file,
    store,
    checkTokenFile,
    force: given.flag('force'),
    now: invocation.clock.now(),
    principal: `local:${accountName()}`,
  })
  if (!restored.ok) return invocation.fail(restored.error)
  const tokenFile = await bringBackTokenFile(auth.tokenFile, restored.value.tokenFile)
  invocation.answer(
    restoredJson(restored.value, tokenFile),
    restoredText(restored.value, tokenFile, auth.tokenFile),
  )
  return 0
}
