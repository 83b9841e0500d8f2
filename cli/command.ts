import type { Readable, Writable } from 'node:stream'
import type { Refusal } from '../src/access/refusal.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { CliCode } from './codes.ts'

/** 0 done, 1 refused or failed, 2 wrong usage. */
export type ExitCode = 0 | 1 | 2

/** One option. Without `value` it is a switch; with it, the word that stands for the value in help. */
export interface OptionSpec {
  /** Without dashes: `data-dir`. */
  readonly name: string
  /** What stands for the value in help: `FILE`. */
  readonly value?: string
  /** One line, lower-case first letter, no full stop. */
  readonly summary: string
  /** May be given several times; a value may also hold several names separated by commas. */
  readonly many?: boolean
  /** The only values that are accepted. */
  readonly choices?: readonly string[]
  /** What help shows as the default. */
  readonly standard?: string
}

/** One positional argument. Arguments after the first optional one are optional, too. */
export interface ArgumentSpec {
  /** As help shows it: `ID`. */
  readonly name: string
  readonly summary: string
  readonly optional?: boolean
}

/**
 * One command: one file of this folder that exports `command`. Its static imports are light; what is
 * heavy (config, store, identity, gateway) is imported inside `run`, so that `--help` costs nothing.
 */
export interface Command {
  /** The words that call it: `token add`. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** A paragraph for its own help, where the summary is not enough. */
  readonly description?: string
  readonly arguments?: readonly ArgumentSpec[]
  /** Beside the ones that every command takes: `--config`, `--data-dir`, `--json`, `--help`. */
  readonly options?: readonly OptionSpec[]
  /** Whole command lines, each with what it does. */
  readonly examples?: readonly (readonly [line: string, does: string])[]
  /** Throws `Fault` for what should have worked and did not; everything expected is an exit code. */
  run(invocation: Invocation, given: Given): Promise<ExitCode>
}

/** What was given on the command line, checked against the command's specification. */
export interface Given {
  /** Whether the command has such an option at all; asking for the value of another one is a mistake. */
  knows(option: string): boolean
  /** A positional argument by the name in its specification. */
  argument(name: string): string | undefined
  /** The value of an option, `undefined` when it was not given. */
  text(option: string): string | undefined
  /** Whether a switch was given. */
  flag(option: string): boolean
  /** The values of an option that may be given several times, split at commas; `undefined` when not given. */
  list(option: string): readonly string[] | undefined
  /** Whether any of these options was given. */
  any(...options: readonly string[]): boolean
}

/** `exit`: the process is about to end, whatever the reason; nothing that takes time happens any more. */
export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'exit'

/** Reader of one process signal; the returned function stops listening. */
export type OnSignal = (signal: Signal, heard: () => void) => () => void

export interface Input extends Readable {
  readonly isTTY?: boolean
}

export interface Output extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
}

/** Bold and dim where the terminal shows them, plain text everywhere else. */
export interface Style {
  bold(text: string): string
  dim(text: string): string
}

/** Why a command did not do what it was asked: printed as a sentence, or as the JSON error document. */
export interface Failure {
  /** A stable code: one of a `Fault`, of a `Refusal`, or of the command line. */
  readonly code: string
  /** Complete sentence: what happened and what to do. Never a credential. */
  readonly message: string
  /** More members of the JSON document. */
  readonly details?: Readonly<Record<string, unknown>>
  /** More lines for people, below the message. */
  readonly more?: readonly string[]
}

/** One run of the command line: the process around it, handed in, and the ways to answer. */
export interface Invocation {
  /** The arguments after the command's name, as they were typed. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute path; relative file names are meant from here. */
  readonly cwd: string
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly onSignal: OnSignal
  readonly clock: Clock
  /** `--json` was given: one JSON document on standard output and nothing else there. */
  readonly json: boolean
  /** Somebody sits at the keyboard and sees the screen: questions make sense. */
  readonly interactive: boolean
  /** For text on standard output. */
  readonly style: Style
  /** For text on standard error. */
  readonly noteStyle: Style

  /**
   * The answer of the command: the document in JSON mode, the text otherwise, on standard output.
   * Called exactly once by a command that did what it was asked.
   */
  answer(document: unknown, text: string): void
  /** A line for people on standard error: progress, warnings, questions. */
  note(text: string): void
  /** Reports a failure (standard error, or the JSON error document) and gives exit code 1. */
  fail(failure: Failure): 1
  /** The same for a refusal, with what would be allowed and the candidates. */
  refuse(refusal: Refusal): 1
  /** Reports wrong usage and gives exit code 2. */
  misuse(message: string, code?: CliCode): 2
  /** The same for one command: wrong usage leads to its own help. */
  of(command: string): Invocation
}
