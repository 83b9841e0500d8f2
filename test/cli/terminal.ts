import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { ROOT } from './postern.ts'

export interface Conversation {
  readonly code: number | null
  /** All that the terminal showed, without the codes for bold, cursor and colour. */
  readonly screen: string
}

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`

/**
 * Runs `bin/postern` on a pseudo-terminal (`script` of util-linux) and types each answer when the
 * terminal shows the text before it.
 */
export function converse(
  args: readonly string[],
  turns: readonly (readonly [shown: string, typed: string])[],
  how: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Conversation> {
  const command = [process.execPath, join(ROOT, 'bin/postern'), ...args].map(quoted).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: how.cwd ?? ROOT,
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', TERM: 'xterm', SHELL: '/bin/sh', ...how.env },
  })
  let screen = ''
  let seen = 0
  let turn = 0
  child.stdout.on('data', (chunk: Buffer) => {
    screen += stripVTControlCharacters(chunk.toString()).replaceAll('\r\n', '\n')
    for (;;) {
      const next = turns[turn]
      const at = next ? screen.indexOf(next[0], seen) : -1
      if (!next || at < 0) return
      seen = at + next[0].length
      turn += 1
      child.stdin.write(next[1])
    }
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, screen })
    })
  })
}
