import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { err, ok, type Result } from '../src/lib/result.ts'
import { Secret } from '../src/lib/secret.ts'
import type { NoAnswer } from './ask.ts'
import type { Invocation } from './command.ts'

/** Bytes of standard input that are looked at; nothing that is asked for is longer. */
const LONGEST_INPUT_BYTES = 65_536

/**
 * A value that must not be seen: typed without an echo on a terminal, otherwise all of standard input, less one line
 * end. Never an argument: those are in the history of the shell and in the list of processes.
 */
export async function askSecret(invocation: Invocation, prompt: string): Promise<Result<Secret, NoAnswer>> {
  return invocation.interactive ? await typed(invocation, prompt) : await piped(invocation)
}

function typed({ stdin, stderr }: Invocation, prompt: string): Promise<Result<Secret, NoAnswer>> {
  return new Promise((resolve) => {
    // The line editor shows what is typed by writing it there.
    const nowhere = new Writable({
      write(_chunk, _encoding, done) {
        done()
      },
    })
    const reader = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 })
    let answer: Result<Secret, NoAnswer> = err({
      code: 'input_ended',
      message: 'the input ended before the value was given: nothing was done',
    })
    stderr.write(`${prompt}: `)
    reader.on('line', (line) => {
      answer = ok(new Secret(line))
      reader.close()
    })
    reader.on('SIGINT', () => {
      answer = err({ code: 'cancelled', message: 'cancelled: nothing was done' })
      reader.close()
    })
    reader.on('close', () => {
      stderr.write('\n')
      stdin.pause()
      resolve(answer)
    })
  })
}

async function piped({ stdin }: Invocation): Promise<Result<Secret, NoAnswer>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > LONGEST_INPUT_BYTES) {
      return err({ code: 'invalid_answer', message: 'the input is too long for a single value' })
    }
    chunks.push(part)
  }
  const value = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (value !== '') return ok(new Secret(value))
  return err({ code: 'input_ended', message: 'there is no value on standard input: nothing was done' })
}
