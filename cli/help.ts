import type { ArgumentSpec, Command, OptionSpec, Style } from './command.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'
import { columns, wrap } from './text.ts'

/** Text wider than this is tiring to read, however wide the window. */
const WIDEST = 100

const INDENT = 2

const usable = (width: number): number => Math.max(50, Math.min(width, WIDEST))

const optionLabel = (option: OptionSpec): string =>
  option.value === undefined ? `--${option.name}` : `--${option.name} ${option.value}`

const argumentLabel = (argument: ArgumentSpec): string =>
  argument.optional === true ? `[${argument.name}]` : argument.name

function optionText(option: OptionSpec): string {
  const notes = [
    ...(option.choices ? [option.choices.join(', ')] : []),
    ...(option.standard === undefined ? [] : [`default: ${option.standard}`]),
    ...(option.many === true ? ['may be repeated'] : []),
  ]
  return notes.length === 0 ? option.summary : `${option.summary} (${notes.join('; ')})`
}

const indented = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line === '' ? '' : ' '.repeat(INDENT) + line))
    .join('\n')

const widest = (labels: readonly string[]): number =>
  Math.min(30, Math.max(0, ...labels.map((label) => label.length)))

function section(
  heading: string,
  rows: readonly (readonly [string, string])[],
  style: Style,
  left: number,
  width: number,
): string {
  return `${style.bold(heading)}\n${columns(rows, { indent: INDENT, left, width })}`
}

/** `postern --help`: every command, one line each. */
export function overview(
  groups: readonly (readonly [heading: string, readonly Command[]])[],
  version: string,
  style: Style,
  width: number,
): string {
  const all = groups.flatMap(([, commands]) => commands)
  const left = widest([...all.map((command) => command.name), ...GLOBAL_OPTIONS.map(optionLabel)])
  const sections = [
    `${style.bold('Postern')} ${style.dim(version)}\n` +
      wrap('One guarded door in front of MCP servers and PostgreSQL databases.', usable(width)).join('\n'),
    `${style.bold('Usage')}\n${indented('postern COMMAND [OPTIONS]')}`,
    ...groups.map(([heading, commands]) =>
      section(
        heading,
        commands.map((command) => [command.name, command.summary]),
        style,
        left,
        usable(width),
      ),
    ),
    section(
      'With every command',
      [
        ...GLOBAL_OPTIONS.map((option) => [optionLabel(option), optionText(option)] as const),
        ['--version', 'show the version'],
      ],
      style,
      left,
      usable(width),
    ),
    style.dim('postern COMMAND --help shows more about one command.'),
  ]
  return sections.join('\n\n')
}

/** `postern COMMAND --help`. */
export function commandHelp(command: Command, style: Style, width: number): string {
  const args = command.arguments ?? []
  const own = command.options ?? []
  const usage = [
    'postern',
    command.name,
    ...args.map(argumentLabel),
    ...(own.length > 0 ? ['[OPTIONS]'] : []),
  ]
  const left = widest([
    ...args.map((argument) => argument.name),
    ...own.map(optionLabel),
    ...GLOBAL_OPTIONS.map(optionLabel),
  ])
  const list = (heading: string, rows: readonly (readonly [string, string])[]): readonly string[] =>
    rows.length === 0 ? [] : [section(heading, rows, style, left, usable(width))]
  const about = sentence(command.summary)
  const sections = [
    wrap(about, usable(width)).join('\n'),
    `${style.bold('Usage')}\n${indented(usage.join(' '))}`,
    ...(command.description === undefined
      ? []
      : [indented(wrap(command.description, usable(width) - INDENT).join('\n'))]),
    ...list(
      'Arguments',
      args.map((argument) => [argument.name, argument.summary]),
    ),
    ...list(
      'Options',
      own.map((option) => [optionLabel(option), optionText(option)]),
    ),
    ...list(
      'With every command',
      GLOBAL_OPTIONS.map((option) => [optionLabel(option), optionText(option)]),
    ),
    ...(command.examples === undefined
      ? []
      : [
          `${style.bold('Examples')}\n` +
            command.examples
              .map(([line, does]) => indented(`${style.dim(`# ${does}`)}\n${line}`))
              .join('\n\n'),
        ]),
  ]
  return sections.join('\n\n')
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

/** The same as data, for `--help --json`. */
export function describeCommand(command: Command): Readonly<Record<string, unknown>> {
  return {
    name: command.name,
    summary: command.summary,
    ...(command.description === undefined ? {} : { description: command.description }),
    arguments: (command.arguments ?? []).map(({ name, summary, optional }) => ({
      name,
      summary,
      optional: optional === true,
    })),
    options: [...(command.options ?? []), ...GLOBAL_OPTIONS].map((option) => ({
      name: option.name,
      value: option.value ?? null,
      summary: option.summary,
      many: option.many === true,
      choices: option.choices ?? null,
      default: option.standard ?? null,
    })),
  }
}
