import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CLI_CODES } from '../../cli/codes.ts'
import type { Command, OptionSpec } from '../../cli/command.ts'
import { COMMAND_NAMES, loadAllCommands } from '../../cli/commands.ts'
import { GLOBAL_OPTIONS } from '../../cli/global-options.ts'
import { translateSingleDash } from '../../cli/single-dash.ts'
import { ROOT } from './postern.ts'

const page = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8')

/** The part of the page under one heading, up to the next one. */
const section = (heading: string): string =>
  new RegExp(`^#+ ${heading}\\n([\\s\\S]*?)(?=^#|(?![\\s\\S]))`, 'm').exec(page)?.[1] ?? ''

const documentedOptions = (text: string): string[] =>
  [...text.matchAll(/^\| `(--[^`]+)`/gm)].map((match) => match[1] as string).sort()

const label = (option: OptionSpec): string =>
  option.value === undefined ? `--${option.name}` : `--${option.name} ${option.value}`

const heading = (command: Command): string =>
  `\`postern ${[command.name, ...(command.arguments ?? []).map((a) => (a.optional === true ? `[${a.name}]` : a.name))].join(' ')}\``

const commands = (await loadAllCommands()).flatMap(([, list]) => list)

describe('docs/cli.md', () => {
  it.each(commands)('documents exactly the options of $name', (command) => {
    const text = section(heading(command).replaceAll(/[[\]]/g, String.raw`\$&`))
    expect(text, `a section headed ${heading(command)}`).not.toBe('')
    expect(documentedOptions(text)).toEqual((command.options ?? []).map(label).sort())
  })

  it('documents no command that is not there', () => {
    const documented = [...page.matchAll(/^### `postern ([^`]+)`/gm)].map((match) => match[1] as string)
    expect(documented.toSorted()).toEqual(
      commands.map((command) => heading(command).slice('`postern '.length, -1)).toSorted(),
    )
  })

  it('documents exactly the options that every command takes', () => {
    expect(documentedOptions(section('Every command'))).toEqual(GLOBAL_OPTIONS.map(label).sort())
  })

  it('documents exactly the codes that the command line adds', () => {
    const documented = [...section('JSON').matchAll(/^\| `([a-z_]+)`/gm)].map((match) => match[1] ?? '')
    expect(documented.toSorted()).toEqual(CLI_CODES.toSorted())
  })

  it('shows single-dash spellings that are what it says they are', () => {
    const rows = [...section('Single-dash spellings').matchAll(/^\| (.*?) +\| (.*?) +\|$/gm)].slice(2)
    const flags = rows.flatMap(([, spelling = '']) => [...spelling.matchAll(/`(-[a-z-]+)(?: ([A-Z]+))?`/g)])
    expect(flags.length).toBeGreaterThan(15)
    for (const [, flag = '', value] of flags) {
      const detail = /^-token-(?:note|expiry|database)$/.test(flag)
      const translated = translateSingleDash([
        ...(detail ? ['-add-token'] : ['-http']).filter(() => !/^-(?:remove|list|add)-/.test(flag)),
        flag,
        ...(value === undefined ? [] : ['x']),
      ])
      expect(translated, flag).toMatchObject({ ok: true })
    }
  })
})

describe('the command table', () => {
  it('calls each command by the name that the command has itself', () => {
    expect(commands.map((command) => command.name)).toEqual(COMMAND_NAMES)
  })

  it('has options that no other option of the same command hides', () => {
    for (const command of commands) {
      const names = [...(command.options ?? []), ...GLOBAL_OPTIONS].map((option) => option.name)
      expect(new Set(names).size, command.name).toBe(names.length)
    }
  })
})
