import type { OnSignal } from '../cli/command.ts'
import { run } from '../cli/run.ts'
import { systemClock } from './lib/clock.ts'

const launched = process.env['POSTERN_LAUNCHED'] !== undefined && process.channel !== undefined
// Of no concern to the programs that this one starts.
delete process.env['POSTERN_LAUNCHED']

/** A launcher that was killed can send no signal; its closed channel means the same as SIGTERM. */
const onSignal: OnSignal = (signal, heard) => {
  const events: NodeJS.EventEmitter = process
  events.on(signal, heard)
  if (launched && signal === 'SIGTERM') process.on('disconnect', heard)
  return () => {
    events.off(signal, heard)
    process.off('disconnect', heard)
  }
}

// The reader of a pipe went away (`postern token list | head -1`): nobody is left to tell.
for (const output of [process.stdout, process.stderr]) {
  output.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
}

process.on('uncaughtException', (error) => {
  const detail = process.env['POSTERN_DEBUG']
    ? (error.stack ?? error.message)
    : 'set POSTERN_DEBUG=1 to see where'
  process.stderr.write(`postern: something went wrong inside Postern; ${detail}\n  (internal)\n`)
  process.exit(1)
})

/** Whatever still holds the process after this many milliseconds is not worth waiting for. */
const GRACE_MS = 500

const exitCode = await run({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal,
  clock: systemClock,
})

const flushed = (output: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    output.write('', () => {
      resolve()
    })
  })
await Promise.all([flushed(process.stdout), flushed(process.stderr)])
endWith(exitCode)

/**
 * Ends the process by leaving it nothing to do. `process.exit` joins V8's threads without stopping their work
 * first: one that compiles, and waits for a garbage collection that the main thread will never do, keeps the
 * process for ever (nodejs/node#54918; one start in fifty that failed early).
 */
function endWith(code: number): void {
  process.exitCode = code
  process.stdin.destroy()
  if (process.connected) process.disconnect()
  setTimeout(() => process.exit(code), GRACE_MS).unref()
}
