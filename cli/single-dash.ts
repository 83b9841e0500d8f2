import { err, ok, type Result } from '../src/lib/result.ts'
import { nearestWord } from '../src/lib/spelling.ts'

/**
 * The single-dash command line that users of flag-only servers know: `-add-token -token-note "CI"`,
 * `-http -addr :8080`. Each flag may carry `=value` and may be written with two dashes; each command line
 * becomes the native one before anything else looks at it.
 */
const SWITCHES = ['http', 'tls', 'no-auth', 'add-token', 'list-tokens', 'json', 'help', 'version'] as const

const VALUES = [
  'addr',
  'cert',
  'key',
  'config',
  'data-dir',
  'token-file',
  'token-note',
  'token-expiry',
  'token-database',
  'remove-token',
] as const

type Switch = (typeof SWITCHES)[number]
type Valued = (typeof VALUES)[number]

/** Spelt with two dashes, these belong to the native command line as well. */
const NEUTRAL = ['config', 'data-dir', 'json', 'help', 'version']

const FLAG = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/

interface Flags {
  readonly on: ReadonlySet<Switch>
  readonly values: ReadonlyMap<Valued, string>
}

/** Gives back native words; a command line without such flags as it came. The error is wrong usage. */
export function translateSingleDash(argv: readonly string[]): Result<readonly string[], string> {
  if (!isSingleDash(argv)) return ok(argv)
  const flags = readFlags(argv)
  return flags.ok ? toNative(flags.value) : flags
}

const isSwitch = (name: string): name is Switch => (SWITCHES as readonly string[]).includes(name)
const isValued = (name: string): name is Valued => (VALUES as readonly string[]).includes(name)

/**
 * True when the first telling word is a flag of this dialect, not a native command. A configuration file
 * and nothing to do with it (`--config f`) serves.
 */
function isSingleDash(argv: readonly string[]): boolean {
  const neutral = new Set<string>()
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? ''
    const match = FLAG.exec(word === '-h' ? '--help' : word)
    const name = match?.[1]
    if (!match || name === undefined) return false
    const twoDashes = match[0].startsWith('--')
    if (!twoDashes || !NEUTRAL.includes(name)) return !twoDashes || isSwitch(name) || isValued(name)
    neutral.add(name)
    if (isValued(name) && match[2] === undefined) index += 1
  }
  return neutral.has('config') && !neutral.has('help') && !neutral.has('version')
}

function readFlags(argv: readonly string[]): Result<Flags, string> {
  const on = new Set<Switch>()
  const values = new Map<Valued, string>()
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? ''
    const match = FLAG.exec(word === '-h' ? '-help' : word)
    if (!match) return err(`"${word}" does not belong here: a value with spaces needs quotes around it`)
    const [, name = '', given] = match
    if (isSwitch(name)) {
      if (given === 'false') continue
      if (given !== undefined && given !== 'true')
        return err(`-${name} is a switch: -${name} or -${name}=false`)
      on.add(name)
    } else if (isValued(name)) {
      const value = given ?? argv[index + 1]
      if (value === undefined || (given === undefined && isFlag(value))) return err(`-${name} needs a value`)
      if (given === undefined) index += 1
      // A blank value means the default. Nothing is removed by default: `-remove-token "$UNSET"` must not serve.
      if (value === '' && name === 'remove-token') return err(`-${name} needs a value`)
      if (value !== '') values.set(name, value)
    } else {
      const meant = nearestWord(name, [...SWITCHES, ...VALUES])
      return err(
        `unknown option ${word.split('=', 1)[0] ?? word}${meant === undefined ? '' : `, did you mean -${meant}?`}`,
      )
    }
  }
  return ok({ on, values })
}

const isFlag = (word: string): boolean => {
  const name = FLAG.exec(word)?.[1]
  return name !== undefined && (isSwitch(name) || isValued(name))
}

function toNative({ on, values }: Flags): Result<readonly string[], string> {
  const carry = (native: string, flag: Valued): readonly string[] => {
    const value = values.get(flag)
    return value === undefined ? [] : [`--${native}=${value}`]
  }
  const everywhere = [
    ...carry('config', 'config'),
    ...carry('data-dir', 'data-dir'),
    ...(['json', 'help'] as const).filter((name) => on.has(name)).map((name) => `--${name}`),
  ]
  const file = carry('token-file', 'token-file')
  const actions = [
    ...(on.has('add-token') ? ['-add-token'] : []),
    ...(on.has('list-tokens') ? ['-list-tokens'] : []),
    ...(values.has('remove-token') ? ['-remove-token'] : []),
  ]
  if (actions.length > 1) return err(`${actions.join(' and ')} do not go together: one at a time`)
  const stray = (['token-note', 'token-expiry', 'token-database'] as const).find((name) => values.has(name))
  if (stray !== undefined && !on.has('add-token')) return err(`-${stray} goes with -add-token`)

  if (on.has('version')) return ok(['--version', ...everywhere])
  if (on.has('list-tokens')) return ok(['token', 'list', ...file, ...everywhere])
  const removed = values.get('remove-token')
  if (removed !== undefined) return ok(['token', 'remove', ...file, ...everywhere, '--', removed])
  if (on.has('add-token')) {
    const complete = values.has('token-note') && values.has('token-expiry')
    return ok([
      'token',
      'add',
      '--into=configured',
      ...(complete ? [] : ['--ask']),
      ...carry('note', 'token-note'),
      ...carry('expiry', 'token-expiry'),
      ...carry('database', 'token-database'),
      ...file,
      ...everywhere,
    ])
  }
  return ok([
    'serve',
    ...carry('addr', 'addr'),
    ...(on.has('tls') ? ['--tls'] : []),
    ...carry('cert', 'cert'),
    ...carry('key', 'key'),
    ...(on.has('no-auth') ? ['--no-auth'] : []),
    ...file,
    ...everywhere,
  ])
}
