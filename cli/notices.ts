import { describe } from '../src/observe/describe.ts'
import type { Observe } from '../src/observe/observation.ts'
import type { Invocation } from './command.ts'
import { printable } from './text.ts'

/** What a person at the command line should know of what happens underneath: warnings, not the log. */
export function createNotices(invocation: Invocation): Observe {
  return (observation) => {
    const { severity, msg, fields } = describe(observation)
    if (severity !== 'warn' && severity !== 'error') return
    const problem = typeof fields['problem'] === 'string' ? `: ${printable(fields['problem'])}` : ''
    invocation.note(`postern: ${printable(msg)}${problem}`)
  }
}
