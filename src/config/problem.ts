import { basename } from 'node:path'
import type { Where } from './node.ts'

/** Every code has its line in `docs/configuration.md`; a test compares the two. */
export const PROBLEM_CODES = [
  'config_unreadable',
  'config_too_large',
  'config_syntax',
  'config_duplicate_key',
  'config_unknown_key',
  'config_not_available',
  'config_wrong_type',
  'config_bad_value',
  'config_missing',
  'config_missing_variable',
  'config_conflict',
  'config_insecure',
  'config_ignored',
] as const

export type ProblemCode = (typeof PROBLEM_CODES)[number]

/** One thing that is wrong (or, as a warning, doubtful) in a configuration. Never holds a secret. */
export interface Problem {
  readonly code: ProblemCode
  readonly where: Where
  /** The key as its author wrote it; empty for the file as a whole. */
  readonly path: string
  /** What is wrong and what to do, without a full stop. */
  readonly message: string
  /** The word that was probably meant. */
  readonly suggestion?: string
}

/** Every problem of one configuration, in the order of the file. */
export interface ConfigProblems {
  readonly file: string | null
  readonly problems: readonly Problem[]
  /** What was doubtful beside what was wrong. */
  readonly warnings: readonly Problem[]
}

export function formatWhere(where: Where): string {
  if (where.kind === 'file') return `${basename(where.file)}:${where.line}:${where.column}`
  if (where.kind === 'environment') return where.variable
  return where.kind === 'option' ? where.option : ''
}

/** `postern.yaml:3:5  server.adr  is not a key of server  (did you mean "addr"?)` */
export function formatProblem(problem: Problem): string {
  const parts = [formatWhere(problem.where), problem.path, problem.message]
  if (problem.suggestion !== undefined) parts.push(`(did you mean "${problem.suggestion}"?)`)
  return parts.filter((part) => part !== '').join('  ')
}

/** Collects what is wrong, so that all of it is reported at once. */
export class Report {
  readonly #problems: Problem[] = []
  readonly #warnings: Problem[] = []

  problem(
    code: ProblemCode,
    at: { readonly where: Where; readonly path: string },
    message: string,
    suggestion?: string,
  ): void {
    this.#problems.push(make(code, at, message, suggestion))
  }

  warning(
    code: ProblemCode,
    at: { readonly where: Where; readonly path: string },
    message: string,
    suggestion?: string,
  ): void {
    this.#warnings.push(make(code, at, message, suggestion))
  }

  get problems(): readonly Problem[] {
    return this.#problems.toSorted(byPlace)
  }

  get warnings(): readonly Problem[] {
    return this.#warnings.toSorted(byPlace)
  }

  get failed(): boolean {
    return this.#problems.length > 0
  }
}

function make(
  code: ProblemCode,
  at: { readonly where: Where; readonly path: string },
  message: string,
  suggestion: string | undefined,
): Problem {
  const problem = { code, where: at.where, path: at.path, message }
  return suggestion === undefined ? problem : { ...problem, suggestion }
}

function byPlace(a: Problem, b: Problem): number {
  if (a.where.kind !== 'file' || b.where.kind !== 'file')
    return Number(a.where.kind !== 'file') - Number(b.where.kind !== 'file')
  return a.where.line - b.where.line || a.where.column - b.where.column
}
