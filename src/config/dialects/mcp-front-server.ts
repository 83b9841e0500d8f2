import { emptyMap, entryOf, type MapNode, memberPath, type Node, scalar, withEntry } from '../node.ts'
import type { DialectContext } from './dialect.ts'
import { goDuration } from './go-duration.ts'
import { ignoreOthers } from './ignore-others.ts'
import { filled } from './says.ts'
import { serviceTokens } from './service-auths.ts'
import { type TokenBook, wordList } from './token-book.ts'
import { takeUserToken } from './user-token.ts'

/** What the rest of the file means for a server. */
export interface FrontRules {
  readonly book: TokenBook
  /** The tokens that a list outside of the server names for it; `null` when there are no such lists. */
  readonly listed: { readonly names: readonly string[]; readonly at: Node } | null
  /** `authTokens` holds the tokens themselves, not their names. */
  readonly holdsValues: boolean
  /** `authTokens` of every server that has none of its own. */
  readonly shared: Node | undefined
  /** Only tokens that stand at servers let somebody in. */
  readonly ownTokensOnly: boolean
}

const KEYS = [
  'transportType',
  'url',
  'command',
  'args',
  'env',
  'headers',
  'timeout',
  'authTokens',
  'toolFilter',
  'options',
  'serviceAuths',
  'requiresUserToken',
  'inline',
  'disabled',
]

/** Keys that may stand in `options` or beside it. */
const OPTION_KEYS = [
  'authTokens',
  'toolFilter',
  'timeout',
  'headers',
  'requiresUserToken',
  'disabled',
  'handler',
] as const

const WHY_NOT: Readonly<Record<string, string>> = {
  tokenSetup: 'people leave their credential with Postern without it',
  panicIfInvalid: 'a server that is down holds up no other',
  logEnabled: 'Postern always logs requests',
}

/** One server of `mcpServers` in native keys; `undefined` for one that Postern cannot have, which has been said. */
export function frontServer(
  name: string,
  item: Node,
  context: DialectContext,
  rules: FrontRules,
): Node | undefined {
  if (item.kind !== 'map') return item
  const { report } = context
  ignoreOthers(item, KEYS, WHY_NOT, context)
  const options = entryOf(item, 'options')
  if (options?.kind === 'map') ignoreOthers(options, OPTION_KEYS, WHY_NOT, context)
  // What it says could be who is kept out.
  else if (options) report.problem('config_wrong_type', options, 'must hold keys, such as authTokens')
  const pick = (key: (typeof OPTION_KEYS)[number]): Node | undefined => {
    const [outside, inside] = [entryOf(item, key), entryOf(options, key)]
    if (outside && inside) report.problem('config_conflict', inside, 'stands beside options, too: keep one')
    return outside ?? inside
  }

  let native = emptyMap(item.where, item.path)
  const put = (key: string, value: Node | undefined): void => {
    if (value) native = withEntry(native, key, value)
  }
  const kind = transportOf(item, context)
  if (kind === 'inline') return undefined
  const url = entryOf(item, 'url')
  put('url', url)
  put('transport', kind === null ? undefined : scalar(kind.transport, kind.at))
  put('command', entryOf(item, 'command'))
  put('args', entryOf(item, 'args'))
  const [env, headers] = [entryOf(item, 'env'), pick('headers')]
  const taken = takeUserToken({ item, env, headers, required: pick('requiresUserToken') }, context)
  put('userCredential', taken.userCredential)
  putOrIgnore('env', taken.env, url !== undefined, 'a server behind a url gets no environment from Postern')
  putOrIgnore('headers', taken.headers, url === undefined, 'a program gets no headers')
  put('timeout', timeoutOf(pick('timeout'), context))
  put('toolFilter', filterOf(pick('toolFilter'), context))
  put('authTokens', authTokensOf(name, item, pick('authTokens'), context, rules))
  return native

  function putOrIgnore(key: string, value: Node | undefined, ignored: boolean, reason: string): void {
    if (value && ignored && !(value.kind === 'map' && value.entries.length === 0))
      report.warning('config_ignored', value, `has no effect here: ${reason}`)
    else put(key, value)
  }
}

/** What the file calls a transport, and what is spoken then. The newer revisions share the name of the older. */
const TRANSPORTS: Readonly<Record<string, 'sse' | 'auto' | 'stdio'>> = {
  stdio: 'stdio',
  sse: 'sse',
  'streamable-client': 'auto',
  'streamable-http': 'auto',
  streamable: 'auto',
  http: 'auto',
}

function transportOf(
  item: MapNode,
  { report }: DialectContext,
): 'inline' | { readonly transport: 'sse' | 'auto'; readonly at: Node } | null {
  const at = entryOf(item, 'transportType')
  const inline = entryOf(item, 'inline')
  if (inline || (at?.kind === 'scalar' && at.text === 'inline')) {
    report.problem(
      'config_not_available',
      inline ?? at ?? item,
      'is not available in this version: Postern runs no tools out of the configuration. Put the commands into an MCP server of their own and name it as command',
    )
    return 'inline'
  }
  if (at === undefined) return null
  const transport =
    at.kind === 'scalar' && Object.hasOwn(TRANSPORTS, at.text) ? TRANSPORTS[at.text] : undefined
  if (transport === undefined) {
    report.problem(
      'config_bad_value',
      at,
      `is not a transport: use ${Object.keys(TRANSPORTS).slice(0, 4).join(', ')}`,
    )
    return null
  }
  if (transport !== 'stdio') return { transport, at }
  if (entryOf(item, 'command') === undefined) report.problem('config_missing', at, 'stdio needs a command')
  return null
}

function timeoutOf(node: Node | undefined, { report }: DialectContext): Node | undefined {
  if (node?.kind !== 'scalar') return node
  if (!filled(node)) return undefined
  if (!/^\d+$/.test(node.text)) return goDuration(node)
  // The number of nanoseconds, if it came out of Go; small ones are somebody's seconds or milliseconds.
  const nanoseconds = Number(node.text)
  if (nanoseconds >= 1_000_000_000) return scalar(Math.round(nanoseconds / 1_000_000), node)
  report.problem('config_bad_value', node, 'needs a unit: write 30s, 500ms or 2m')
  return undefined
}

function filterOf(node: Node | undefined, context: DialectContext): Node | undefined {
  if (node?.kind !== 'map') return node
  ignoreOthers(node, ['mode', 'list', 'tools'], {}, context)
  const mode = entryOf(node, 'mode')
  const [list, tools] = [entryOf(node, 'list'), entryOf(node, 'tools')]
  if (list && tools)
    context.report.problem('config_conflict', list, 'stands beside tools: keep one of the two')
  const blocks = mode?.kind === 'scalar' && mode.text === 'block'
  let native = emptyMap(node.where, node.path)
  if (mode) native = withEntry(native, 'mode', blocks ? scalar('deny', mode) : mode)
  const names = tools ?? list
  return names ? withEntry(native, 'tools', names) : native
}

/** `undefined`: any valid token. What cannot be made out leaves the server to fewer, not to more. */
function authTokensOf(
  name: string,
  item: MapNode,
  own: Node | undefined,
  context: DialectContext,
  { book, listed, holdsValues, shared, ownTokensOnly }: FrontRules,
): Node | undefined {
  const given = own ?? shared
  const services = entryOf(item, 'serviceAuths')
  const fromServices = services ? serviceTokens(name, services, book, context) : []
  const path = memberPath(item.path, 'authTokens')
  if (holdsValues) {
    if (!given) return undefined
    const items = given.kind === 'list' ? given.items : [given]
    const names = book.addAllFor(name, items, context.report, own ? name : 'shared')
    return { ...wordList([...names, ...fromServices], given), path }
  }
  if (given) {
    if (given.kind !== 'list') return given
    return { ...given, items: [...given.items, ...wordList(fromServices, given).items] }
  }
  if (listed) return { ...wordList([...listed.names, ...fromServices], listed.at), path }
  return services && ownTokensOnly ? { ...wordList(fromServices, services), path } : undefined
}
