import { basename, dirname, resolve } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import { dialectOf } from '../dialects/index.ts'
import { NATIVE_KEYS } from '../load.ts'
import type { MapNode } from '../node.ts'
import { parseText } from '../parse.ts'
import { type ConfigProblems, formatProblem, Report } from '../problem.ts'
import { readFile } from '../read-file.ts'
import { referencesAsText } from '../references.ts'
import { NativeFile } from './native-file.ts'
import type { NeededVariable } from './variables.ts'

export interface ImportOptions {
  readonly file: string
  /** Absolute path. */
  readonly cwd: string
  /** Where the result will stand, so that relative paths in it mean the same; absolute. Without it, beside the file. */
  readonly outputDir?: string
}

export interface Imported {
  /** A native configuration in YAML, with comments. */
  readonly text: string
  /** `native`, or the name of the foreign shape. */
  readonly dialect: string
  readonly variables: readonly NeededVariable[]
  /** Names of tokens whose value stood in the file: only its SHA-256 was kept. */
  readonly hashedTokens: readonly string[]
  /** One line each: what has no equivalent, or no effect. */
  readonly notes: readonly string[]
}

/**
 * Turns a configuration in any shape into the native one. Nothing is looked up in the environment, and no credential
 * of the file is in the result.
 */
export async function importConfiguration(options: ImportOptions): Promise<Result<Imported, ConfigProblems>> {
  const file = resolve(options.cwd, options.file)
  const report = new Report()
  const failed = (): Result<Imported, ConfigProblems> =>
    err({ file, problems: report.problems, warnings: report.warnings })

  const read = await readFile(file, report)
  const root = read && parseText(read.text, file, report)
  if (!root || report.failed) return failed()

  const dialect = dialectOf(root, NATIVE_KEYS)
  const prepared = dialect?.prepare?.(root, report) ?? root
  const withText = referencesAsText(prepared) as MapNode
  const native = dialect ? dialect.translate(withText, { report, env: {} }) : withText
  // What this version lacks is left out and said; what is wrong has to be put right first.
  const wrong = report.problems.filter(({ code }) => code !== 'config_not_available')
  if (wrong.length > 0) return failed()

  const written = new NativeFile(native, {
    fileDir: dirname(file),
    outputDir: options.outputDir ?? dirname(file),
  })
  const notes = [...report.problems, ...report.warnings, ...written.leftOut].map(formatProblem)
  const name = dialect?.name ?? 'native'
  const head = headOf(`${basename(file)}${dialect ? ` (${name})` : ''}`, written, notes)
  return ok({
    text: [...head, ...written.lines].join('\n').trimEnd().concat('\n'),
    dialect: name,
    variables: written.variables,
    hashedTokens: written.hashedTokens,
    notes,
  })
}

function headOf(
  source: string,
  { variables, hashedTokens }: NativeFile,
  notes: readonly string[],
): readonly string[] {
  const set =
    variables.length === 0
      ? []
      : ['', 'Set these environment variables before you start it:', ...variables.map(variableLine)]
  const hashed =
    hashedTokens.length === 0
      ? []
      : [
          '',
          `Tokens that stood in that file go on working; here is only their SHA-256: ${hashedTokens.join(', ')}`,
        ]
  const said = notes.length === 0 ? [] : ['', 'To look at:', ...notes.map((note) => `  ${note}`)]
  return [
    `Written by "postern config import" from ${source}.`,
    '"postern config check" names every problem, docs/configuration.md has every key.',
    ...set,
    ...hashed,
    ...said,
  ].map((line) => (line === '' ? '#' : `# ${line.replaceAll(/\p{Cc}/gu, '\uFFFD')}`))
}

const BECAUSE = {
  reference: '',
  plain: ' (its value stood in the file)',
  default: ' (its default stood in the file, and was left out)',
} as const

const variableLine = ({ name, paths, because }: NeededVariable): string =>
  `  ${name}: ${paths.join(', ')}${BECAUSE[because]}`
