import {
  emptyMap,
  entryOf,
  type ListNode,
  type MapNode,
  memberPath,
  type Node,
  NOWHERE,
  scalar,
  withEntry,
} from '../node.ts'
import type { Dialect, DialectContext } from './dialect.ts'
import { goDuration } from './go-duration.ts'
import { ignoreOthers } from './ignore-others.ts'
import { filled, isFalse, isTrue } from './says.ts'

/**
 * The YAML of pgEdge's PostgreSQL MCP server: `http`, `databases` (or one `database` in older files), with
 * keys in snake_case and lengths of time as Go writes them.
 */
export const pgedge: Dialect = {
  name: 'pgedge-postgres-mcp',
  recognises(root) {
    const topLevel = [
      'http',
      'database',
      'builtins',
      'embedding',
      'llm',
      'knowledgebase',
      'custom_definitions_path',
    ]
    if (topLevel.some((key) => entryOf(root, key) !== undefined)) return true
    const databases = entryOf(root, 'databases')
    return (
      databases?.kind === 'list' &&
      databases.items.some((item) => FOREIGN_DATABASE_KEYS.some((key) => entryOf(item, key)))
    )
  },
  translate(root, context) {
    const known = ['http', 'databases', 'database', 'data_dir']
    ignoreOthers(root, known, WHY_NOT, context, FOREIGN_DATABASE_KEYS)
    let native = emptyMap(root.where)
    native = translateHttp(entryOf(root, 'http'), native, context)
    const databases = translateDatabases(root, context)
    if (databases) native = withEntry(native, 'databases', databases)
    const dataDir = entryOf(root, 'data_dir')
    return dataDir && filled(dataDir) ? withEntry(native, 'dataDir', dataDir) : native
  },
}

/** The token file of that product when its configuration names none: beside the configuration here. */
const DEFAULT_TOKEN_FILE = 'pgedge-postgres-mcp-tokens.yaml'

const FOREIGN_DATABASE_KEYS = [
  'allow_writes',
  'available_to_users',
  'allow_llm_switching',
  'allowed_pl_languages',
  'pool_max_conns',
  'pool_min_conns',
  'pool_max_conn_idle_time',
  'pool_max_conn_lifetime',
  'pool_health_check_period',
  'connect_timeout',
  'metadata_ttl',
  'target_session_attrs',
]

/** Why a key has no effect, for those where the reason matters. */
const WHY_NOT: Readonly<Record<string, string>> = {
  llm: 'Postern uses a model only for questions to query_database: set model in the native shape',
  client_ip: 'Postern takes the address of the connection',
  chain_file: 'put the chain into cert_file, after the certificate',
  user_file: 'users are not available in this version: only tokens are let in',
  available_to_users: 'users are not available in this version: limit tokens to databases instead',
  pool_min_conns: 'Postern opens connections when they are needed',
  target_session_attrs: 'Postern connects to one host',
}

function translateHttp(http: Node | undefined, start: MapNode, context: DialectContext): MapNode {
  let native = start
  const auth = entryOf(http, 'auth')
  const tls = entryOf(http, 'tls')
  const at = http ?? start
  if (http) {
    if (http.kind !== 'map') {
      context.report.problem('config_wrong_type', http, 'must hold keys: enabled, address, auth, tls')
      return native
    }
    ignoreOthers(http, ['enabled', 'address', 'auth', 'tls', 'allowed_origins'], WHY_NOT, context)
    const enabled = entryOf(http, 'enabled')
    if (enabled && isFalse(enabled))
      context.report.warning(
        'config_ignored',
        enabled,
        'Postern always serves HTTP: clients that need stdio use "postern connect"',
      )
  }

  let server = emptyMap(at.where, 'http')
  const address = entryOf(http, 'address')
  if (address && filled(address)) server = withEntry(server, 'addr', address)
  const origins = entryOf(http, 'allowed_origins')
  if (origins) server = withEntry(server, 'allowedOrigins', origins)
  const tlsSettings = translateTls(tls, context)
  if (tlsSettings) server = withEntry(server, 'tls', tlsSettings)
  native = withEntry(native, 'server', server)

  let nativeAuth = emptyMap(auth?.where ?? at.where, 'http.auth')
  // Absent means closed, whatever the shape says elsewhere.
  const enabled = entryOf(auth, 'enabled')
  if (enabled) nativeAuth = withEntry(nativeAuth, 'enabled', enabled)
  if (auth?.kind === 'map') ignoreOthers(auth, ['enabled', 'token_file'], WHY_NOT, context)
  else if (auth) context.report.problem('config_wrong_type', auth, 'must hold keys: enabled, token_file')
  const tokenFile = entryOf(auth, 'token_file')
  if (tokenFile && filled(tokenFile)) nativeAuth = withEntry(nativeAuth, 'tokenFile', tokenFile)
  else if (!enabled || !isFalse(enabled)) {
    // The place is in the file, so that the name is meant from the file's directory.
    const place = { where: auth?.where ?? at.where, path: 'http.auth.token_file' }
    nativeAuth = withEntry(nativeAuth, 'tokenFile', scalar(DEFAULT_TOKEN_FILE, place))
  }
  return withEntry(native, 'auth', nativeAuth)
}

function translateTls(tls: Node | undefined, context: DialectContext): MapNode | undefined {
  if (!tls) return undefined
  if (tls.kind !== 'map') {
    context.report.problem('config_wrong_type', tls, 'must hold keys: enabled, cert_file, key_file')
    return undefined
  }
  ignoreOthers(tls, ['enabled', 'cert_file', 'key_file'], WHY_NOT, context)
  const enabled = entryOf(tls, 'enabled')
  if (!enabled || isFalse(enabled)) return undefined
  if (!isTrue(enabled)) {
    context.report.problem('config_wrong_type', enabled, 'must be true or false')
    return undefined
  }
  let native = emptyMap(tls.where, tls.path)
  for (const [key, foreign, standard] of [
    ['cert', 'cert_file', './server.crt'],
    ['key', 'key_file', './server.key'],
  ] as const) {
    const file = entryOf(tls, foreign)
    const fallback = scalar(standard, { where: tls.where, path: memberPath(tls.path, foreign) })
    native = withEntry(native, key, file && filled(file) ? file : fallback)
  }
  return native
}

function translateDatabases(root: MapNode, context: DialectContext): Node | undefined {
  const many = entryOf(root, 'databases')
  const one = entryOf(root, 'database')
  if (many && one)
    context.report.problem('config_conflict', one, 'stands beside databases: move it into the list')
  if (many && many.kind !== 'list') return many
  const items = many?.kind === 'list' ? many.items : one ? [one] : []
  if (items.length === 0) return undefined
  const list: ListNode = {
    kind: 'list',
    where: (many ?? one ?? root).where,
    path: (many ?? one ?? root).path,
    items: items.map((item, index) => translateDatabase(item, index === 0, context)),
  }
  return list
}

/** Foreign key, native key. */
const SAME_MEANING = [
  ['name', 'name'],
  ['host', 'host'],
  ['port', 'port'],
  ['database', 'database'],
  ['user', 'user'],
  ['password', 'password'],
  ['sslmode', 'sslmode'],
  ['sslrootcert', 'sslRootCert'],
] as const

/** Variables that the product reads for its first database, in the order in which it prefers them. */
const FIRST_DATABASE_VARIABLES = {
  user: ['PGEDGE_DB_USER', 'PGUSER'],
  password: ['PGEDGE_DB_PASSWORD', 'PGPASSWORD'],
} as const

function translateDatabase(item: Node, first: boolean, context: DialectContext): Node {
  if (item.kind !== 'map') return item
  const { report, env } = context
  let native = emptyMap(item.where, item.path)
  for (const [foreign, key] of SAME_MEANING) {
    const value = entryOf(item, foreign)
    if (value && filled(value)) native = withEntry(native, key, value)
  }
  if (first)
    for (const [key, variables] of Object.entries(FIRST_DATABASE_VARIABLES)) {
      const variable = variables.find((name) => Object.hasOwn(env, name) && env[name])
      if (variable === undefined || entryOf(native, key)) continue
      const place = { where: { kind: 'environment', variable }, path: memberPath(item.path, key) } as const
      native = withEntry(native, key, scalar(env[variable] ?? null, place, { hidden: true }))
    }
  const standard = (key: string, value: string): void => {
    if (!entryOf(native, key))
      native = withEntry(native, key, scalar(value, { where: NOWHERE, path: memberPath(item.path, key) }))
  }
  standard('name', 'default')
  standard('database', 'postgres')

  const hosts = entryOf(item, 'hosts')
  if (hosts?.kind === 'list' && hosts.items.length === 1 && !entryOf(native, 'host')) {
    for (const key of ['host', 'port']) {
      const value = entryOf(hosts.items[0], key)
      if (value) native = withEntry(native, key, value)
    }
  } else if (hosts && !(hosts.kind === 'list' && hosts.items.length === 0)) {
    report.problem(
      'config_not_available',
      hosts,
      'names several hosts: Postern connects to one, so keep host and port of the primary',
    )
  }

  const most = entryOf(item, 'pool_max_conns')
  // Their pool belongs to one token, as ours does; ours are bounded together as well.
  if (most && filled(most)) {
    native = withEntry(native, 'maxConnectionsPerCredential', most)
    const wanted = most.kind === 'scalar' ? Number(most.text) : Number.NaN
    if (Number.isSafeInteger(wanted) && wanted > 8)
      native = withEntry(native, 'maxConnections', scalar(Math.min(wanted * 4, 10_000), most))
  }
  for (const [foreign, key] of [
    ['pool_max_conn_idle_time', 'idleTimeout'],
    ['connect_timeout', 'connectTimeout'],
  ] as const) {
    const value = entryOf(item, foreign)
    if (value?.kind === 'scalar' && filled(value)) native = withEntry(native, key, goDuration(value))
  }
  for (const key of ['sslcert', 'sslkey']) {
    const value = entryOf(item, key)
    if (value && filled(value))
      report.problem(
        'config_not_available',
        value,
        'client certificates are not available in this version: use a password',
      )
  }
  const writes = entryOf(item, 'allow_writes')
  if (writes && isTrue(writes))
    report.warning(
      'config_ignored',
      writes,
      'Postern decides about writes by the level of the token: read-only unless it says otherwise',
    )
  ignoreOthers(
    item,
    [
      ...SAME_MEANING.map(([foreign]) => foreign),
      'hosts',
      'pool_max_conns',
      'pool_max_conn_idle_time',
      'connect_timeout',
      'sslcert',
      'sslkey',
      'allow_writes',
    ],
    WHY_NOT,
    context,
    FOREIGN_DATABASE_KEYS,
  )
  return native
}
