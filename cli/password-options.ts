import { err, ok, type Result } from '../src/lib/result.ts'
import { Secret } from '../src/lib/secret.ts'
import type { ExitCode, Given, Invocation, OptionSpec } from './command.ts'

export const PASSWORD_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'password',
    value: 'PASSWORD',
    summary: 'the password; others can see it in the list of processes and the history of the shell',
  },
  { name: 'password-stdin', summary: 'read the password from standard input' },
]

/**
 * The password, from where it was said to be; asked for, twice and without an echo, where nothing was said and
 * somebody is there.
 */
export async function readPassword(invocation: Invocation, given: Given): Promise<Result<Secret, ExitCode>> {
  const typed = given.text('password')
  const piped = given.flag('password-stdin')
  if (typed !== undefined && piped) {
    return err(invocation.misuse('--password and --password-stdin: give one of them', 'usage'))
  }
  if (typed !== undefined) {
    invocation.note(
      'Warning: others can see a password on the command line, in the list of processes and in the history of the ' +
        'shell. Use --password-stdin, or leave it out and be asked.',
    )
    return ok(new Secret(typed))
  }
  if (!piped && !invocation.interactive) {
    return err(
      invocation.misuse('a password is needed: --password-stdin reads it from standard input', 'usage'),
    )
  }
  const { askSecret } = await import('./ask-secret.ts')
  const first = await askSecret(piped ? { ...invocation, interactive: false } : invocation, 'Password')
  if (!first.ok) return err(invocation.fail(first.error))
  if (piped) return first
  const again = await askSecret(invocation, 'The same again')
  if (!again.ok) return err(invocation.fail(again.error))
  if (again.value.reveal() === first.value.reveal()) return first
  return err(
    invocation.fail({ code: 'invalid_answer', message: 'the two passwords differ: nothing was done' }),
  )
}
