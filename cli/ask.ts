import { createInterface, type Interface } from 'node:readline'
import { err, ok, type Result } from '../src/lib/result.ts'
import type { CliCode } from './codes.ts'
import type { Invocation } from './command.ts'

/** Why no answer came: the input ended, the person gave up, or a piped answer was no good. */
export interface NoAnswer {
  readonly code: Extract<CliCode, 'input_ended' | 'cancelled' | 'invalid_answer'>
  readonly message: string
}

export interface Question<T> {
  /** Without a colon: `Note`. */
  readonly text: string
  /** What an empty line means, shown in brackets. */
  readonly standard?: string
  /** Turns the line into an answer; the error is a sentence. Lines are trimmed. */
  readonly read: (line: string) => Result<T, string>
}

/** Asks on standard error, so that standard output holds nothing but the answer of the command. */
export interface Asker {
  ask<T>(question: Question<T>): Promise<Result<T, NoAnswer>>
  close(): void
}

/** One answer is one line; more than this is not typed by anybody. */
const LONGEST_ANSWER = 1000

/** All piped answers together: an endless line must not fill the memory. */
const LONGEST_INPUT_BYTES = 65_536

/**
 * A person is asked again after an answer that does not fit; a pipe is not, because its next line would
 * answer another question.
 */
export function createAsker(invocation: Invocation): Asker {
  const { stdin, stderr, interactive } = invocation
  const lines: string[] = []
  let waiting: ((line: string | NoAnswer) => void) | undefined
  let ended: NoAnswer | undefined

  const reader: Interface = createInterface({
    input: stdin,
    ...(interactive ? { output: stderr, terminal: true, historySize: 0 } : { terminal: false }),
  })
  const end = (reason: NoAnswer): void => {
    ended ??= reason
    waiting?.(ended)
    waiting = undefined
  }
  reader.on('line', (line) => {
    if (waiting) {
      const take = waiting
      waiting = undefined
      take(line)
    } else lines.push(line)
  })
  reader.on('SIGINT', () => {
    stderr.write('\n')
    end({ code: 'cancelled', message: 'cancelled: nothing was done' })
  })
  reader.on('close', () => {
    end({
      code: 'input_ended',
      message: 'the input ended before every question was answered: nothing was done',
    })
  })

  let inputBytes = 0
  const count = (chunk: Buffer | string): void => {
    inputBytes += chunk.length
    if (inputBytes <= LONGEST_INPUT_BYTES) return
    end({
      code: 'invalid_answer',
      message: 'the input is too long: answer each question with one short line',
    })
    reader.close()
  }
  if (!interactive) stdin.on('data', count)

  const nextLine = async (prompt: string): Promise<string | NoAnswer> => {
    if (interactive) {
      reader.setPrompt(prompt)
      reader.prompt()
    } else {
      stderr.write(prompt)
    }
    const line = lines.shift() ?? ended ?? (await new Promise<string | NoAnswer>((take) => (waiting = take)))
    if (!interactive) stderr.write('\n')
    return line
  }

  return {
    async ask({ text, standard, read }) {
      for (;;) {
        const line = await nextLine(`${text}${standard === undefined ? '' : ` [${standard}]`}: `)
        if (typeof line !== 'string') return err(line)
        const answer =
          line.length > LONGEST_ANSWER
            ? err(`that is longer than ${LONGEST_ANSWER} characters`)
            : read(line.trim())
        if (answer.ok) return ok(answer.value)
        if (!interactive) return err({ code: 'invalid_answer', message: `${text}: ${answer.error}` })
        stderr.write(`  ${answer.error}\n`)
      }
    },
    close() {
      reader.removeAllListeners()
      stdin.off('data', count)
      reader.close()
      stdin.pause()
    },
  }
}
