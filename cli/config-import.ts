import { dirname, resolve } from 'node:path'
import type { Imported } from '../src/config/import/import-file.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { failWithProblems } from './read-settings.ts'
import { printable } from './text.ts'
import { writeNewFile } from './write-new-file.ts'

export const command: Command = {
  name: 'config import',
  summary: 'turn the configuration of another program into a commented postern.yaml',
  description:
    'Reads a file in any shape that Postern knows (other gateways, the mcpServers block of Claude Desktop, ' +
    'mcp.json of VS Code) and writes the same in native keys. Tokens in it are replaced by their SHA-256, ' +
    'other credentials by references to environment variables, which are listed. Nothing is started and ' +
    'nothing is looked up in the environment.',
  arguments: [{ name: 'FILE', summary: 'the configuration to read' }],
  options: [
    { name: 'output', value: 'FILE', summary: 'where to write it', standard: 'standard output' },
    { name: 'force', summary: 'replace a file that is there' },
  ],
  examples: [
    ['postern config import config.dev.json --output postern.yaml', 'the configuration of another gateway'],
    ['postern config import claude_desktop_config.json', 'the servers of Claude Desktop, on standard output'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const output = given.text('output')
  const target = output === undefined ? undefined : resolve(invocation.cwd, output)
  if (target !== undefined && !/\.ya?ml$/i.test(target))
    return invocation.fail({
      code: 'file_not_written',
      message: `the result is YAML: let the name end in .yaml, unlike ${target}`,
    })
  const { importConfiguration } = await import('../src/config/import/import-file.ts')
  const read = await importConfiguration({
    file: given.argument('FILE') ?? '',
    cwd: invocation.cwd,
    ...(target === undefined ? {} : { outputDir: dirname(target) }),
  })
  if (!read.ok) return await failWithProblems(invocation, read.error)
  const imported = read.value
  if (target !== undefined) {
    const written = await writeNewFile(invocation, target, imported.text, {
      force: given.flag('force'),
      elsewhere: '--output',
    })
    if (!written.ok) return written.error
  }
  invocation.answer(document(imported, target), target === undefined ? imported.text : `Wrote ${target}`)
  if (!invocation.json) tell(invocation, imported, target)
  return 0
}

const document = ({ text, dialect, variables, hashedTokens, notes }: Imported, file: string | undefined) => ({
  file: file ?? null,
  dialect,
  variables,
  hashed_tokens: hashedTokens,
  notes,
  text: file === undefined ? text : null,
})

/** On standard error, so that standard output can be a file. */
function tell(invocation: Invocation, { variables, notes }: Imported, file: string | undefined): void {
  const { noteStyle } = invocation
  const lines = [
    ...(variables.length === 0
      ? []
      : [
          noteStyle.bold('Set these environment variables:'),
          ...variables.map(({ name, paths }) => `  ${name}  for ${paths.join(', ')}`),
        ]),
    ...(notes.length === 0 ? [] : [noteStyle.bold('To look at:'), ...notes.map((note) => `  ${note}`)]),
    `Then run "postern config check${file === undefined ? '' : ` --config ${file}`}".`,
  ]
  for (const line of lines) invocation.note(line.includes('\u001b') ? line : printable(line))
}
