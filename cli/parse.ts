import { err, ok, type Result } from '../src/lib/result.ts'
import type { CliCode } from './codes.ts'
import type { ArgumentSpec, Given, OptionSpec } from './command.ts'
import { nearestWord } from '../src/lib/spelling.ts'

/** Wrong usage, with a stable code. */
export interface Misuse {
  readonly code: CliCode
  readonly message: string
}

/** A word such as `--name` or `--name=value`; a value may hold anything, line ends included. */
const OPTION = /^--([^\s=]+)(?:=([\s\S]*))?$/

const misuse = (code: Misuse['code'], message: string): Result<never, Misuse> => err({ code, message })

const looksLikeOption = (word: string): boolean => word.startsWith('-') && word !== '-' && !/\s/.test(word)

/** Reads the words after a command's name. Nothing is guessed: a word that does not fit is wrong usage. */
export function parse(
  words: readonly string[],
  spec: { readonly options: readonly OptionSpec[]; readonly arguments: readonly ArgumentSpec[] },
): Result<Given, Misuse> {
  const known = new Map(spec.options.map((option) => [option.name, option]))
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  let onlyPositionals = false

  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (onlyPositionals) {
      positionals.push(word)
      continue
    }
    if (word === '--') {
      onlyPositionals = true
      continue
    }
    const match = OPTION.exec(word === '-h' ? '--help' : word)
    if (!match && !looksLikeOption(word)) {
      positionals.push(word)
      continue
    }
    const name = match?.[1] ?? word.replace(/^-+/, '')
    const option = match ? known.get(name) : undefined
    if (!option) return misuse('unknown_option', unknownOption(word, name, [...known.keys()]))

    let value = match?.[2]
    if (option.value === undefined) {
      if (value !== undefined) return misuse('invalid_value', `--${name} is a switch and takes no value`)
      value = ''
    } else if (value === undefined) {
      const next = words[index + 1]
      if (next === undefined || OPTION.test(next) || next === '--')
        return misuse('missing_value', `--${name} needs a value: --${name} ${option.value}`)
      value = next
      index += 1
    }
    if (option.choices) {
      const wrong = (option.many ? value.split(',') : [value]).find((item) => !option.choices?.includes(item))
      if (wrong !== undefined) return misuse('invalid_value', wrongChoice(option, wrong))
    }
    if (option.value !== undefined && value === '')
      return misuse('missing_value', `--${name} was given an empty value`)
    const earlier = values.get(name)
    if (earlier && !option.many && option.value !== undefined)
      return misuse('repeated_option', `--${name} was given twice`)
    values.set(name, [...(earlier ?? []), value])
  }

  const counted = countArguments(positionals, spec.arguments, values.has('help'))
  if (counted) return counted
  return ok(given(spec, values, positionals))
}

function unknownOption(word: string, name: string, known: readonly string[]): string {
  const meant = nearestWord(name, known)
  const shown = word.split('=', 1)[0] ?? word
  return `unknown option ${shown}${meant === undefined ? '' : `, did you mean --${meant}?`}`
}

function wrongChoice(option: OptionSpec, value: string): string {
  const choices = option.choices ?? []
  const meant = nearestWord(value, choices)
  const list = choices.join(', ')
  return `--${option.name} is one of ${list}, not "${value}"${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

function countArguments(
  positionals: readonly string[],
  specs: readonly ArgumentSpec[],
  helpWanted: boolean,
): Result<never, Misuse> | undefined {
  if (helpWanted) return undefined
  const missing = specs[positionals.length]
  if (missing && missing.optional !== true)
    return misuse('wrong_arguments', `${missing.name} is missing: ${missing.summary}`)
  const extra = positionals[specs.length]
  if (extra === undefined) return undefined
  const hint = specs.length > 0 && !/\s/.test(extra) ? '; put quotes around a value with spaces' : ''
  return misuse('wrong_arguments', `"${extra}" is one word too many${hint}`)
}

function given(
  spec: { readonly options: readonly OptionSpec[]; readonly arguments: readonly ArgumentSpec[] },
  values: ReadonlyMap<string, readonly string[]>,
  positionals: readonly string[],
): Given {
  const knows = (option: string): boolean => spec.options.some((known) => known.name === option)
  const of = (option: string): readonly string[] | undefined => {
    if (!knows(option)) throw new TypeError(`no option --${option} here`)
    return values.get(option)
  }
  return {
    knows,
    argument(name) {
      const index = spec.arguments.findIndex((argument) => argument.name === name)
      if (index < 0) throw new TypeError(`no argument ${name} here`)
      return positionals[index]
    },
    text: (option) => of(option)?.at(-1),
    flag: (option) => of(option) !== undefined,
    list: (option) =>
      of(option)
        ?.flatMap((value) => value.split(','))
        .map((value) => value.trim())
        .filter((value) => value !== ''),
    any: (...options) => options.some((option) => of(option) !== undefined),
  }
}
