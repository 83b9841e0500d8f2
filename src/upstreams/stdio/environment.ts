import type { Secret } from '../../lib/secret.ts'

/** What a program needs of its surroundings to run at all, and that holds no secret. */
const PASSED_ON = new Set([
  'PATH',
  'HOME',
  'LANG',
  'LANGUAGE',
  'TMPDIR',
  'TZ',
  'USER',
  'LOGNAME',
  'SHELL',
  'TERM',
])

/** Whether a variable of our own goes along. */
export const isPassedOn = (name: string): boolean => PASSED_ON.has(name) || name.startsWith('LC_')

/**
 * The whole environment of a server's process: a short list of harmless variables, and what is configured.
 * Nothing else of our own goes along: Postern's environment is where its database passwords and tokens are.
 */
export function processEnvironment(
  ours: Readonly<Record<string, string | undefined>>,
  configured: Readonly<Record<string, Secret>>,
): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(ours)) {
    // Bash hands functions over as variables that begin like this, and runs what follows them.
    if (value === undefined || value.startsWith('()')) continue
    if (isPassedOn(name)) environment[name] = value
  }
  for (const [name, value] of Object.entries(configured)) environment[name] = value.reveal()
  return environment
}
