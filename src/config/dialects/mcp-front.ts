import { nearestWord } from '../../lib/spelling.ts'
import { emptyMap, entryOf, type MapNode, memberPath, type Node, withEntry } from '../node.ts'
import type { Dialect, DialectContext } from './dialect.ts'
import { frontServer } from './mcp-front-server.ts'
import { goDuration } from './go-duration.ts'
import { ignoreOthers } from './ignore-others.ts'
import { filled, isTrue } from './says.ts'
import { shellReferences } from './shell-references.ts'
import { TokenBook } from './token-book.ts'

/**
 * The JSON of MCP Front in the forms in which it was published: `proxy` with tokens by name, or by server, or with
 * `serviceAuths` at each server; and `mcpProxy`, which it and mcp-proxy began with.
 */
export const mcpFront: Dialect = {
  name: 'mcp-front',
  recognises(root) {
    if (entryOf(root, 'proxy') ?? entryOf(root, 'mcpProxy')) return true
    const servers = entryOf(root, 'mcpServers')
    if (servers?.kind !== 'map') return false
    if (entryOf(root, 'version')) return true
    const telling = ['transportType', 'options', 'serviceAuths', 'requiresUserToken', 'inline']
    return servers.entries.some(({ value }) => telling.some((key) => entryOf(value, key)))
  },
  prepare: (root, report) => (entryOf(root, 'mcpProxy') ? shellReferences(root, report) : root),
  translate(root, context) {
    const proxy = entryOf(root, 'proxy') ?? entryOf(root, 'mcpProxy')
    ignoreOthers(root, ['version', 'proxy', 'mcpProxy', 'mcpServers', 'oauth'], {}, context)
    const oauth = entryOf(root, 'oauth')
    if (oauth) refuseOauth(oauth, context)
    const second = entryOf(root, 'proxy') && entryOf(root, 'mcpProxy')
    if (second) context.report.problem('config_conflict', second, 'stands beside proxy: keep one of the two')
    if (proxy && proxy.kind !== 'map')
      context.report.problem('config_wrong_type', proxy, 'must hold keys: name, baseUrl, addr, auth')

    const book = new TokenBook()
    const named = readTokens(proxy, book, context)
    const native = translateProxy(proxy, root, context)
    const servers = translateServers(root, proxy, book, named, context)
    const auth = withEntry(emptyMap(root.where, 'proxy.auth'), 'tokens', book.toNode(proxy ?? root))
    if (book.names.length === 0)
      context.report.warning(
        'config_missing',
        proxy ?? root,
        'has no tokens, and nobody gets in without one: "postern token add" issues them',
      )
    const withTokens = book.names.length > 0 ? withEntry(native, 'auth', auth) : native
    return servers ? withEntry(withTokens, 'mcpServers', servers) : withTokens
  },
}

const OAUTH =
  'is not available in this version: Postern does not sign people in yet. Use kind bearer_token with tokens, or ' +
  'issue them with "postern token add"'

const refuseOauth = (node: Node, { report }: DialectContext): void => {
  report.problem('config_not_available', node, OAUTH)
}

const WHY_NOT: Readonly<Record<string, string>> = {
  admin: 'who administers Postern is a matter of the level of a token, admin',
  version: 'Postern tells its own',
  type: 'Postern answers every transport at once',
  cleanupInterval: 'sessions are closed when their time is over',
  logEnabled: 'Postern always logs requests',
  panicIfInvalid: 'a server that is down holds up no other',
}

const PROXY_KEYS = ['name', 'baseUrl', 'baseURL', 'addr', 'auth', 'sessions', 'options']

function translateProxy(proxy: Node | undefined, root: MapNode, context: DialectContext): MapNode {
  const native = emptyMap(root.where)
  if (proxy?.kind !== 'map') return native
  ignoreOthers(proxy, PROXY_KEYS, WHY_NOT, context)
  let server = emptyMap(proxy.where, proxy.path)
  for (const [foreign, key] of [
    ['name', 'name'],
    ['addr', 'addr'],
    ['baseURL', 'baseUrl'],
    ['baseUrl', 'baseUrl'],
  ] as const) {
    const value = entryOf(proxy, foreign)
    if (filled(value)) server = withEntry(server, key, value)
  }
  const result = withEntry(native, 'server', server)
  const limits = translateSessions(entryOf(proxy, 'sessions'), context)
  return limits ? withEntry(result, 'limits', limits) : result
}

function translateSessions(sessions: Node | undefined, context: DialectContext): MapNode | undefined {
  if (sessions && sessions.kind !== 'map')
    context.report.problem('config_wrong_type', sessions, 'must hold keys: timeout, maxPerUser')
  if (sessions?.kind !== 'map') return undefined
  ignoreOthers(sessions, ['timeout', 'maxPerUser'], WHY_NOT, context)
  let limits = emptyMap(sessions.where, sessions.path)
  const timeout = entryOf(sessions, 'timeout')
  if (timeout?.kind === 'scalar' && filled(timeout))
    limits = withEntry(limits, 'sessionIdle', goDuration(timeout))
  const most = entryOf(sessions, 'maxPerUser')
  // There, 0 means without a bound; here there always is one.
  if (most?.kind === 'scalar' && most.value !== 0) limits = withEntry(limits, 'sessionsPerCredential', most)
  return limits
}

/** What `proxy.auth` says of tokens: each under its name, or lists of them under the names of servers. */
interface NamedTokens {
  /** Names of tokens by server; `null` when the tokens have names of their own. */
  readonly byServer: ReadonlyMap<string, readonly string[]> | null
  /** Where it says so. */
  readonly at: Node | undefined
}

function readTokens(proxy: Node | undefined, book: TokenBook, context: DialectContext): NamedTokens {
  const none = { byServer: null, at: undefined }
  const auth = entryOf(proxy, 'auth')
  if (!auth) return none
  const { report } = context
  if (auth.kind !== 'map') {
    report.problem('config_wrong_type', auth, 'must hold keys: kind, tokens')
    return none
  }
  const kind = entryOf(auth, 'kind')
  if (kind?.kind === 'scalar' && kind.text === 'oauth') {
    // Its other keys say how, and would each be a complaint of its own.
    refuseOauth(kind, context)
    return none
  }
  ignoreOthers(auth, ['kind', 'tokens'], {}, context)
  const kinds = ['bearer_token', 'bearerToken']
  if (kind?.kind !== 'scalar' || !kinds.includes(kind.text))
    report.problem('config_bad_value', kind ?? auth, 'needs the kind bearer_token')
  const tokens = entryOf(auth, 'tokens')
  if (tokens?.kind !== 'map') {
    report.problem('config_missing', tokens ?? auth, 'needs tokens: a name and a value for each')
    return none
  }
  const byServer = new Map<string, readonly string[]>()
  for (const { key, value } of tokens.entries) {
    if (value.kind === 'scalar') book.addNamed(key, value)
    else if (value.kind === 'list') byServer.set(key, book.addAllFor(key, value.items, report))
    else report.problem('config_wrong_type', value, 'must be a token, or a list of the tokens of one server')
  }
  if (byServer.size > 0 && byServer.size < tokens.entries.length)
    report.problem(
      'config_conflict',
      tokens,
      'mixes tokens by name with lists of tokens by server: use one of the two',
    )
  return { byServer: byServer.size > 0 ? byServer : null, at: tokens }
}

function translateServers(
  root: MapNode,
  proxy: Node | undefined,
  book: TokenBook,
  { byServer, at }: NamedTokens,
  context: DialectContext,
): Node | undefined {
  const servers = entryOf(root, 'mcpServers')
  if (servers?.kind !== 'map') return servers
  const options = entryOf(proxy, 'options')
  if (options?.kind === 'map') ignoreOthers(options, ['authTokens'], WHY_NOT, context)
  else if (options) context.report.problem('config_wrong_type', options, 'must hold keys, such as authTokens')
  let native: MapNode = { ...servers, entries: [] }
  for (const { key, where, value } of servers.entries) {
    const from = value.kind === 'map' ? entryOf(value, 'options') : undefined
    if (isTrue(entryOf(from, 'disabled')) || isTrue(entryOf(value, 'disabled'))) {
      const place = { where, path: memberPath(servers.path, key) }
      context.report.warning('config_ignored', place, 'is disabled, so it is left out')
      continue
    }
    const translated = frontServer(key, value, context, {
      book,
      // Whoever is in no list of the server is kept out of it, as there.
      listed: byServer === null ? null : { names: byServer.get(key) ?? [], at: at ?? servers },
      // The older files list values of tokens where the newer ones list names.
      holdsValues: entryOf(root, 'mcpProxy') !== undefined,
      shared: entryOf(options, 'authTokens'),
      ownTokensOnly: entryOf(proxy, 'auth') === undefined,
    })
    if (translated) native = { ...native, entries: [...native.entries, { key, where, value: translated }] }
  }
  if (byServer !== null)
    for (const name of byServer.keys())
      if (!servers.entries.some(({ key }) => key === name) && at)
        context.report.problem(
          'config_bad_value',
          { where: at.where, path: memberPath(at.path, name) },
          'is not a server of mcpServers',
          nearestWord(
            name,
            servers.entries.map(({ key }) => key),
          ),
        )
  return native
}
