import type { Overrides } from '../src/config/load.ts'
import type { ConfigProblems } from '../src/config/problem.ts'
import type { Settings } from '../src/config/settings.ts'
import { DEMO_DATABASE } from '../src/databases/embedded/demo-name.ts'
import { sha256Hex } from '../src/lib/digest.ts'
import { err, ok, type Result } from '../src/lib/result.ts'
import type { Given, Invocation } from './command.ts'

export interface ReadSettings {
  readonly settings: Settings
  /** Absolute path; `null` without a file. */
  readonly file: string | null
  /** SHA-256 of the file's text; `null` without a file. */
  readonly digest: string | null
  /** `native`, or the name of a foreign shape. */
  readonly dialect: string
  /** One line each: what works but should be looked at. */
  readonly warnings: readonly string[]
}

/** The configuration file that this command line means, as it was typed. */
export const configFile = (invocation: Invocation, given: Given): string | undefined =>
  given.text('config') ?? (invocation.env['POSTERN_CONFIG'] || undefined)

/**
 * The settings that this command line means; every problem is reported at once, and the exit code is 1.
 *
 * @param purpose `administer`: credentials that only a running gateway needs may be missing from the environment
 */
export async function readSettings(
  invocation: Invocation,
  given: Given,
  purpose: 'run' | 'administer' = 'run',
): Promise<Result<ReadSettings, 1>> {
  const read = await load(invocation, given, purpose)
  if (read.ok) return read
  return err(await failWithProblems(invocation, read.error))
}

/** Reports every problem of a configuration at once. */
export async function failWithProblems(
  invocation: Invocation,
  { problems, file }: ConfigProblems,
): Promise<1> {
  const { formatProblem, formatWhere } = await import('../src/config/problem.ts')
  const name = file === null ? '' : ` ${file}`
  return invocation.fail({
    code: 'config_invalid',
    message:
      problems.length === 1
        ? `the configuration${name} has a problem`
        : `the configuration${name} has ${problems.length} problems`,
    details: {
      problems: problems.map((problem) => ({
        code: problem.code,
        where: formatWhere(problem.where),
        path: problem.path,
        message: problem.message,
        suggestion: problem.suggestion ?? null,
      })),
    },
    more: problems.map(formatProblem),
  })
}

/** The same for a process that runs: nothing is printed, the error is one line for each problem. */
export async function loadForReload(
  invocation: Invocation,
  given: Given,
): Promise<Result<ReadSettings, readonly string[]>> {
  const read = await load(invocation, given, 'run')
  if (read.ok && read.value.digest === EMPTY)
    return err([`${read.value.file} is empty: is it still being written?`])
  if (read.ok) return read
  const { formatProblem } = await import('../src/config/problem.ts')
  return err(read.error.problems.map(formatProblem))
}

/** Of a file without a word: no tokens and no servers, which nobody means while a gateway runs, and editors write first. */
const EMPTY = sha256Hex('')

async function load(
  invocation: Invocation,
  given: Given,
  purpose: 'run' | 'administer',
): Promise<Result<ReadSettings, ConfigProblems>> {
  const [{ loadSettings }, { formatProblem }] = await Promise.all([
    import('../src/config/load.ts'),
    import('../src/config/problem.ts'),
  ])
  const file = configFile(invocation, given)
  const loaded = await loadSettings({
    ...(file === undefined ? {} : { file }),
    cwd: invocation.cwd,
    env: invocation.env,
    overrides: overridesOf(given),
    now: invocation.clock.now(),
    purpose,
  })
  if (!loaded.ok) return loaded
  const { settings, digest, dialect, warnings } = loaded.value
  return ok({ settings, file: loaded.value.file, digest, dialect, warnings: warnings.map(formatProblem) })
}

/** The options of this command that stand for settings; a command that lacks one of them overrides nothing. */
function overridesOf(given: Given): Overrides {
  const text = <K extends string>(option: string, key: K): Partial<Record<K, string>> => {
    const value = given.knows(option) ? given.text(option) : undefined
    return value === undefined ? {} : ({ [key]: value } as Record<K, string>)
  }
  const flag = <K extends string>(option: string, key: K): Partial<Record<K, true>> =>
    given.knows(option) && given.flag(option) ? ({ [key]: true } as Record<K, true>) : {}
  return {
    ...text('addr', 'addr'),
    ...text('data-dir', 'dataDir'),
    ...text('token-file', 'tokenFile'),
    ...text('cert', 'tlsCert'),
    ...text('key', 'tlsKey'),
    ...flag('tls', 'tls'),
    ...flag('no-auth', 'noAuth'),
    ...(given.knows('demo') && given.flag('demo') ? { demoDatabases: [DEMO_DATABASE] } : {}),
  }
}
