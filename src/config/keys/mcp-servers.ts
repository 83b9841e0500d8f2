import { isLoopbackHost } from '../../lib/address.ts'
import { isOwnName } from '../../lib/own-paths.ts'
import { choice, duration, flag, path, size, strings, text, webUrl, whole } from '../leaves.ts'
import { memberPath } from '../node.ts'
import type { McpServerSettings } from '../settings.ts'
import {
  type Context,
  mapped,
  type Naming,
  named,
  optional,
  type Place,
  section,
  type Spec,
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
  refuses: (name) =>
    isOwnName(name)
      ? `cannot be called "${name}": Postern answers that path itself, so choose another name`
      : undefined,
  caseless: true,
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
) => void

const server: Spec<McpServerSettings> = {
  about: fields.about,
  shape: fields.shape,
  check(node, place, context) {
    const parts = fields.parts(node, place, context)
    const good = checkServer(parts, place, context)
    return good && isComplete(parts) ? toSettings(place.name ?? '', parts) : undefined
  },
}

export const mcpServers: Spec<readonly McpServerSettings[]> = mapped(
  named(
    'MCP servers behind Postern, by name. Each is reached at `/NAME/mcp`, all of them at `/mcp`.',
    server,
    SERVER_NAMING,
  ),
  (servers) => servers.map(({ value }) => value),
)

const isComplete = (parts: Partial<Values>): parts is Values =>
  fields.shape.kind === 'section' &&
  Object.keys(fields.shape.fields).every((key) => Object.hasOwn(parts, key))

/** What only shows when several keys are looked at together; a key that could not be read is passed over. */
function checkServer(parts: Partial<Values>, place: Place, context: Context): boolean {
  const at = (member: string): Place => {
    if (member === '') return place
    const key = memberPath(place.key, member)
    return context.places.get(key) ?? { ...place, path: memberPath(place.path, member), key }
  }
  let good = true
  const wrong: Wrong = (code, member, message) => {
    context.report.problem(code, at(member), message)
    good = false
  }
  if (isGiven(parts.command)) checkStdio(parts, wrong)
  else if (parts.command === null) checkHttp(parts, wrong)
  if (isGiven(parts.url)) warnOfPlainText(parts.url, parts, at, context)
  warnOfRules(parts, at, context)
  return good
}

const isGiven = <T>(value: T): value is NonNullable<T> =>
  value !== null && value !== undefined && !(Array.isArray(value) && value.length === 0)

function checkStdio(parts: Partial<Values>, wrong: Wrong): void {
  if (isGiven(parts.url)) wrong('config_conflict', 'url', 'stands beside command: keep one of the two')
  for (const member of ['transport', 'clientCredentials', 'headers'] as const)
    if (isGiven(parts[member])) wrong('config_conflict', member, 'belongs to a url, not to a command')
  const { userCredential: credential } = parts
  if (credential?.kind === 'header')
    wrong('config_conflict', 'userCredential', 'names a header, but a program takes it from env')
  if (credential?.kind === 'env' && parts.process === 'shared')
    wrong('config_conflict', 'userCredential', 'needs a process for each caller: remove process: shared')
}

function checkHttp(parts: Partial<Values>, wrong: Wrong): void {
  // Nothing else can be judged: most likely one of the two is misspelt.
  if (parts.url === null) {
    wrong('config_missing', '', 'needs a command or a url')
    return
  }
  for (const member of ['cwd', 'process', 'args', 'env'] as const)
    if (isGiven(parts[member])) wrong('config_conflict', member, 'belongs to a command, not to a url')
  const names = (parts.headers ?? []).map(({ name }) => name.toLowerCase())
  const doubled = names.find((name, index) => names.indexOf(name) !== index)
  if (doubled !== undefined)
    wrong('config_conflict', 'headers', `has ${doubled} twice: case makes no difference`)
  const { userCredential: credential } = parts
  if (credential?.kind === 'env')
    wrong('config_conflict', 'userCredential', 'names env, but a URL takes it from header')
  // A principal's own credential may stand in place of the server's header; a token that is fetched may not.
  const others = [...names, ...(credential?.kind === 'header' ? [credential.header] : [])]
  if (isGiven(parts.clientCredentials) && others.includes('authorization'))
    wrong(
      'config_conflict',
      'clientCredentials',
      'sets Authorization, which is set by another key, too: keep one',
    )
}

function toSettings(name: string, value: Values): McpServerSettings | undefined {
  const reach = reachOf(value)
  return (
    reach && {
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
      userCredential: value.userCredential,
      limits: {
        timeoutMs: value.timeout,
        connectTimeoutMs: value.connectTimeout,
        messageBytes: value.messageBytes,
        concurrency: value.concurrency,
        conversations: value.conversations,
        idleMs: value.idleTime,
      },
    }
  )
}

function reachOf(value: Values): McpServerSettings['reach'] | undefined {
  const { command, args, cwd, url, clientCredentials: fetched } = value
  if (command !== null)
    return { kind: 'stdio', command, args, env: byName(value.env), cwd, process: value.process ?? 'caller' }
  return url === null
    ? undefined
    : {
        kind: 'http',
        url,
        transport: value.transport ?? 'auto',
        headers: byName(value.headers.map((header) => ({ ...header, name: header.name.toLowerCase() }))),
        clientCredentials: fetched,
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
  url: string,
  { headers: sent, clientCredentials: fetched, userCredential: credential }: Partial<Values>,
  at: (member: string) => Place,
  context: Context,
): void {
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'http:' || isLoopbackHost(hostname.replace(/^\[|\]$/g, ''))) return
  if (isGiven(sent) || isGiven(fetched) || isGiven(credential))
    context.report.warning(
      'config_insecure',
      at('url'),
      'is not https, so the credential that is sent there can be read on the way',
    )
}

function warnOfRules(
  { authTokens, toolFilter: filter, tools }: Partial<Values>,
  at: (member: string) => Place,
  context: Context,
): void {
  if (authTokens?.length === 0)
    context.report.warning(
      'config_ignored',
      at('authTokens'),
      'is empty: no token of auth.tokens may use this server',
    )
  if (!filter) return
  if (filter.mode === 'allow' && filter.tools.length === 0)
    context.report.warning('config_ignored', at('toolFilter'), 'allows nothing: this server has no tools')
  for (const { name } of tools ?? [])
    if (filter.tools.includes(name) !== (filter.mode === 'allow'))
      context.report.warning(
        'config_ignored',
        context.places.get(memberPath(at('tools').key, name)) ?? at('tools'),
        'has no effect: toolFilter leaves this tool out',
      )
}
