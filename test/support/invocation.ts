import { PassThrough, Readable } from 'node:stream'
import type { Invocation } from '../../cli/command.ts'
import { createInvocation } from '../../cli/invocation.ts'
import { systemClock } from '../../src/lib/clock.ts'

export interface Circumstances {
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly json?: boolean
  /** What standard input holds before it ends; a stream for a test that writes as it goes. */
  readonly input?: string | Readable
}

/** An invocation on streams of the test's own, and what was written to them. */
export function testInvocation(how: Circumstances = {}): {
  readonly invocation: Invocation
  readonly stdout: () => string
  readonly stderr: () => string
} {
  const read = (stream: PassThrough): (() => string) => {
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    return () => text
  }
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const input = how.input ?? ''
  const invocation = createInvocation(
    {
      argv: how.argv ?? [],
      env: how.env ?? {},
      cwd: process.cwd(),
      stdin: typeof input === 'string' ? Readable.from(input === '' ? [] : [Buffer.from(input)]) : input,
      stdout,
      stderr,
      onSignal: () => () => {},
      clock: systemClock,
    },
    how.json ?? false,
  )
  return { invocation, stdout: read(stdout), stderr: read(stderr) }
}
