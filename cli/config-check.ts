import type { Change } from '../src/config/difference.ts'
import type { Settings } from '../src/config/settings.ts'
import type { Result } from '../src/lib/result.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import type { ReadSettings } from './read-settings.ts'
import type { Running } from './running.ts'
import { columns, printable } from './text.ts'

export const command: Command = {
  name: 'config check',
  summary: 'name every problem of the configuration at once, or say what was understood',
  description:
    'Reads the configuration as "postern serve" does, with its environment references and variables, and ' +
    'connects to nothing. With --against it also says what differs from another configuration file.',
  options: [{ name: 'against', value: 'FILE', summary: 'a configuration file to compare with' }],
  examples: [
    ['postern config check', 'the configuration in this directory'],
    ['postern config check --config new.yaml --against postern.yaml', 'what a new file would change'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const { readSettings } = await import('./read-settings.ts')
  const read = await readSettings(invocation, given)
  if (!read.ok) return read.error
  const changes = await changesSince(invocation, given, read.value.settings)
  if (changes && !changes.ok) return changes.error

  const { compareWithRunning } = await import('./running.ts')
  const running = await compareWithRunning(read.value.settings)
  const shown = await summary(read.value)
  invocation.answer(
    {
      ...shown,
      running: running ? await runningDocument(running) : null,
      ...(changes ? { changes: changes.value.map(changeDocument) } : {}),
    },
    [
      ...summaryLines(shown, invocation),
      ...(running ? await runningLines(running) : []),
      ...(changes ? await changeLines(changes.value) : []),
    ].join('\n'),
  )
  return 0
}

/** What `--against` asks for; `undefined` without it. */
async function changesSince(
  invocation: Invocation,
  given: Given,
  settings: Settings,
): Promise<Result<readonly Change[], 1> | undefined> {
  const file = given.text('against')
  if (file === undefined) return undefined
  const { readSettings } = await import('./read-settings.ts')
  const other = await readSettings(invocation, {
    ...given,
    text: (option) => (option === 'config' ? file : given.text(option)),
  })
  if (!other.ok) return other
  const { difference } = await import('../src/config/difference.ts')
  return { ok: true, value: difference(other.value.settings, settings) }
}

const changeDocument = ({ path, kind, before, after }: Change) => ({ path, kind, before, after })

async function runningDocument({ pid, since, url, changes }: Running) {
  const { isTakenOver } = await import('../src/config/take-over.ts')
  return {
    pid,
    since,
    url,
    changes: changes.map((change) => ({ ...changeDocument(change), restart: !isTakenOver(change.path) })),
  }
}

async function runningLines({ pid, url, changes }: Running): Promise<readonly string[]> {
  const { formatChange } = await import('../src/config/difference.ts')
  const { isTakenOver } = await import('../src/config/take-over.ts')
  const who = `the gateway that runs (${url}, process ${pid})`
  if (changes.length === 0) return ['', `Nothing differs from ${who}.`]
  const line = (change: Change): string =>
    `  ${printable(formatChange(change))}${isTakenOver(change.path) ? '' : '  (after a restart)'}`
  return ['', `What differs from ${who}:`, ...changes.map(line)]
}

interface Summary {
  readonly file: string | null
  readonly dialect: string
  readonly address: string
  readonly base_url: string | null
  readonly tls: boolean
  readonly data_dir: string
  readonly store: string
  readonly authentication: boolean
  readonly tokens: readonly string[]
  readonly token_file: string | null
  readonly databases: readonly {
    readonly name: string
    readonly host: string
    readonly port: number
    readonly database: string
    readonly user: string
    /** Every caller as a role of their own tenant. */
    readonly protected: boolean
  }[]
  readonly providers: readonly { readonly name: string; readonly issuer: string }[]
  readonly mcp_servers: readonly {
    readonly name: string
    readonly transport: string
    /** The program, or the URL without its query. */
    readonly target: string
    /** Names of the tokens that may use it; `null`: every valid credential. */
    readonly tokens: readonly string[] | null
  }[]
  readonly model: string | null
  readonly warnings: readonly string[]
}

/** What was understood: names and places, never a secret. */
async function summary({ settings, file, dialect, warnings }: ReadSettings): Promise<Summary> {
  const { formatAddress } = await import('../src/lib/address.ts')
  const { withoutQuery } = await import('../src/config/difference.ts')
  return {
    file,
    dialect,
    address: formatAddress(settings.server),
    base_url: settings.server.baseUrl,
    tls: settings.server.tls !== null,
    data_dir: settings.dataDir,
    store: settings.store.kind === 'sqlite' ? settings.store.file : 'PostgreSQL',
    authentication: settings.auth.enabled,
    tokens: settings.auth.tokens.map(({ name }) => name),
    token_file: settings.auth.tokenFile,
    databases: settings.databases.map(({ name, host, port, database, user, tenancy }) => ({
      name,
      host,
      port,
      database,
      user,
      protected: tenancy !== null,
    })),
    providers: settings.auth.oidc.map(({ name, issuer }) => ({ name, issuer })),
    mcp_servers: settings.mcpServers.map(({ name, reach, rules }) => ({
      name,
      transport: reach.kind === 'stdio' ? 'stdio' : reach.transport,
      target: reach.kind === 'stdio' ? reach.command : withoutQuery(reach.url),
      tokens: rules.authTokens,
    })),
    model: settings.model?.model ?? null,
    warnings,
  }
}

function summaryLines(shown: Summary, { style }: Invocation): readonly string[] {
  const rows: (readonly [string, string])[] = [
    ['File', shown.file === null ? 'none: the defaults are in force' : shown.file],
    ...(shown.dialect === 'native' ? [] : [['Shape', shown.dialect] as const]),
    [
      'Address',
      `${shown.address}${shown.address.startsWith(':') ? ' (every interface)' : ''}${shown.tls ? ', HTTPS' : ''}`,
    ],
    ...(shown.base_url === null ? [] : [['Base URL', shown.base_url] as const]),
    ['Data', shown.data_dir],
    ['Store', shown.store],
    ['Authentication', shown.authentication ? 'on' : 'off'],
    ...shown.providers.map(
      ({ name, issuer }, at) => [at === 0 ? 'Providers' : '', `${name}: ${issuer}`] as const,
    ),
    [
      'Tokens',
      shown.tokens.length === 0
        ? 'none in the configuration'
        : `${shown.tokens.length}: ${shown.tokens.join(', ')}`,
    ],
    ...(shown.token_file === null ? [] : [['Token file', shown.token_file] as const]),
    ...(shown.databases.length === 0
      ? [['Databases', 'none'] as const]
      : shown.databases.map(
          ({ name, host, port, database, user, protected: isProtected }, at) =>
            [
              at === 0 ? 'Databases' : '',
              `${name}${at === 0 ? ' (default)' : ''}: ${database} on ${host}:${port} as ${user}${isProtected ? ', protected' : ''}`,
            ] as const,
        )),
    ...shown.mcp_servers.map(
      ({ name, transport, target, tokens }, at) =>
        [
          at === 0 ? 'MCP servers' : '',
          `${name}: ${target} (${transport === 'auto' ? 'transport found out' : transport}; ${
            tokens === null ? 'any token' : tokens.length === 0 ? 'no token' : `tokens ${tokens.join(', ')}`
          })`,
        ] as const,
    ),
    ...(shown.model === null ? [] : [['Model', shown.model] as const]),
  ]
  const warnings =
    shown.warnings.length === 0
      ? []
      : [
          '',
          shown.warnings.length === 1
            ? 'One thing to look at:'
            : `${shown.warnings.length} things to look at:`,
          ...shown.warnings.map((line) => `  ${printable(line)}`),
        ]
  return [
    style.bold('The configuration is good.'),
    '',
    columns(
      rows.map(([name, text]) => [name, printable(text)] as const),
      { indent: 2, left: 14, width: 400 },
    ),
    ...warnings,
  ]
}

async function changeLines(changes: readonly Change[]): Promise<readonly string[]> {
  if (changes.length === 0) return ['', 'Nothing differs.']
  const { formatChange } = await import('../src/config/difference.ts')
  return ['', 'What differs:', ...changes.map((change) => `  ${printable(formatChange(change))}`)]
}
