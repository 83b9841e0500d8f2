import { Fault } from '../src/lib/fault.ts'
import type { Command, ExitCode, Invocation } from './command.ts'
import { COMMAND_NAMES, loadAllCommands, loadCommand } from './commands.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'
import { createInvocation, type Surroundings } from './invocation.ts'
import { nearestWord } from '../src/lib/spelling.ts'
import { parse } from './parse.ts'
import { translateSingleDash } from './single-dash.ts'
import { version } from '../src/version.ts'

/** Runs one command line. Never throws and never ends the process: the exit code is the answer. */
export async function run(around: Surroundings): Promise<ExitCode> {
  const translated = translateSingleDash(around.argv)
  const argv = translated.ok ? translated.value : around.argv
  const invocation = createInvocation({ ...around, argv }, wantsJson(argv))
  try {
    if (!translated.ok) return invocation.misuse(translated.error)
    return await dispatch(invocation)
  } catch (error) {
    return reportFault(invocation, error)
  }
}

const wantsJson = (argv: readonly string[]): boolean => {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json')
}

async function dispatch(invocation: Invocation): Promise<ExitCode> {
  const { name, rest, word } = findCommand(invocation.argv)
  if (name !== undefined) {
    const command = await loadCommand(name)
    if (command) return await runCommand(invocation, command, rest)
  }
  if (word === undefined) {
    if (rest.includes('--version')) return showVersion(invocation)
    const parsed = parse(rest, { options: GLOBAL_OPTIONS, arguments: [] })
    if (!parsed.ok) return invocation.misuse(parsed.error.message, parsed.error.code)
    return await showOverview(invocation)
  }
  if (word === 'help') return await help(invocation, rest)
  const group = /^(\S+) help$/.exec(word)?.[1]
  if (group !== undefined) return await showOverview(invocation, (name) => name.startsWith(`${group} `))
  if (rest.includes('--help') || rest.includes('-h')) {
    const members = (name: string): boolean => name.startsWith(`${word} `)
    if (COMMAND_NAMES.some(members)) return await showOverview(invocation, members)
  }
  return invocation.misuse(unknownCommand(word), 'unknown_command')
}

/** Separates the command's words from the rest; options that every command takes may come before them. */
function findCommand(argv: readonly string[]): {
  readonly name?: string
  readonly rest: readonly string[]
  /** What stands where the command should be. */
  readonly word?: string
} {
  const takesValue = new Set(
    GLOBAL_OPTIONS.filter((option) => option.value !== undefined).map((option) => `--${option.name}`),
  )
  let at = 0
  while (at < argv.length && argv[at]?.startsWith('-') === true) at += takesValue.has(argv[at] ?? '') ? 2 : 1
  const [first, second] = [argv[at], argv[at + 1]]
  if (first === undefined) return { rest: argv }
  const before = argv.slice(0, at)
  const pair = `${first} ${second ?? ''}`
  const three = `${pair} ${argv[at + 2] ?? ''}`
  if (COMMAND_NAMES.includes(three)) return { name: three, rest: [...before, ...argv.slice(at + 3)] }
  if (COMMAND_NAMES.includes(pair)) return { name: pair, rest: [...before, ...argv.slice(at + 2)] }
  if (COMMAND_NAMES.includes(first)) return { name: first, rest: [...before, ...argv.slice(at + 1)] }
  const isGroup = COMMAND_NAMES.some((name) => name.startsWith(`${first} `))
  const word = isGroup && second !== undefined && !second.startsWith('-') ? pair : first
  return { word, rest: [...before, ...argv.slice(at + 1)] }
}

function unknownCommand(word: string): string {
  const [first = '', second] = word.split(' ')
  const below = COMMAND_NAMES.filter((name) => name.startsWith(`${word} `))
  if (below.length > 0) return `say what "${word}" should do: ${below.join(', ')}`
  const members = COMMAND_NAMES.filter((name) => name.startsWith(`${first} `))
  if (members.length > 0) {
    const verbs = members.map((name) => name.slice(first.length + 1))
    if (second === undefined) return `say what "${first}" should do: ${members.join(', ')}`
    const meant = nearestWord(second, verbs)
    return meant === undefined
      ? `"${first}" has no "${second}": there is ${members.join(', ')}`
      : `"${first}" has no "${second}", did you mean ${first} ${meant}?`
  }
  const words = [...new Set(COMMAND_NAMES.map((name) => name.split(' ')[0] ?? name))]
  const meant = nearestWord(first, words)
  return `unknown command "${first}"${meant === undefined ? '' : `, did you mean ${meant}?`}`
}

async function runCommand(around: Invocation, command: Command, words: readonly string[]): Promise<ExitCode> {
  const invocation = around.of(command.name)
  const parsed = parse(words, {
    options: [...(command.options ?? []), ...GLOBAL_OPTIONS],
    arguments: command.arguments ?? [],
  })
  if (!parsed.ok) return invocation.misuse(parsed.error.message, parsed.error.code)
  if (parsed.value.flag('help')) return await showCommandHelp(invocation, command)
  return await command.run(invocation, parsed.value)
}

async function help(invocation: Invocation, words: readonly string[]): Promise<ExitCode> {
  const asked = words.filter((word) => !word.startsWith('-')).join(' ')
  if (asked === '') return await showOverview(invocation)
  const command = await loadCommand(asked)
  if (command) return await showCommandHelp(invocation, command)
  const members = (name: string): boolean => name.startsWith(`${asked} `)
  if (COMMAND_NAMES.some(members)) return await showOverview(invocation, members)
  return invocation.misuse(unknownCommand(asked), 'unknown_command')
}

async function showOverview(
  invocation: Invocation,
  listed: (name: string) => boolean = () => true,
): Promise<ExitCode> {
  const { describeCommand, overview } = await import('./help.ts')
  const groups = (await loadAllCommands())
    .map(([heading, commands]) => [heading, commands.filter(({ name }) => listed(name))] as const)
    .filter(([, commands]) => commands.length > 0)
  invocation.answer(
    {
      name: 'postern',
      version: version(),
      commands: groups.flatMap(([, commands]) => commands.map(describeCommand)),
    },
    overview(groups, version(), invocation.style, invocation.stdout.columns ?? 100),
  )
  return 0
}

async function showCommandHelp(invocation: Invocation, command: Command): Promise<ExitCode> {
  const { commandHelp, describeCommand } = await import('./help.ts')
  invocation.answer(
    describeCommand(command),
    commandHelp(command, invocation.style, invocation.stdout.columns ?? 100),
  )
  return 0
}

function showVersion(invocation: Invocation): ExitCode {
  invocation.answer({ name: 'postern', version: version(), node: process.version }, `postern ${version()}`)
  return 0
}

function reportFault(invocation: Invocation, error: unknown): ExitCode {
  const trace = invocation.env['POSTERN_DEBUG']
    ? String(error instanceof Error ? error.stack : error).split('\n')
    : []
  if (error instanceof Fault)
    return invocation.fail({ code: error.code, message: error.message, more: trace })
  return invocation.fail({
    code: 'internal',
    message: 'something went wrong inside Postern; set POSTERN_DEBUG=1 to see where',
    more: trace,
  })
}
