import type { Clock } from '../src/lib/clock.ts'
import type { Input, Invocation, OnSignal, Output } from './command.ts'
import { styleFor } from './style.ts'
import { printable } from './text.ts'

/** The process around one run of the command line. */
export interface Surroundings {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly onSignal: OnSignal
  readonly clock: Clock
}

const line = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

/** Capital letter and full stop: messages are sentences, wherever they come from. */
const asSentence = (text: string): string => {
  const clean = text.split('\n').map(printable).join('\n').trim()
  return /[.!?:]$/.test(clean) ? clean : `${clean}.`
}

export function createInvocation(around: Surroundings, json: boolean): Invocation {
  const { stdin, stdout, stderr, env } = around
  let answered = false

  const writeDocument = (document: unknown): void => {
    if (answered) throw new TypeError('a second JSON document on standard output')
    answered = true
    stdout.write(`${JSON.stringify(document, null, 2)}\n`)
  }
  const report = (
    error: 'failed' | 'refused' | 'usage',
    message: string,
    code: string,
    details: Readonly<Record<string, unknown>>,
    more: readonly string[],
  ): void => {
    // `serve` has answered long before it can fail: the one document is out, so the rest is for people.
    if (json && !answered) {
      writeDocument({ error, message, code, ...details })
      return
    }
    stderr.write(line(`postern: ${asSentence(message)}`))
    for (const text of more) stderr.write(line(`  ${printable(text)}`))
  }

  return {
    ...around,
    json,
    interactive: stdin.isTTY === true && stderr.isTTY === true && !json,
    style: styleFor(stdout, env),
    noteStyle: styleFor(stderr, env),
    answer(document, text) {
      if (json) writeDocument(document)
      else stdout.write(line(text))
    },
    note(text) {
      stderr.write(line(text))
    },
    fail({ code, message, details = {}, more = [] }) {
      report('failed', message, code, details, [...more, ...(json ? [] : [`(${code})`])])
      return 1
    },
    refuse(refusal) {
      const { code, rule, message, allowed, candidates, node, scopes } = refusal
      report(
        'refused',
        message,
        code,
        {
          rule,
          ...(node === undefined ? {} : { node }),
          ...(allowed === undefined ? {} : { allowed }),
          ...(scopes === undefined ? {} : { scopes }),
          ...(candidates === undefined ? {} : { candidates }),
        },
        [
          ...(allowed === undefined ? [] : [`Allowed: ${allowed}`]),
          ...(candidates === undefined || candidates.length === 0
            ? []
            : ['Candidates:', ...candidates.map((name) => `  ${name}`)]),
          `(${code}, rule ${rule})`,
        ],
      )
      return 1
    },
    misuse(message, code = 'usage') {
      report('usage', message, code, {}, ['postern --help shows the commands and their options.'])
      return 2
    },
    of(command) {
      const misuse: Invocation['misuse'] = (message, code = 'usage') => {
        report('usage', message, code, {}, [`postern ${command} --help shows what it takes.`])
        return 2
      }
      return { ...this, misuse }
    },
  }
}
