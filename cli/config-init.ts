import { resolve } from 'node:path'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { configFile } from './read-settings.ts'
import { writeNewFile } from './write-new-file.ts'

export const command: Command = {
  name: 'config init',
  summary: 'write a commented configuration file to start from',
  description:
    'Writes postern.yaml here, or the file that --config names, readable by its owner only. Every key is ' +
    'in it with its default or an example, switched off, so it means the defaults until it is changed.',
  options: [{ name: 'force', summary: 'replace a file that is there' }],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const file = resolve(invocation.cwd, configFile(invocation, given) ?? 'postern.yaml')
  if (!/\.ya?ml$/i.test(file))
    return invocation.fail({
      code: 'file_not_written',
      message: `the starting file is YAML: let the name end in .yaml, unlike ${file}`,
    })
  const { startingFile } = await import('../src/config/starting-file.ts')
  const written = await writeNewFile(invocation, file, startingFile(), {
    force: given.flag('force'),
    elsewhere: '--config',
  })
  if (!written.ok) return written.error
  invocation.answer({ file }, `Wrote ${file}\nChange what you need, then run "postern config check".`)
  return 0
}
