import { emptyMap, entryOf, type MapNode, memberPath, type Node, scalar, withEntry } from '../node.ts'
import type { Dialect, DialectContext } from './dialect.ts'
import { ignoreOthers } from './ignore-others.ts'
import { filled, isTrue } from './says.ts'
import { hasShellReference, shellReferences } from './shell-references.ts'

/**
 * The block in which MCP clients keep their servers: `mcpServers` of Claude Desktop, Claude Code, Cursor and others,
 * `servers` with `inputs` of VS Code. It names no tokens: it was written for one person.
 */
export const mcpClient: Dialect = {
  name: 'mcp-client',
  recognises(root) {
    if (blockOf(root).key === 'servers') return true
    const { servers } = blockOf(root)
    if (servers?.kind !== 'map') return false
    const others = root.entries.filter(({ key }) => !['mcpServers', '$schema', 'aggregate'].includes(key))
    if (others.some(({ key }) => DESKTOP_KEYS.includes(key))) return true
    return servers.entries.some(
      ({ value }) => TELLING.some((key) => entryOf(value, key)) || holdsShellReference(value),
    )
  },
  prepare: shellReferences,
  translate(root, context) {
    const { servers, holder, key } = blockOf(root)
    ignoreOthers(root, holder === root ? [key, 'inputs'] : ['mcp'], {}, context)
    if (holder !== root && holder.kind === 'map') ignoreOthers(holder, [key, 'inputs'], {}, context)
    context.report.warning(
      'config_missing',
      servers ?? root,
      'comes without tokens, and nobody gets in without one: "postern token add" issues them',
    )
    if (servers?.kind !== 'map')
      return servers ? withEntry(emptyMap(root.where), 'mcpServers', servers) : emptyMap()
    let native: MapNode = { ...servers, entries: [] }
    for (const { key: name, where, value } of servers.entries) {
      if (isTrue(entryOf(value, 'disabled'))) {
        const place = { where, path: memberPath(servers.path, name) }
        context.report.warning('config_ignored', place, 'is disabled, so it is left out')
        continue
      }
      const entry = { key: name.replaceAll(' ', '-'), where, value: translateServer(value, context) }
      native = { ...native, entries: [...native.entries, entry] }
    }
    return withEntry(emptyMap(root.where), 'mcpServers', native)
  },
}

/** Keys of a server that only clients have. */
const TELLING = [
  'type',
  'serverUrl',
  'httpUrl',
  'disabled',
  'autoApprove',
  'alwaysAllow',
  'envFile',
  'trust',
  'includeTools',
  'excludeTools',
  'dev',
]

/** Keys beside `mcpServers` in the settings of Claude Desktop. */
const DESKTOP_KEYS = [
  'globalShortcut',
  'preferences',
  'isDxtAutoUpdatesEnabled',
  'scale',
  'locale',
  'userThemeMode',
]

/** `mcpServers`, `servers`, or `mcp.servers` of the settings of an editor. */
function blockOf(root: MapNode): { servers: Node | undefined; holder: Node; key: 'mcpServers' | 'servers' } {
  const mcp = entryOf(root, 'mcp')
  for (const [holder, key] of [
    [root, 'servers'],
    [mcp, 'servers'],
  ] as const) {
    const servers = entryOf(holder, key)
    if (holder && servers?.kind === 'map') return { servers, holder, key }
  }
  return { servers: entryOf(root, 'mcpServers'), holder: root, key: 'mcpServers' }
}

const WHY_NOT: Readonly<Record<string, string>> = {
  autoApprove: 'what a caller may do is a matter of its token',
  alwaysAllow: 'what a caller may do is a matter of its token',
  trust: 'what a caller may do is a matter of its token',
  timeout: 'clients mean milliseconds or seconds by it: say which in the native shape',
  gallery: 'it is for editors',
  dev: 'it is for editors',
  description: 'it is for people',
}

const KEYS = [
  'type',
  'command',
  'args',
  'env',
  'cwd',
  'url',
  'serverUrl',
  'httpUrl',
  'headers',
  'envFile',
  'disabled',
  'includeTools',
  'excludeTools',
]

function translateServer(item: Node, context: DialectContext): Node {
  if (item.kind !== 'map') return item
  const { report } = context
  ignoreOthers(item, KEYS, WHY_NOT, context, ['timeout'])
  let native = emptyMap(item.where, item.path)
  const put = (key: string, value: Node | undefined): void => {
    if (filled(value)) native = withEntry(native, key, value)
  }
  const url = entryOf(item, 'url') ?? entryOf(item, 'serverUrl') ?? entryOf(item, 'httpUrl')
  const type = entryOf(item, 'type')
  put('command', entryOf(item, 'command'))
  put('args', entryOf(item, 'args'))
  put('env', url ? undefined : entryOf(item, 'env'))
  put('cwd', entryOf(item, 'cwd'))
  put('url', url)
  put('headers', url ? entryOf(item, 'headers') : undefined)
  if (type?.kind === 'scalar' && type.text === 'sse') put('transport', scalar('sse', type))
  else if (type && !(type.kind === 'scalar' && /^(?:stdio|http|streamable-?http)$/i.test(type.text)))
    report.problem('config_bad_value', type, 'is not a transport: use stdio, http or sse')
  const file = entryOf(item, 'envFile')
  if (file)
    report.problem(
      'config_not_available',
      file,
      'is not available in this version: put the variables into env',
    )
  put('toolFilter', filterOf(item, report))
  return native
}

function filterOf(item: MapNode, report: DialectContext['report']): Node | undefined {
  const only = entryOf(item, 'includeTools')
  const without = entryOf(item, 'excludeTools')
  if (only && without)
    report.problem('config_conflict', without, 'stands beside includeTools: name the tools to keep only')
  const names = only ?? without
  if (!names) return undefined
  const filter = withEntry(emptyMap(names.where, names.path), 'mode', scalar(only ? 'allow' : 'deny', names))
  return withEntry(filter, 'tools', names)
}

function holdsShellReference(node: Node): boolean {
  if (node.kind === 'scalar') return typeof node.value === 'string' && hasShellReference(node.value)
  if (node.kind === 'list') return node.items.some(holdsShellReference)
  return node.entries.some(({ value }) => holdsShellReference(value))
}
