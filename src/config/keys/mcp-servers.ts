import { isLoopbackHost } from '../../lib/address.ts'
import { isOwnName } from '../../lib/own-paths.ts'
import { choice, duration, flag, path, size, strings, text, webUrl, whole } from '../leaves.ts'
import { memberPath } from '../node.ts'
import type { HttpReachSettings, McpServerSettings, StdioReachSettings } from '../settings.ts'
import {
  type Context,
  mapped,
  type Naming,
  named,
  optional,
  type Place,
  section,
  type ValueOf,
} from '../spec.ts'
import { clientCredentials, environment, headers, userCredential } from './mcp-credentials.ts'

const HOUR = 3_600_000
const KIB = 1_024
const MIB = 1_024 * KIB

const LEVELS = ['read-only', 'read-write', 'admin'] as const

/** A server's name is a part of its address and of the names of its tools. */
const SERVER_NAMING: Naming = {
  pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
  rule: 'use letters, digits and _ . -, starting with a letter or digit, 64 at most',
  example: 'files',
}

/** Whatever a server calls its tools: all that is known is that a name is one line. */
const TOOL_NAMING: Naming = {
  pattern: /^[^\p{Cc}]{1,256}$/u,
  rule: 'use the name of the tool as its server has it',
  example: 'write_file',
}

const wrongTool = (word: string): string | undefined =>
  TOOL_NAMING.pattern.test(word) ? undefined : 'is not the name of a tool'

const wrongScope = (word: string): string | undefined =>
  // RFC 6749 §3.3, scope-token.
  /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(word)
    ? undefined
    : 'is not a scope: no spaces, quotes or backslashes'

const toolFilter = section(
  'Which of its tools there are. What is filtered out is not listed and cannot be called.',
  {
    mode: choice('Whether the tools named are the only ones, or the ones left out.', ['allow', 'deny'], {
      example: 'deny',
    }),
    tools: strings('Names of tools as the server has them.', { check: wrongTool, example: ['delete_file'] }),
  },
)

const tool = section('One tool.', {
  level: optional(
    choice('Level that calling it needs.', LEVELS, { example: 'read-only' }),
    'the level of the server, or what a trusted hint says',
  ),
  scopes: strings('Scopes that calling it needs, beside those of the server.', {
    standard: [],
    check: wrongScope,
  }),
})

const fields = section('One MCP server: `command` or `url`, and who may use it.', {
  command: optional(
    text('Program to start; it speaks MCP on standard input and output.', { example: 'npx' }),
  ),
  args: strings('Its arguments.', {
    standard: [],
    verbatim: true,
  }),
  env: environment,
  cwd: optional(path('Directory it is started in.'), 'where Postern was started'),
  process: optional(
    choice(
      '`caller`: a process for each credential. `shared`: one for all callers, which then can ask its client nothing.',
      ['caller', 'shared'],
      {},
    ),
    'caller',
  ),
  url: optional(
    webUrl('Address of its MCP endpoint, in place of `command`. What follows a `?` is never shown.', {
      exact: true,
      example: 'https://wiki.example.com/mcp',
    }),
  ),
  transport: optional(
    choice(
      'What is spoken there: `sse` (2024-11-05), `streamable` (with sessions), `stateless` (2026-07-28), or found out by `auto`.',
      ['auto', 'sse', 'streamable', 'stateless'],
    ),
    'auto',
  ),
  headers,
  clientCredentials: optional(clientCredentials),
  userCredential: optional(userCredential),
  authTokens: optional(
    strings(
      'Tokens of `auth.tokens` that may use it. Further credentials may when they name this server.',
      {},
    ),
    'every valid credential',
  ),
  scopes: strings('Scopes that anything of this server needs.', { standard: [], check: wrongScope }),
  level: choice('Level that its tools need, unless something below says otherwise.', LEVELS, {
    standard: 'read-write',
  }),
  trustHints: flag(
    'Believe what the server says of its tools: those that only read need the level read-only.',
    {
      standard: false,
    },
  ),
  toolFilter: optional(toolFilter),
  tools: named('Rules for single tools, by name.', tool, TOOL_NAMING),
  timeout: duration('How long an answer may take.', { min: 100, max: 24 * HOUR }, { standard: '60s' }),
  connectTimeout: duration(
    'How long connecting, or starting the program, may take until its first answer.',
    { min: 100, max: HOUR },
    { standard: '15s' },
  ),
  messageBytes: size('Largest message from the server.', { min: KIB, max: 256 * MIB }, { standard: '8MiB' }),
  concurrency: whole('Requests that run at once, of all callers.', { min: 1, max: 10_000 }, { standard: 64 }),
  conversations: whole(
    'Processes or sessions open at once, of all callers.',
    { min: 1, max: 10_000 },
    { standard: 128 },
  ),
  idleTime: duration(
    'How long one that nobody uses is kept for the next request of its caller.',
    { min: 0, max: 24 * HOUR },
    { standard: '5m' },
  ),
})

type Values = ValueOf<typeof fields>

type Wrong = (
  code: 'config_bad_value' | 'config_conflict' | 'config_missing',
  key: string,
  message: string,
) => undefined

export const mcpServers = mapped(
  named(
    'MCP servers behind Postern, by name. Each is reached at `/NAME/mcp`, all of them at `/mcp`.',
    fields,
    SERVER_NAMING,
  ),
  (values, place, context): readonly McpServerSettings[] | undefined => {
    const servers = values.map(({ name, value }) => read(name, value, context))
    const known = new Map<string, string>()
    let distinct = true
    for (const { name } of values) {
      const other = known.get(name.toLowerCase())
      known.set(name.toLowerCase(), name)
      if (other === undefined) continue
      // Some file systems, proxies and people take the two for one.
      const at = context.places.get(memberPath(place.key, name)) ?? place
      context.report.problem('config_conflict', at, `differs from "${other}" in case only: rename one`)
      distinct = false
    }
    const good = servers.filter((server) => server !== undefined)
    return distinct && good.length === servers.length ? good : undefined
  },
)

function read(name: string, value: Values, context: Context): McpServerSettings | undefined {
  const key = memberPath('mcpServers', name)
  const at = (member: string): Place => {
    const own = context.places.get(key) ?? { where: { kind: 'nowhere' }, path: key, key }
    if (member === '') return own
    const inner = memberPath(key, member)
    return context.places.get(inner) ?? { ...own, path: memberPath(own.path, member), key: inner }
  }
  let good = true
  const wrong: Wrong = (code, member, message) => {
    context.report.problem(code, at(member), message)
    good = false
    return undefined
  }
  if (isOwnName(name))
    wrong(
      'config_conflict',
      '',
      `cannot be called "${name}": Postern answers that path itself, so choose another name`,
    )
  const reach = value.command === null ? readHttp(value, wrong) : readStdio(value, value.command, wrong)
  const credential = value.userCredential
  if (credential && reach && (credential.kind === 'env') !== (reach.kind === 'stdio'))
    wrong(
      'config_conflict',
      'userCredential',
      reach.kind === 'stdio'
        ? 'names a header, but a program takes it from env'
        : 'names env, but a URL takes it from header',
    )
  if (credential?.kind === 'env' && reach?.kind === 'stdio' && reach.process === 'shared')
    wrong('config_conflict', 'userCredential', 'needs a process for each caller: remove process: shared')
  if (reach?.kind === 'http') warnOfPlainText(reach, value, at, context)
  warnOfRules(value, at, context)
  if (!reach || !good) return undefined
  return {
    name,
    reach,
    rules: {
      authTokens: value.authTokens,
      scopes: value.scopes,
      level: value.level,
      trustHints: value.trustHints,
      toolFilter: value.toolFilter,
      tools: byName(value.tools),
    },
    userCredential: credential,
    limits: {
      timeoutMs: value.timeout,
      connectTimeoutMs: value.connectTimeout,
      messageBytes: value.messageBytes,
      concurrency: value.concurrency,
      conversations: value.conversations,
      idleMs: value.idleTime,
    },
  }
}

function readStdio(value: Values, command: string, wrong: Wrong): StdioReachSettings | undefined {
  for (const member of ['url', 'transport', 'clientCredentials'] as const)
    if (value[member] !== null)
      wrong(
        'config_conflict',
        member,
        member === 'url'
          ? 'stands beside command: keep one of the two'
          : 'belongs to a url, not to a command',
      )
  if (value.headers.length > 0) wrong('config_conflict', 'headers', 'belongs to a url, not to a command')
  return {
    kind: 'stdio',
    command,
    args: value.args,
    env: byName(value.env),
    cwd: value.cwd,
    process: value.process ?? 'caller',
  }
}

function readHttp(value: Values, wrong: Wrong): HttpReachSettings | undefined {
  for (const member of ['cwd', 'process'] as const)
    if (value[member] !== null) wrong('config_conflict', member, 'belongs to a command, not to a url')
  for (const member of ['args', 'env'] as const)
    if (value[member].length > 0) wrong('config_conflict', member, 'belongs to a command, not to a url')
  if (value.url === null) return wrong('config_missing', '', 'needs a command or a url')
  const lower = value.headers.map((header) => ({ ...header, name: header.name.toLowerCase() }))
  const doubled = lower.find(({ name }, index) => lower.findIndex((other) => other.name === name) !== index)
  if (doubled) wrong('config_conflict', 'headers', `has ${doubled.name} twice: case makes no difference`)
  const places = [
    ...lower.map(({ name }) => name),
    ...(value.clientCredentials ? ['authorization'] : []),
    ...(value.userCredential?.kind === 'header' ? [value.userCredential.header] : []),
  ]
  // A principal's own credential may stand in place of the server's header; a token that is fetched may not.
  if (value.clientCredentials && places.filter((name) => name === 'authorization').length > 1)
    wrong(
      'config_conflict',
      'clientCredentials',
      'sets Authorization, which is set by another key, too: keep one',
    )
  return {
    kind: 'http',
    url: value.url,
    transport: value.transport ?? 'auto',
    headers: byName(lower),
    clientCredentials: value.clientCredentials,
  }
}

/** Without prototype: a tool called `constructor` has no rule unless it was given one. */
function byName<T>(
  items: readonly { readonly name: string; readonly value: T }[],
): Readonly<Record<string, T>> {
  const record = Object.create(null) as Record<string, T>
  for (const { name, value } of items) record[name] = value
  return record
}

function warnOfPlainText(
  { url, headers: sent, clientCredentials: fetched }: HttpReachSettings,
  value: Values,
  at: (member: string) => Place,
  context: Context,
): void {
  const { protocol, hostname } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const credentials = Object.keys(sent).length > 0 || fetched !== null || value.userCredential !== null
  if (protocol === 'http:' && credentials && !isLoopbackHost(host))
    context.report.warning(
      'config_insecure',
      at('url'),
      'is not https, so the credential that is sent there can be read on the way',
    )
}

function warnOfRules(value: Values, at: (member: string) => Place, context: Context): void {
  if (value.authTokens?.length === 0)
    context.report.warning(
      'config_ignored',
      at('authTokens'),
      'is empty: no token of auth.tokens may use this server',
    )
  const { toolFilter: filter } = value
  if (filter?.mode === 'allow' && filter.tools.length === 0)
    context.report.warning('config_ignored', at('toolFilter'), 'allows nothing: this server has no tools')
  if (!filter) return
  for (const { name } of value.tools)
    if (filter.tools.includes(name) !== (filter.mode === 'allow'))
      context.report.warning(
        'config_ignored',
        context.places.get(memberPath(at('tools').key, name)) ?? at('tools'),
        'has no effect: toolFilter leaves this tool out',
      )
}
